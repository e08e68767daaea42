// Instruction-set extensions as a bit mask: what a target needs, what a host has.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::support {

/// One extension. The number is its bit in stored identities: append only, never renumber.
enum class Isa : std::uint8_t {
  sse3 = 0,
  ssse3 = 1,
  sse4_1 = 2,
  sse4_2 = 3,
  popcnt = 4,
  avx = 5,
  f16c = 6,
  fma = 7,
  avx2 = 8,
  bmi1 = 9,
  bmi2 = 10,
  lzcnt = 11,
  avx_vnni = 12,
  avx512f = 13,
  avx512bw = 14,
  avx512dq = 15,
  avx512vl = 16,
  avx512cd = 17,
  avx512_vbmi = 18,
  avx512_vnni = 19,
  avx512_bf16 = 20,
  avx512_fp16 = 21,
  avx_vnni_int8 = 22,
  neon = 40,
  arm_fp16 = 41,
  arm_dotprod = 42,
  arm_i8mm = 43,
  arm_bf16 = 44,
  arm_sve = 45,
};

/// A set of extensions; a value type, ordered and compared by its bits.
struct IsaMask {
  std::uint64_t bits = 0;

  constexpr IsaMask() = default;
  constexpr explicit IsaMask(std::uint64_t raw) : bits(raw) {}
  /// Implicit, so that `Isa::avx2 | Isa::fma` and `mask.contains(Isa::avx2)` read as they should.
  constexpr IsaMask(Isa isa) : bits(std::uint64_t{1} << static_cast<unsigned>(isa)) {}

  /// True when every extension of `other` is in this set.
  constexpr bool contains(IsaMask other) const { return (other.bits & ~bits) == 0; }
  /// The extensions of this set that `other` lacks.
  constexpr IsaMask without(IsaMask other) const { return IsaMask(bits & ~other.bits); }
  constexpr bool empty() const { return bits == 0; }
  constexpr IsaMask& operator|=(IsaMask other) {
    bits |= other.bits;
    return *this;
  }
  friend constexpr auto operator<=>(IsaMask, IsaMask) = default;
};

constexpr IsaMask operator|(IsaMask a, IsaMask b) { return IsaMask(a.bits | b.bits); }
constexpr IsaMask operator&(IsaMask a, IsaMask b) { return IsaMask(a.bits & b.bits); }
constexpr IsaMask operator|(Isa a, Isa b) { return IsaMask(a) | IsaMask(b); }

/// All extensions, in bit order.
std::span<const Isa> all_isa();

/// The extension's name: "avx512_vnni". Static storage.
std::string_view to_string(Isa isa);

/// Names joined by '+', in bit order: "sse4_1+avx+avx2"; "none" for the empty set. Bits without a
/// name (written by a newer Lathe) print as "bit63".
std::string to_string(IsaMask mask);

/// Inverse of to_string, in any order. parse_error names the unknown extension.
Result<IsaMask> parse_isa_mask(std::string_view text);

}  // namespace lathe::support
