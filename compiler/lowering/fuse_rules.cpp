// Rules that the fusion passes share.
#include "compiler/lowering/fuse_rules.h"

#include <algorithm>

#include "compiler/fragment.h"

namespace lathe::compiler::lowering {

bool same_rows(const Call& a, const Call& b) { return a.rows == b.rows && a.width == b.width; }

bool is_full_reader(const Chain& chain, ValueId value) {
  const auto leaves = chain.values();
  return std::count_if(leaves.begin(), leaves.end(),
                       [&](const auto& leaf) { return leaf.first == value; }) == 1 &&
         std::find(leaves.begin(), leaves.end(), std::pair<ValueId, std::string>{value, ""}) !=
             leaves.end();
}

bool fits(const Chain& chain) {
  // Past these a fused kernel runs out of pointers or its text out of reason.
  constexpr size_t kMaxLeaves = 6;
  constexpr size_t kMaxChain = 48;
  return chain.values().size() <= kMaxLeaves && chain.size() <= kMaxChain &&
         chain.depth() <= size_t{Fragment::kMaxDepth};
}

std::string value_or(const Call& call, const std::string& key, const std::string& fallback) {
  const auto found = call.values.find(key);
  return found == call.values.end() ? fallback : found->second;
}

std::string out_type(const Call& call) {
  return value_or(call, "out", value_or(call, "type", "f32"));
}
std::string in_type(const Call& call) { return value_or(call, "type", "f32"); }

std::string matrix_type(const Call& product) {
  const std::string type = in_type(product);
  return type == "q8_0" ? "f32" : type;
}

void remove(LoweredGraph& lowered, int index) {
  lowered.calls.erase(lowered.calls.begin() + index);
}

}  // namespace lathe::compiler::lowering
