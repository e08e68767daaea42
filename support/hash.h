// Hashing bytes for identities and checksums: XXH3, 64 bits, the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace lathe::support {

/// XXH3-64 with seed 0. Not for secrets: anybody can find collisions.
std::uint64_t hash64(std::string_view bytes);

/// XXH3-128 with seed 0: for keys that stand for texts of any length.
struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};
Hash128 hash128(std::string_view bytes);

}  // namespace lathe::support
