// The Backend interface over pipeline, loader and disassembler.
#include "codegen/llvm/backend.h"

#include "codegen/llvm/disassemble.h"
#include "codegen/llvm/loader.h"
#include "codegen/llvm/pipeline.h"
#include "codegen/llvm/target.h"

namespace lathe::codegen::llvm {
namespace {

class LlvmBackend final : public Backend {
 public:
  std::string_view name() const override { return "llvm"; }
  bool emits(const ir::Target& target) const override { return target.isa == ir::Isa::generic; }
  Result<ir::Target> target(std::string_view name, std::string_view cpu) const override {
    if (name != "llvm")
      return fail(ErrorCode::not_found, "backend llvm makes target 'llvm'; found '{}'", name);
    return target_for(cpu);
  }
  Result<KernelImage> compile(const ir::program::Program& program) const override {
    return compile_object(program);
  }
  Result<std::unique_ptr<LoadedKernel>> load(const KernelImage& image) const override {
    return load_object(image);
  }
  Result<std::string> disassemble(const KernelImage& image) const override {
    return llvm::disassemble(image);
  }
};

}  // namespace

std::shared_ptr<const Backend> make_backend() { return std::make_shared<LlvmBackend>(); }

}  // namespace lathe::codegen::llvm

namespace lathe {

std::shared_ptr<const codegen::Backend> llvm_backend() { return codegen::llvm::make_backend(); }

}  // namespace lathe
