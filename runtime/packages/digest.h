// BLAKE2b digests: what a manifest says of each member's bytes.
#pragma once

#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::runtime::packages {

/// BLAKE2b with 256 bits, as 64 hexadecimal digits. For content that somebody may have made to
/// deceive; support/hash.h has what is quicker and believes everybody. Thread-safe. Errors:
/// internal, where the library cannot start.
Result<std::string> blake2b(std::string_view bytes);

}  // namespace lathe::runtime::packages
