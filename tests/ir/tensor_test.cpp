// Storage, element access and rounding of host tensors.
#include "ir/tensor.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace lathe::ir {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

double after_set(Type type, double value) {
  Tensor tensor(type, {1});
  tensor.set(0, value);
  return tensor.at(0);
}

TEST(Tensor, StartsAsZerosOnAlignedStorage) {
  Tensor tensor(Type::f32, {3, 5});
  EXPECT_EQ(tensor.elements(), 15);
  EXPECT_EQ(tensor.bytes(), 60);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0U);
  for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(tensor.at(i), 0);
}

TEST(Tensor, ScalarsAndEmptyTensors) {
  EXPECT_EQ(Tensor(Type::i8, {}).elements(), 1);
  Tensor empty(Type::f32, {4, 0});
  EXPECT_EQ(empty.elements(), 0);
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_TRUE(empty.as<float>().empty());
}

TEST(Tensor, CopiesAreIndependent) {
  Tensor a(Type::i32, {2});
  a.set(0, 7);
  Tensor b = a;
  b.set(0, 8);
  EXPECT_EQ(a.at(0), 7);
  EXPECT_EQ(b.at(0), 8);
}

TEST(Tensor, FloatsRoundToNearestEven) {
  EXPECT_EQ(after_set(Type::f32, 1 + 0x1p-24), 1);
  EXPECT_EQ(after_set(Type::f16, 1 + 0x1p-11), 1);
  EXPECT_EQ(after_set(Type::bf16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(after_set(Type::f16, 1e6), kInf);
  EXPECT_TRUE(std::isnan(after_set(Type::bf16, std::nan(""))));
}

TEST(Tensor, IntegersRoundToEvenAndSaturate) {
  EXPECT_EQ(after_set(Type::i8, 2.5), 2);
  EXPECT_EQ(after_set(Type::i8, 1000), 127);
  EXPECT_EQ(after_set(Type::i8, -kInf), -128);
  EXPECT_EQ(after_set(Type::u16, -3), 0);
  EXPECT_EQ(after_set(Type::u32, 1e20), 4294967295.0);
  EXPECT_EQ(after_set(Type::i32, std::nan("")), 0);
  EXPECT_EQ(after_set(Type::boolean, 0.25), 1);
}

TEST(Tensor, SixtyFourBitEndsAreExact) {
  Tensor tensor(Type::i64, {2});
  tensor.set(0, kInf);
  tensor.set(1, -kInf);
  EXPECT_EQ(tensor.as<int64_t>()[0], std::numeric_limits<int64_t>::max());
  EXPECT_EQ(tensor.as<int64_t>()[1], std::numeric_limits<int64_t>::min());
  Tensor wide(Type::u64, {1});
  wide.set(0, 0x1p64);
  EXPECT_EQ(wide.as<uint64_t>()[0], std::numeric_limits<uint64_t>::max());
}

TEST(Tensor, ReadsBlocksElementByElement) {
  Tensor tensor(Type::q8_0, {2, 32});
  auto bytes = tensor.as<uint8_t>();
  bytes[34] = 0x00;  // second block: d = 2 in f16
  bytes[35] = 0x40;
  bytes[34 + 2 + 5] = 0xFD;  // -3
  EXPECT_EQ(tensor.at(32 + 5), -6);
  EXPECT_EQ(tensor.at(5), 0);
}

}  // namespace
}  // namespace lathe::ir
