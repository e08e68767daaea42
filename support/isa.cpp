// Names of the instruction-set extensions, and masks as text.
#include "support/isa.h"

#include <array>
#include <utility>

namespace lathe::support {
namespace {

using Named = std::pair<Isa, std::string_view>;

constexpr std::array kNames = {
    Named{Isa::sse3, "sse3"},
    Named{Isa::ssse3, "ssse3"},
    Named{Isa::sse4_1, "sse4_1"},
    Named{Isa::sse4_2, "sse4_2"},
    Named{Isa::popcnt, "popcnt"},
    Named{Isa::avx, "avx"},
    Named{Isa::f16c, "f16c"},
    Named{Isa::fma, "fma"},
    Named{Isa::avx2, "avx2"},
    Named{Isa::bmi1, "bmi1"},
    Named{Isa::bmi2, "bmi2"},
    Named{Isa::lzcnt, "lzcnt"},
    Named{Isa::avx_vnni, "avx_vnni"},
    Named{Isa::avx512f, "avx512f"},
    Named{Isa::avx512bw, "avx512bw"},
    Named{Isa::avx512dq, "avx512dq"},
    Named{Isa::avx512vl, "avx512vl"},
    Named{Isa::avx512cd, "avx512cd"},
    Named{Isa::avx512_vbmi, "avx512_vbmi"},
    Named{Isa::avx512_vnni, "avx512_vnni"},
    Named{Isa::avx512_bf16, "avx512_bf16"},
    Named{Isa::avx512_fp16, "avx512_fp16"},
    Named{Isa::avx_vnni_int8, "avx_vnni_int8"},
    Named{Isa::neon, "neon"},
    Named{Isa::arm_fp16, "arm_fp16"},
    Named{Isa::arm_dotprod, "arm_dotprod"},
    Named{Isa::arm_i8mm, "arm_i8mm"},
    Named{Isa::arm_bf16, "arm_bf16"},
    Named{Isa::arm_sve, "arm_sve"},
};

constexpr auto kAll = [] {
  std::array<Isa, kNames.size()> all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = kNames[i].first;
  return all;
}();

/// The mask of one name; empty for an unknown one.
IsaMask mask_of(std::string_view name) {
  for (const auto& [isa, text] : kNames) {
    if (text == name) return isa;
  }
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (name == fmt::format("bit{}", bit)) return IsaMask(std::uint64_t{1} << bit);
  }
  return {};
}

}  // namespace

std::span<const Isa> all_isa() { return kAll; }

std::string_view to_string(Isa isa) {
  for (const auto& [known, text] : kNames) {
    if (known == isa) return text;
  }
  return "unknown";
}

std::string to_string(IsaMask mask) {
  if (mask.empty()) return "none";
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((mask.bits >> bit & 1) == 0) continue;
    if (!text.empty()) text += '+';
    const std::string_view name = to_string(static_cast<Isa>(bit));
    text += name == "unknown" ? fmt::format("bit{}", bit) : std::string(name);
  }
  return text;
}

Result<IsaMask> parse_isa_mask(std::string_view text) {
  IsaMask mask;
  if (text == "none") return mask;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find('+', start);
    const std::string_view name = text.substr(start, end - start);
    const IsaMask bit = mask_of(name);
    if (bit.empty()) {
      return fail(ErrorCode::parse_error,
                  "unknown instruction-set extension '{}' in '{}': expected names such as "
                  "avx2 or avx512f joined by '+', or 'none'",
                  name, text);
    }
    mask |= bit;
    if (end == std::string_view::npos) return mask;
    start = end + 1;
  }
}

}  // namespace lathe::support
