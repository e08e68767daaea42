// XXH3 behind one function.
#include "support/hash.h"

#include <xxhash.h>

namespace lathe::support {

std::uint64_t hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace lathe::support
