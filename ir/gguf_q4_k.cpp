// q4_K: 6-bit scales and minima of eight parts below two f16 factors.
#include "ir/gguf_q4_k.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "ir/gguf_blocks.h"
#include "ir/gguf_bytes.h"

namespace lathe::ir {
namespace {

constexpr int kParts = kQ4KBlock / kQ4KPart;
constexpr int kTopCode = 15;                 // codes have 4 bits
constexpr int kTopFactor = 63;               // scales and minima have 6
constexpr int kScalesAt = 4, kCodesAt = 16;  // bytes from the block's start

using Codes = std::array<int, kQ4KPart>;

// To the nearest integer of 0 … top, halves to even; of NaN 0.
int to_code(float value, int top) {
  if (!(value > 0)) return 0;
  return static_cast<int>(std::nearbyint(std::min(value, static_cast<float>(top))));
}

// A part as value = scale * code - min, min >= 0.
struct Fit {
  float scale = 0;
  float min = 0;
  Codes codes{};
};

// Sums in f32 and in the order of the elements throughout: another order is another result.
class PartFitter {
 public:
  explicit PartFitter(const float* x) : x_(x) {
    float squares = 0;
    for (int i = 0; i < kQ4KPart; ++i) squares += x[i] * x[i];
    const float level = std::sqrt(squares / kQ4KPart);
    // Large values matter more, but small ones matter, too.
    for (int i = 0; i < kQ4KPart; ++i) weights_[at(i)] = level + std::fabs(x[i]);
    sum_w_ = weights_[0];
    sum_x_ = weights_[0] * x[0];
    for (int i = 1; i < kQ4KPart; ++i) {
      sum_w_ += weights_[at(i)];
      sum_x_ += weights_[at(i)] * x[i];
    }
    const auto [least, most] = std::minmax_element(x, x + kQ4KPart);
    low_ = std::min(*least, 0.0F);  // a minimum can only be taken away
    high_ = *most;
  }

  Fit run() const {
    Fit best;
    best.min = -low_;
    if (high_ == low_) return best;
    const float inverse = kTopCode / (high_ - low_);
    best.scale = 1 / inverse;
    best.codes = codes_of(inverse, low_);
    float least_error = error_of(best.codes, best.scale, low_);
    // Codes for a range stretched by 14/15 to 16/15; for each the line that fits them best. The
    // range starts at the best line's own offset so far.
    for (int step = 0; step <= kSteps; ++step) {
      const float low = -best.min;
      const float stretched = kFirst + kStep * static_cast<float>(step) + kTopCode;
      improve(codes_of(stretched / (high_ - low), low), best, least_error);
    }
    return best;
  }

 private:
  static constexpr int kSteps = 20;
  static constexpr float kFirst = -1.0F, kStep = 0.1F;

  static size_t at(int i) { return static_cast<size_t>(i); }

  Codes codes_of(float inverse, float low) const {
    Codes codes;
    for (int i = 0; i < kQ4KPart; ++i) codes[at(i)] = to_code(inverse * (x_[i] - low), kTopCode);
    return codes;
  }

  float error_of(const Codes& codes, float scale, float offset) const {
    float error = 0;
    for (int i = 0; i < kQ4KPart; ++i) {
      const float difference = scale * static_cast<float>(codes[at(i)]) + offset - x_[i];
      error += weights_[at(i)] * (difference * difference);
    }
    return error;
  }

  // Weighted least squares of x over the codes, with an offset of at most 0.
  void improve(const Codes& codes, Fit& best, float& least_error) const {
    float sum_c = 0, sum_cc = 0, sum_cx = 0;
    for (int i = 0; i < kQ4KPart; ++i) {
      const auto code = static_cast<float>(codes[at(i)]);
      const float weighted = weights_[at(i)] * code;
      sum_c += weighted;
      sum_cc += weighted * code;
      sum_cx += weighted * x_[i];
    }
    const float determinant = sum_w_ * sum_cc - sum_c * sum_c;
    if (!(determinant > 0)) return;
    float scale = (sum_w_ * sum_cx - sum_x_ * sum_c) / determinant;
    float offset = (sum_cc * sum_x_ - sum_c * sum_cx) / determinant;
    if (offset > 0) {
      offset = 0;
      scale = sum_cx / sum_cc;
    }
    const float error = error_of(codes, scale, offset);
    if (!(error < least_error)) return;
    least_error = error;
    best = {scale, -offset, codes};
  }

