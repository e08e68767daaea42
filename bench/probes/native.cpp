// Verify, emit, map.
#include "bench/probes/native.h"

#include "codegen/x86/x86_backend.h"
#include "ir/program/verifier.h"
#include "support/hardware.h"

namespace lathe::bench {

Result<Native> make_native(const ir::program::Program& program) {
  LATHE_CHECK(ir::program::verify(program));
  static const auto backend = codegen::x86::make_backend();
  LATHE_TRY(codegen::KernelImage image, backend->compile(program));
  const support::IsaMask missing = image.required_isa.without(support::host().isa);
  if (!missing.empty())
    return fail(ErrorCode::unsupported, "{} needs {}, which this CPU lacks", program.name,
                to_string(missing));
  LATHE_TRY(runtime::ExecutableMemory memory, runtime::ExecutableMemory::map(image.code));
  return Native{std::move(memory), std::move(image)};
}

}  // namespace lathe::bench
