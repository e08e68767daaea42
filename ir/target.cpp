// The table of instruction paths.
#include "ir/target.h"

#include <algorithm>
#include <array>

namespace lathe::ir {
namespace {

constexpr std::array<std::string_view, 5> kIsaNames = {"scalar", "sse", "avx2", "avx512",
                                                       "generic"};

}  // namespace

std::string_view name(Isa isa) { return kIsaNames[static_cast<size_t>(isa)]; }

Result<Isa> parse_isa(std::string_view text) {
  const auto found = std::find(kIsaNames.begin(), kIsaNames.end(), text);
  if (found != kIsaNames.end()) return static_cast<Isa>(found - kIsaNames.begin());
  return fail(ErrorCode::not_found, "unknown instruction path '{}'; expected {}", text,
              fmt::join(kIsaNames, ", "));
}

Result<Target> parse_target(std::string_view name) {
  Target target;
  target.name = name;
  if (name == "scalar") return target;
  if (name == "sse") {
    target.isa = Isa::sse;
    target.lanes = 4;
    return target;
  }
  if (name == "avx2") {
    target.isa = Isa::avx2;
    target.lanes = 8;
    target.fused = target.f16c = true;
    return target;
  }
  if (name == "avx512") {
    target.isa = Isa::avx512;
    target.lanes = 16;
    target.vector_registers = 32;
    target.mask_registers = 7;  // k0 cannot be a write mask
    target.fused = target.f16c = true;
    return target;
  }
  return fail(ErrorCode::not_found,
              "unknown target '{}'; expected scalar, sse, avx2, avx512 or llvm", name);
}

const std::vector<std::string>& target_names() {
  static const std::vector<std::string> names = {"avx512", "avx2", "sse", "scalar", "llvm"};
  return names;
}

}  // namespace lathe::ir
