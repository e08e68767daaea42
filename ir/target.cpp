// The table of instruction paths.
#include "ir/target.h"

namespace lathe::ir {

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
