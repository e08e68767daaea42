// Hashing bytes for identities and checksums: XXH3, 64 bits, the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace lathe::support {

/// XXH3-64 with seed 0. Not for secrets: anybody can find collisions.
std::uint64_t hash64(std::string_view bytes);

}  // namespace lathe::support
