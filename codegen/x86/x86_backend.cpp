// The stages of emission, in order: legalise, flatten, fold, allocate, emit.
#include "codegen/x86/x86_backend.h"

#include <exception>
#include <utility>

#include "codegen/x86/allocation.h"
#include "codegen/x86/emitter.h"
#include "codegen/x86/flat_program.h"
#include "codegen/x86/folding.h"
#include "codegen/x86/machines.h"
#include "compiler/passes/legalize.h"

namespace lathe::codegen::x86 {
namespace {

// A C identifier made from the program's name.
std::string identifier(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (digit && result.empty()) result += '_';
    result += letter || digit ? c : '_';
  }
  return result.empty() ? "kernel" : result;
}

class X86Backend final : public Backend {
 public:
  std::string_view name() const override { return "x86"; }

  bool emits(const ir::Target& target) const override {
    switch (target.isa) {
      case ir::Isa::scalar: return target.lanes == 1;
      case ir::Isa::sse: return target.lanes == 4;
      case ir::Isa::avx2: return target.lanes == 8;
      case ir::Isa::avx512: return target.lanes == 16;
      default: return false;
    }
  }

  Result<ir::Target> target(std::string_view name, std::string_view cpu) const override {
    return target_for(name, cpu);
  }

  Result<KernelImage> compile(const Program& program) const override {
    const ir::Target& target = program.target;
    if (!emits(target))
      return fail(
          ErrorCode::unsupported,
          "the x86 backend emits for scalar, sse, avx2 and avx512, not for target {} of {} lanes",
          target.name, target.lanes);
    try {
      const Program legal = compiler::passes::legalize(program);
      FlatProgram flat = flatten(legal);
      fold_loads(flat);
      LATHE_TRY(const Allocation allocation, allocate(flat));
      KernelImage image = Emitter(flat, allocation).run();
      image.name = identifier(program.name);
      image.backend = "x86";
      return image;
    } catch (const std::exception& error) {  // Xbyak reports what it cannot encode by throwing
      return fail(ErrorCode::internal, "emitting {} for {}: {}", program.name, target.name,
                  error.what());
    }
  }
};

}  // namespace

std::unique_ptr<Backend> make_backend() { return std::make_unique<X86Backend>(); }

}  // namespace lathe::codegen::x86
