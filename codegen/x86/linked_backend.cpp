// The x86 backend as programs that link it get it.
#include <lathe/backends.h>

#include "codegen/x86/x86_backend.h"

namespace lathe {

std::shared_ptr<const codegen::Backend> x86_backend() { return codegen::x86::make_backend(); }

}  // namespace lathe
