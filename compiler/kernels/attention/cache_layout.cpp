// What a cache is, and the orders of its dimensions.
#include "compiler/kernels/attention/cache_layout.h"

#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels::attention {
namespace {

constexpr const char* kParameter = "kv_layout";

// Only later tokens make a cache of what a call of many tokens reads.
bool reads_cache(const Problem& p) {
  const bool is_decode = !p.has("packed") && !p.has("block");
  if (is_decode) return true;
  const bool packs_keys =
      p.has("packed") && (p.text("packed") == "shared" || p.text("packed") == "separate");
  return p.text("causal") == "end" && !packs_keys;
}

std::string identity(const Problem& p) {
  if (p.integer("kv_heads") == 1 || !reads_cache(p)) return {};
  std::string text = fmt::format("kv_heads={}", p.integer("kv_heads"));
  const auto add = [&](const char* name, const char* same_as) {
    const int64_t value = p.integer(name);
    if (same_as == nullptr || value != p.integer(same_as))
      text += fmt::format(" {}={}", name, value);
  };
  const bool has_factors = p.has("rank");
  if (has_factors) {
    add("rank", nullptr);
    add("value_rank", "rank");
  }
  if (!has_factors || p.integer("recent") > 0) {
    add("dim", nullptr);
    add("value_dim", "dim");
  }
  text += fmt::format(" kv_type={}", ir::name(p.type("kv_type")));
  if (has_factors && p.integer("recent") > 0) add("recent", nullptr);
  if (p.has("cache") && p.text("cache") == "paged") add("page", nullptr);
  return text;
}

// Of [batch, tokens, heads, size], or pages in place of the batch.
std::vector<int> order(const Problem& p, std::string_view operand) {
  const bool is_cached = operand == "k" || operand == "v" || operand == "c_k" || operand == "c_v";
  if (!is_cached || p.text(kParameter) != "hnd") return {};
  return {0, 2, 1, 3};
}

}  // namespace

ParameterSpec kv_layout_parameter() {
  return choice_parameter(kParameter, {"nhd", "hnd"},
                          "how k and v lie when the kernel is timed and checked: [..., tokens, "
                          "heads, dim], or with heads before tokens");
}

const SharedOperand& cache_operand() {
  static const SharedOperand operand = {
      .kind = "cache",
      .parameter = kParameter,
      .sizes = {"tokens", "context"},
      .identity = identity,
      .layouts = [](const Problem&, const ir::Target&) -> std::vector<std::string> {
        return {"nhd", "hnd"};
      },
      .order = order,
  };
  return operand;
}

}  // namespace lathe::compiler::kernels::attention
