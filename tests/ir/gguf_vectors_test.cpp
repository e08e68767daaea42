// Blocks bit for bit as others make and read them, and what those leave open: numbers out of range.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "ir/gguf_blocks.h"
#include "ir/npz.h"

namespace lathe::ir {
namespace {

constexpr Type kTypes[] = {Type::q8_0, Type::q4_0, Type::q4_K};

Tensor vector(const std::string& name) {
  static const auto npz = Npz::open("tests/data/gguf/blocks.npz");
  EXPECT_TRUE(npz.has_value()) << "run from the repository's root: " << npz.error().message;
  auto tensor = npz ? npz->read(name) : tl::unexpected(npz.error());
  EXPECT_TRUE(tensor.has_value()) << name;
  return tensor ? std::move(*tensor) : Tensor();
}

std::vector<std::byte> quantised(Type type, std::span<const float> x) {
  std::vector<std::byte> blocks(
      static_cast<size_t>(bytes_of(type, static_cast<int64_t>(x.size()))));
  quantize(type, x, blocks.data());
  return blocks;
}

std::vector<float> restored(Type type, std::span<const std::byte> blocks, size_t count) {
  std::vector<float> values(count);
  dequantize(type, blocks.data(), values);
  return values;
}

std::vector<float> round_trip(Type type, std::span<const float> x) {
  return restored(type, quantised(type, x), x.size());
}

TEST(GgufVectors, QuantisersGiveTheSameBytes) {
  const Tensor x = vector("x");
  for (const Type type : kTypes) {
    const Tensor expected = vector(std::string(name(type)));
    const auto blocks = quantised(type, x.as<float>());
    ASSERT_EQ(static_cast<int64_t>(blocks.size()), expected.bytes()) << name(type);
    for (size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_EQ(std::to_integer<int>(blocks[i]), std::to_integer<int>(expected.data()[i]))
          << name(type) << ", block " << i / static_cast<size_t>(info(type).block_bytes)
          << ", byte " << i % static_cast<size_t>(info(type).block_bytes);
    }
  }
}

TEST(GgufVectors, BlocksReadAsTheSameValues) {
  for (const std::string file : {"q8_0", "q4_0", "q4_K", "q4_K_noise"}) {
    const Type type = parse_type(file.substr(0, 4)).value();
    const Tensor blocks = vector(file), expected = vector(file + "_values");
    const auto values = restored(type, {blocks.data(), static_cast<size_t>(blocks.bytes())},
                                 expected.as<float>().size());
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(values[i], expected.as<float>()[i]) << file << "[" << i << "]";
  }
}

TEST(GgufVectors, ZerosAreZero) {
  for (const Type type : kTypes)
    for (const float zero : {0.0F, -0.0F})
      for (const float value : round_trip(type, std::vector<float>(256, zero))) EXPECT_EQ(value, 0);
}

TEST(GgufVectors, DenormalsAreZeroNotGarbage) {
  for (const Type type : kTypes) {
    for (const float tiny : {1e-45F, 1e-40F, 1e-38F, -1e-41F}) {
      std::vector<float> x(256, tiny);
      for (size_t i = 0; i < x.size(); i += 3) x[i] *= -2;
      for (const float value : round_trip(type, x))
        EXPECT_EQ(value, 0) << name(type) << " " << tiny;
    }
  }
}

// f16 factors reach 65504 times the largest code: beyond, a block cannot hold its values, and says
// so.
TEST(GgufVectors, WhatTheFactorsCannotHoldIsInfiniteOrNanAndTheNextBlockIsNotTouched) {
  for (const Type type : kTypes) {
    for (const float huge : {1e9F, 1e30F, std::numeric_limits<float>::max()}) {
      std::vector<float> x(512, 1.0F);
      for (size_t i = 0; i < 256; ++i) x[i] = i % 2 == 0 ? huge : -huge;
      const auto values = round_trip(type, x);
      for (size_t i = 0; i < 256; ++i)
        EXPECT_FALSE(std::isfinite(values[i])) << name(type) << " " << i;
      for (size_t i = 256; i < 512; ++i) EXPECT_NEAR(values[i], 1, 0.01) << name(type) << " " << i;
    }
  }
}

TEST(GgufVectors, OneNanOrInfinityMakesItsBlockNan) {
  for (const Type type : kTypes) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      std::vector<float> x(512, 0.5F);
      x[255] = bad;
      const auto values = round_trip(type, x);
      const auto block = static_cast<size_t>(info(type).block_elements);
      for (size_t i = 0; i < x.size(); ++i)
        EXPECT_EQ(std::isnan(values[i]), i / block == 255 / block) << name(type) << " " << i;
    }
  }
}

// q4_K's promise: a step of the part's range, and no worse than plain rounding to 16 steps.
TEST(GgufVectors, Q4KIsNoWorseThanSixteenEvenSteps) {
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(4096);
  for (float& value : x) value = normal(engine);
  const auto y = round_trip(Type::q4_K, x);
  double squares = 0, plain_squares = 0;
  for (size_t part = 0; part < x.size(); part += 32) {
    const auto [low, high] =
        std::minmax_element(x.begin() + static_cast<std::ptrdiff_t>(part),
                            x.begin() + static_cast<std::ptrdiff_t>(part + 32));
    const float step = (*high - *low) / 15;
    for (size_t i = part; i < part + 32; ++i) {
      const float plain = *low + step * std::round((x[i] - *low) / step);
      plain_squares += std::pow(plain - x[i], 2);
      squares += std::pow(y[i] - x[i], 2);
      EXPECT_NEAR(y[i], x[i], 1.2F * step) << i;
    }
  }
  EXPECT_LT(squares, plain_squares);
}

}  // namespace
}  // namespace lathe::ir
