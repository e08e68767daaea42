// The code generators that a Library uses when its caller names none.
#include <lathe/backends.h>

namespace lathe {

std::vector<std::shared_ptr<const codegen::Backend>> default_backends() { return {x86_backend()}; }

}  // namespace lathe
