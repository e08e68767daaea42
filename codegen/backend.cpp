// Defaults of the backend interface.
#include "codegen/backend.h"

namespace lathe::codegen {

Result<std::unique_ptr<LoadedKernel>> Backend::load(const KernelImage& image) const {
  return fail(ErrorCode::unsupported, "backend {} loads no object files; found image '{}'", name(),
              image.name);
}

Result<std::string> Backend::disassemble(const KernelImage& image) const {
  return fail(ErrorCode::unsupported,
              "backend {} has no disassembler for '{}'; use a build with LLVM", name(), image.name);
}

}  // namespace lathe::codegen
