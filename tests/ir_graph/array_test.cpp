// Arrays hold every tensor type exactly and round only on the way out.
#include "ir/graph/array.h"

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

TEST(Array, RoundTripsEveryPlainType) {
  for (const Type type : {Type::f32, Type::f16, Type::bf16, Type::boolean, Type::i8, Type::u8,
                          Type::i16, Type::u16, Type::i32, Type::u32, Type::i64, Type::u64}) {
    Tensor tensor(type, {2, 2});
    for (int64_t i = 0; i < 4; ++i) tensor.set(i, static_cast<double>(i % 2));
    const Tensor back = to_tensor(to_array(tensor));
    EXPECT_EQ(back.type(), type);
    EXPECT_EQ(back.shape(), tensor.shape());
    EXPECT_TRUE(std::equal(back.data(), back.data() + back.bytes(), tensor.data())) << name(type);
  }
}

TEST(Array, SixtyFourBitsStayExact) {
  Tensor tensor(Type::u64, {1});
  tensor.as<uint64_t>()[0] = ~uint64_t{0};
  EXPECT_EQ(to_tensor(to_array(tensor)).as<uint64_t>()[0], ~uint64_t{0});
  EXPECT_EQ(to_doubles(to_array(tensor))[0], 0x1p64);
}

TEST(Array, BlocksStayAsTheyAre) {
  Tensor tensor(Type::q4_K, {256});
  for (int64_t i = 0; i < tensor.bytes(); ++i) tensor.data()[i] = static_cast<std::byte>(i * 37);
  const Tensor back = to_tensor(to_array(tensor));
  EXPECT_TRUE(std::equal(back.data(), back.data() + back.bytes(), tensor.data()));
}

TEST(Array, WrapsToTheWidth) {
  EXPECT_EQ(wrap_to(Type::i8, 200), -56);
  EXPECT_EQ(wrap_to(Type::u8, -1), 255);
  EXPECT_EQ(wrap_to(Type::boolean, 256), 1);
  EXPECT_EQ(wrap_to(Type::u32, -1), 4294967295);
}

TEST(Array, RoundsOnce) {
  EXPECT_EQ(round_to(Type::f32, 1 + 0x1p-24), 1);
  EXPECT_EQ(round_to(Type::bf16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7);
  EXPECT_EQ(round_to(Type::f16, 1e6), kInf);
}

}  // namespace
}  // namespace lathe::ir::graph