  const float* x_;
  std::array<float, kQ4KPart> weights_{};
  float sum_w_ = 0, sum_x_ = 0;
  float low_ = 0, high_ = 0;
};

// The twelve bytes that q4_k_scale_min() reads.
void pack_factors(const std::array<int, kParts>& scales, const std::array<int, kParts>& mins,
                  std::byte* packed) {
  for (size_t i = 0; i < kParts / 2; ++i) {
    const size_t j = i + kParts / 2;
    packed[i] = static_cast<std::byte>(scales[i] | (scales[j] >> 4) << 6);
    packed[i + 4] = static_cast<std::byte>(mins[i] | (mins[j] >> 4) << 6);
    packed[i + 8] = static_cast<std::byte>((scales[j] & 15) | (mins[j] & 15) << 4);
  }
}

}  // namespace

ScaleMin q4_k_scale_min(const std::byte* packed, int sub_block) {
  const auto at = [&](int i) { return static_cast<int>(byte_at(packed, i)); };
  if (sub_block < 4) {
    return {static_cast<uint8_t>(at(sub_block) & 63), static_cast<uint8_t>(at(sub_block + 4) & 63)};
  }
  // The later four keep their low nibbles in bytes 8..11 and their top two bits above the first
  // four.
  const int low = at(sub_block + 4);
  return {static_cast<uint8_t>((low & 15) | (at(sub_block - 4) >> 6) << 4),
          static_cast<uint8_t>((low >> 4) | (at(sub_block) >> 6) << 4)};
}

float dequantize_q4_k(const std::byte* block, int index) {
  const int part = index / kQ4KPart;
  const uint8_t packed = byte_at(block, kCodesAt + part / 2 * kQ4KPart + index % kQ4KPart);
  const int q = part % 2 == 0 ? packed & 15 : packed >> 4;
  const auto [scale, min] = q4_k_scale_min(block + kScalesAt, part);
  // Both products are exact in f32 (11 + 6 + 4 bits); only the difference rounds.
  const float value = load_f16(block) * static_cast<float>(scale) * static_cast<float>(q);
  const float offset = load_f16(block + 2) * static_cast<float>(min);
  return value - offset;
}

void quantize_q4_k(const float* x, std::byte* block) {
  std::fill_n(block, info(Type::q4_K).block_bytes, std::byte{0});
  if (!std::all_of(x, x + kQ4KBlock, [](float value) { return std::isfinite(value); })) {
    store_f16(block, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  std::array<Fit, kParts> fits;
  float top_scale = 0, top_min = 0;
  for (size_t p = 0; p < kParts; ++p) {
    fits[p] = PartFitter(x + p * kQ4KPart).run();
    top_scale = std::max(top_scale, fits[p].scale);
    top_min = std::max(top_min, fits[p].min);
  }
  const float scale_inverse = top_scale > 0 ? kTopFactor / top_scale : 0;
  const float min_inverse = top_min > 0 ? kTopFactor / top_min : 0;
  std::array<int, kParts> scales{}, mins{};
  for (size_t p = 0; p < kParts; ++p) {
    scales[p] = to_code(scale_inverse * fits[p].scale, kTopFactor);
    mins[p] = to_code(min_inverse * fits[p].min, kTopFactor);
  }
  store_f16(block, top_scale / kTopFactor);
  store_f16(block + 2, top_min / kTopFactor);
  pack_factors(scales, mins, block + kScalesAt);

  // The codes once more, for the factors as they were rounded.
  const float d = load_f16(block), d_min = load_f16(block + 2);
  for (size_t p = 0; p < kParts; ++p) {
    Codes& codes = fits[p].codes;
    const float scale = d * static_cast<float>(scales[p]);
    const float min = d_min * static_cast<float>(mins[p]);
    for (size_t i = 0; i < kQ4KPart && scale != 0; ++i)
      codes[i] = to_code((x[p * kQ4KPart + i] + min) / scale, kTopCode);
    std::byte* packed = block + kCodesAt + p / 2 * kQ4KPart;
    for (size_t i = 0; i < kQ4KPart; ++i)
      packed[i] |= static_cast<std::byte>(codes[i] << (p % 2 == 0 ? 0 : 4));
  }
}

}  // namespace lathe::ir
