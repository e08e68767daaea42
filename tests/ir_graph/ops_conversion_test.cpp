// Casts between all kinds of types, and block quantisation inside a graph.
#include "ir/gguf_blocks.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

std::vector<double> cast(Type from, Type to, const std::vector<double>& x) {
  return run_one(fmt::format("graph g(%x: {}[n]) -> (%y) {{ %y = cast(%x) {{type = {}}} }}",
                             name(from), name(to)),
                 {make_tensor(from, {static_cast<int64_t>(x.size())}, x)});
}

TEST(Cast, FloatsRoundToNearestEven) {
  expect_close(cast(Type::f32, Type::f16, {1 + 0x1p-11, 1 + 3 * 0x1p-11, 65520, -1e-9}),
               {1, 1 + 0x1p-9, kInf, 0}, 0);
  expect_close(cast(Type::f32, Type::bf16, {1 + 0x1p-8, 1 + 3 * 0x1p-8, kNan}),
               {1, 1 + 0x1p-6, kNan}, 0);
}

TEST(Cast, ToF32RoundsWhatWasComputedInDouble) {
  const auto y = run_one(
      "graph g(%x: f32[1], %z: f32[1]) -> (%y) { %q = div(%x, %z) %y = cast(%q) {type = f32} }",
      {f32({1}, {1}), f32({1}, {3})});
  EXPECT_EQ(y[0], static_cast<double>(1.0F / 3.0F));
}

TEST(Cast, FloatsToIntegersTruncateSaturateAndNanIsZero) {
  expect_close(cast(Type::f32, Type::i8, {1.9, -1.9, 300, -300, kNan, kInf}),
               {1, -1, 127, -128, 0, 127}, 0);
  expect_close(cast(Type::f32, Type::u8, {-5, 255.5, 256}), {0, 255, 255}, 0);
  expect_close(cast(Type::f32, Type::u64, {1e30, -kInf, 3}), {18446744073709551615.0, 0, 3}, 0);
  expect_close(cast(Type::f32, Type::i64, {-1e30, 1e30}),
               {-9223372036854775808.0, 9223372036854775807.0}, 0);
}

TEST(Cast, IntegersWrapAndBoolIsNonZero) {
  expect_close(cast(Type::i32, Type::u8, {256, -1, 257}), {0, 255, 1}, 0);
  expect_close(cast(Type::i32, Type::i8, {128, -129}), {-128, 127}, 0);
  expect_close(cast(Type::i32, Type::boolean, {256, 0, -1}), {1, 0, 1}, 0);
  expect_close(cast(Type::f32, Type::boolean, {0.5, 0, kNan}), {1, 0, 1}, 0);
  expect_close(cast(Type::boolean, Type::f32, {1, 0}), {1, 0}, 0);
}

TEST(Cast, WideIntegersRoundOnce) {
  // Just above the half-way point between two bf16 values, by less than a double can tell.
  Tensor x(Type::u64, {2});
  x.as<uint64_t>()[0] = (uint64_t{1} << 63) + (uint64_t{1} << 55) + 1;
  x.as<uint64_t>()[1] = (uint64_t{1} << 63) + (uint64_t{1} << 55);
  const auto y = run_one("graph g(%x: u64[2]) -> (%y) { %y = cast(%x) {type = bf16} }", {x});
  expect_close(y, {0x1p63 + 0x1p56, 0x1p63}, 0);
}

TEST(Quantize, BlocksAreThoseOfTheFormat) {
  for (const Type type : {Type::q8_0, Type::q4_0}) {
    const Tensor x = random_f32({3, 64}, 5);
    const Graph graph =
        parse_valid(fmt::format("graph g(%x: f32[rows, 64]) -> (%q, %y) {{ %q = quantize(%x) "
                                "{{type = {}}} %y = dequantize(%q) }}",
                                name(type)));
    const auto outputs = evaluate(graph, std::vector<Tensor>{x}).value();
    std::vector<std::byte> blocks(static_cast<size_t>(bytes_of(type, 192)));
    quantize(type, x.as<float>(), blocks.data());
    ASSERT_EQ(outputs[0].type(), type);
    EXPECT_TRUE(std::equal(blocks.begin(), blocks.end(), outputs[0].data()));
    for (int64_t i = 0; i < 192; ++i) EXPECT_EQ(outputs[0].at(i), outputs[1].at(i));
  }
}

TEST(QuantizeRows, CodesAreNearestAndRowsHaveOneScale) {
  const Graph graph =
      parse_valid("graph g(%x: f32[rows, 5]) -> (%c, %s) { %c, %s = quantize_rows(%x) }");
  const Tensor x = f32({4, 5}, {127,      0.5,  -1.5, 2.5, -126.6,  //
                                0,        0,    -0.0, 0,   0,       //
                                1,        kNan, 2,    3,   4,       //
                                0x1p-149, 0,    0,    0,   0});
  const auto outputs = evaluate(graph, std::vector<Tensor>{x}).value();
  ASSERT_EQ(outputs[0].type(), Type::i8);
  ASSERT_EQ(outputs[1].shape(), (std::vector<int64_t>{4, 1}));
  const std::vector<double> codes = {127, 0, -2, 2, -127};
  for (int64_t i = 0; i < 20; ++i)
    EXPECT_EQ(outputs[0].at(i), i < 5 ? codes[static_cast<size_t>(i)] : 0) << i;
  EXPECT_EQ(outputs[1].at(0), 1);
  EXPECT_EQ(outputs[1].at(1), 0);
  EXPECT_TRUE(std::isnan(outputs[1].at(2)));
}

TEST(Dequantize, RoundsToTheTypeAskedFor) {
  Tensor x(Type::q8_0, {32});
  quantize(Type::q8_0, random_f32({32}, 6).as<float>(), x.data());
  const auto y =
      run_one("graph g(%x: q8_0[32]) -> (%y) { %y = dequantize(%x) {type = bf16} }", {x});
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_EQ(y[static_cast<size_t>(i)], round_to(Type::bf16, x.at(i)));
}

}  // namespace
}  // namespace lathe::ir::graph
