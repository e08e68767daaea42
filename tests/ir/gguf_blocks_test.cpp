// Blocks against bytes worked out by hand, and the format's error bounds on random data.
#include "ir/gguf_blocks.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "ir/half.h"

namespace lathe::ir {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::byte> quantised(Type type, const std::vector<float>& x) {
  std::vector<std::byte> blocks(
      static_cast<size_t>(bytes_of(type, static_cast<int64_t>(x.size()))));
  quantize(type, x, blocks.data());
  return blocks;
}

std::vector<float> restored(Type type, const std::vector<std::byte>& blocks, size_t count) {
  std::vector<float> values(count);
  dequantize(type, blocks.data(), values);
  return values;
}

int byte_of(const std::vector<std::byte>& blocks, size_t i) {
  return std::to_integer<int>(blocks[i]);
}

std::vector<float> random_values(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

TEST(Q8_0, CodesAreOfTheUnroundedScale) {
  std::vector<float> x(32, 0.0F);
  x[0] = 127;  // d = 1
  x[1] = -127;
  x[2] = 2.5F;    // half away from zero: 3
  x[3] = -2.5F;   // -3
  x[31] = 0.49F;  // 0
  const auto blocks = quantised(Type::q8_0, x);
  EXPECT_EQ(byte_of(blocks, 0), 0x00);
  EXPECT_EQ(byte_of(blocks, 1), 0x3C);
  EXPECT_EQ(static_cast<int8_t>(blocks[2]), 127);
  EXPECT_EQ(static_cast<int8_t>(blocks[3]), -127);
  EXPECT_EQ(static_cast<int8_t>(blocks[4]), 3);
  EXPECT_EQ(static_cast<int8_t>(blocks[5]), -3);
  EXPECT_EQ(static_cast<int8_t>(blocks[33]), 0);
}

TEST(Q8_0, ErrorIsWithinHalfAStep) {
  const auto x = random_values(320, 1);
  const auto blocks = quantised(Type::q8_0, x);
  const auto y = restored(Type::q8_0, blocks, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    float largest = 0;
    for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
      largest = std::fmax(largest, std::fabs(x[j]));
    EXPECT_NEAR(y[i], x[i], largest / 127 * 0.5F + largest * 0x1p-11F) << i;
  }
}

TEST(Q4_0, LowNibblesComeFirstAndTheExtremeIsCodeZero) {
  std::vector<float> x(32, 0.0F);
  x[0] = -8;   // d = 1, code 0
  x[1] = 7;    // code 15
  x[16] = 1;   // high nibble of the first byte: 9
  x[17] = 20;  // the extreme: with it d = -2.5
  auto blocks = quantised(Type::q4_0, x);
  EXPECT_EQ(f16_to_float(static_cast<uint16_t>(byte_of(blocks, 0) | byte_of(blocks, 1) << 8)),
            -2.5F);
  x[17] = 0;
  blocks = quantised(Type::q4_0, x);
  EXPECT_EQ(byte_of(blocks, 1), 0x3C);
  EXPECT_EQ(byte_of(blocks, 2), 0x90);
  EXPECT_EQ(byte_of(blocks, 3), 0x8F);
  EXPECT_EQ(restored(Type::q4_0, blocks, 32), x);
}

TEST(Q4_0, PositiveExtremesSaturateAtFifteen) {
  std::vector<float> x(32, 0.0F);
  x[0] = -8;
  x[1] = 8;  // would be code 16
  EXPECT_EQ(byte_of(quantised(Type::q4_0, x), 3), 0x8F);
}

TEST(Blocks, ZerosAndTinyValuesAreZero) {
  for (const Type type : {Type::q8_0, Type::q4_0}) {
    EXPECT_EQ(restored(type, quantised(type, std::vector<float>(32, 0.0F)), 32),
              std::vector<float>(32, 0.0F));
    const auto tiny = restored(type, quantised(type, std::vector<float>(32, 1e-44F)), 32);
    for (const float value : tiny) EXPECT_EQ(value, 0);
  }
}

TEST(Blocks, OneNanOrInfinityMakesItsBlockNan) {
  for (const Type type : {Type::q8_0, Type::q4_0}) {
    for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
      auto x = random_values(64, 2);
      x[7] = bad;
      const auto y = restored(type, quantised(type, x), 64);
      for (size_t i = 0; i < 32; ++i) EXPECT_TRUE(std::isnan(y[i]));
      for (size_t i = 32; i < 64; ++i) EXPECT_TRUE(std::isfinite(y[i]));
    }
  }
}

TEST(Blocks, QuantisingWhatWasRestoredChangesNothing) {
  for (const Type type : {Type::q8_0, Type::q4_0}) {
    const auto blocks = quantised(type, random_values(320, 3));
    EXPECT_EQ(quantised(type, restored(type, blocks, 320)), blocks) << name(type);
  }
}

// The packing written the other way round: scales and minima into their 12 bytes.
std::array<std::byte, 12> pack_scales(const std::array<int, 8>& scales,
                                      const std::array<int, 8>& mins) {
  std::array<int, 12> bytes{};
  for (size_t i = 0; i < 4; ++i) {
    bytes[i] = scales[i] | (scales[i + 4] >> 4) << 6;
    bytes[i + 4] = mins[i] | (mins[i + 4] >> 4) << 6;
    bytes[i + 8] = (scales[i + 4] & 15) | (mins[i + 4] & 15) << 4;
  }
  std::array<std::byte, 12> packed{};
  for (size_t i = 0; i < 12; ++i) packed[i] = static_cast<std::byte>(bytes[i]);
  return packed;
}

TEST(Q4_K, SixBitScalesAndMinimaUnpack) {
  const std::array<int, 8> scales = {1, 63, 17, 40, 63, 32, 5, 48};
  const std::array<int, 8> mins = {0, 9, 63, 33, 16, 63, 1, 47};
  const auto packed = pack_scales(scales, mins);
  for (int s = 0; s < 8; ++s) {
    const ScaleMin found = q4_k_scale_min(packed.data(), s);
    EXPECT_EQ(found.scale, scales[static_cast<size_t>(s)]) << s;
    EXPECT_EQ(found.min, mins[static_cast<size_t>(s)]) << s;
  }
}

TEST(Q4_K, ValuesAreScaledCodesLessScaledMinima) {
  const std::array<int, 8> scales = {1, 2, 3, 4, 50, 60, 7, 8};
  const std::array<int, 8> mins = {0, 1, 2, 3, 40, 50, 60, 63};
  std::vector<std::byte> block(144);
  block[1] = std::byte{0x38};  // d = 0.5
  block[3] = std::byte{0x34};  // dmin = 0.25
  const auto packed = pack_scales(scales, mins);
  std::memcpy(block.data() + 4, packed.data(), packed.size());
  for (size_t i = 0; i < 128; ++i) block[16 + i] = static_cast<std::byte>(i * 73 & 0xFF);
  const auto values = restored(Type::q4_K, block, 256);
  for (size_t i = 0; i < 256; ++i) {
    const size_t s = i / 32;
    const int code = static_cast<int>((s / 2 * 32 + i % 32) * 73 & 0xFF) >> (s % 2 * 4) & 15;
    EXPECT_EQ(values[i],
              0.5F * static_cast<float>(scales[s] * code) - 0.25F * static_cast<float>(mins[s]))
        << i;
  }
}

}  // namespace
}  // namespace lathe::ir
