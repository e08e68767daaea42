// The pipeline.
#include "compiler/lowering/passes.h"

#include <array>

namespace lathe::compiler::lowering {
namespace {

constexpr std::array kPasses = {
    Pass{"fuse_elementwise", fuse_elementwise, "chains of elementwise kernels become one"},
    Pass{"fuse_linear_pair", fuse_linear_pair, "a gate and what it gates are one product"},
    Pass{"fuse_linear_epilogue", fuse_linear_epilogue, "what follows a product is computed in it"},
    Pass{"fuse_norm_prologue", fuse_norm_prologue, "what feeds a norm is computed in it"},
    Pass{"fuse_norm_epilogue", fuse_norm_epilogue, "what follows a norm is computed in it"},
    Pass{"fuse_norm_rope", fuse_norm_rope, "head norm and rotation become one"},
    Pass{"fuse_quantize", fuse_quantize, "norms and products quantise what they make"},
    Pass{"fuse_write_cache", fuse_write_cache, "rows are written into caches where they are made"},
};

}  // namespace

std::span<const Pass> passes() { return kPasses; }

Result<LoweredGraph> lower(const ir::graph::Graph& graph, std::string_view last_pass,
                           const LayoutRule& layouts) {
  LATHE_TRY(LoweredGraph lowered, select_kernels(graph, layouts));
  bool found = last_pass.empty() || last_pass == "select_kernels";
  if (last_pass == "select_kernels") return lowered;
  std::string known = "select_kernels";
  for (const Pass& pass : kPasses) {
    pass.run(lowered);
    known += ", " + std::string(pass.name);
    if (pass.name == last_pass) {
      found = true;
      break;
    }
  }
  if (!found)
    return fail(ErrorCode::not_found, "no pass '{}'; expected one of {}", last_pass, known);
  return lowered;
}

}  // namespace lathe::compiler::lowering
