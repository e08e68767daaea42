// Instructions that move between lanes, and masks.
#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

Lanes counting(int n, uint32_t start) {
  Lanes lanes;
  for (int i = 0; i < n; ++i) lanes.push_back(start + static_cast<uint32_t>(i));
  return lanes;
}

// One program over two inputs, built by `body` from their first vectors.
template <typename F>
Lanes run_two(const Target& target, const Lanes& a, const Lanes& b, F body) {
  Builder builder("two", target);
  const Pointer x = builder.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = builder.buffer("y", Type::f32, BufferAccess::read);
  const Pointer out = builder.buffer("out", Type::f32, BufferAccess::write);
  const Vec va = builder.load(x, Span{}), vb = builder.load(y, Span{});
  builder.store(out, Span{}, body(builder, va, vb));
  return run_program(builder.finish(), {a, b}, static_cast<size_t>(target.lanes));
}

TEST(InterpreterLanes, Permute) {
  for (const Target& target : all_targets()) {
    const int n = target.lanes;
    std::vector<uint8_t> reverse;
    for (int i = 0; i < n; ++i) reverse.push_back(static_cast<uint8_t>(n - 1 - i));
    const Lanes found = run_two(target, counting(n, 100), counting(n, 0),
                                [&](Builder& b, Vec a, Vec) { return b.permute(a, reverse); });
    for (int i = 0; i < n; ++i)
      EXPECT_EQ(found[static_cast<size_t>(i)], 100U + static_cast<uint32_t>(n - 1 - i));
  }
}

TEST(InterpreterLanes, ShuffleOfTwo) {
  for (const Target& target : all_targets()) {
    const int n = target.lanes;
    std::vector<uint8_t> odd;  // lanes 1, 3, 5 … of a ++ b
    for (int i = 0; i < n; ++i) odd.push_back(static_cast<uint8_t>(2 * i + 1));
    const Lanes found = run_two(target, counting(n, 0), counting(n, static_cast<uint32_t>(n)),
                                [&](Builder& b, Vec x, Vec y) { return b.shuffle(x, y, odd); });
    for (int i = 0; i < n; ++i) EXPECT_EQ(found[static_cast<size_t>(i)], 2U * i + 1);
  }
}

TEST(InterpreterLanes, ByteShuffleStaysInItsGroup) {
  for (const Target& target : all_targets()) {
    const int n = target.lanes;
    Lanes table, select;
    for (int i = 0; i < n; ++i) {
      const uint32_t first = static_cast<uint32_t>(4 * i);
      table.push_back((first + 3) << 24 | (first + 2) << 16 | (first + 1) << 8 | first);
      select.push_back(0x80010035);  // byte 5 of the group (1 of a single lane), 0, 1, zero
    }
    const Lanes found = run_two(target, table, select, [](Builder& b, Vec x, Vec y) {
      return b.int_op(Op::byte_shuffle, x, y);
    });
    for (int i = 0; i < n; ++i) {
      const uint32_t base = static_cast<uint32_t>(i / 4 * 16);
      const uint32_t fifth = n == 1 ? 0x35 % 4 : base + 5;
      EXPECT_EQ(found[static_cast<size_t>(i)], (base + 1) << 16 | base << 8 | fifth);
    }
  }
}

TEST(InterpreterLanes, LookupTakesTheIndexModuloEight) {
  for (const Target& target : all_targets()) {
    const int n = target.lanes;
    const Lanes found =
        run_two(target, counting(n, 0xFFFFFFFE), counting(n, 0), [](Builder& b, Vec x, Vec) {
          return b.lookup8(x, {10, 11, 12, 13, 14, 15, 16, 0xFEDCBA98});
        });
    for (int i = 0; i < n; ++i) {
      const uint32_t index = (static_cast<uint32_t>(i) + 6) % 8;
      EXPECT_EQ(found[static_cast<size_t>(i)], index == 7 ? 0xFEDCBA98U : 10 + index);
    }
  }
}

TEST(InterpreterLanes, ReduceAddsByHalves) {
  // Only this order keeps the 1: (2^24 + -2^24) first, then + 1.
  for (const Target& target : all_targets()) {
    if (target.lanes < 4) continue;
    const auto n = static_cast<size_t>(target.lanes);
    Lanes lanes(n, 0);
    lanes[0] = std::bit_cast<uint32_t>(0x1p24F);
    lanes[n / 2] = std::bit_cast<uint32_t>(-0x1p24F);
    lanes[1] = std::bit_cast<uint32_t>(1.0F);
    EXPECT_EQ(run_op(target, Op::reduce_add, {lanes}), Lanes(n, std::bit_cast<uint32_t>(1.0F)));
  }
  EXPECT_EQ(run_op(*parse_target("scalar"), Op::reduce_add, {floats({7})}), floats({7}));
}

TEST(InterpreterLanes, ReduceMinAndMax) {
  for (const Target& target : all_targets()) {
    const auto n = static_cast<size_t>(target.lanes);
    Lanes lanes;
    for (size_t i = 0; i < n; ++i)
      lanes.push_back(std::bit_cast<uint32_t>(static_cast<float>((i * 7 + 3) % 16)));
    float least = 100, most = -100;
    for (const uint32_t lane : lanes) {
      least = std::min(least, std::bit_cast<float>(lane));
      most = std::max(most, std::bit_cast<float>(lane));
    }
    EXPECT_EQ(run_op(target, Op::reduce_min, {lanes}), Lanes(n, std::bit_cast<uint32_t>(least)));
    EXPECT_EQ(run_op(target, Op::reduce_max, {lanes}), Lanes(n, std::bit_cast<uint32_t>(most)));
  }
}

TEST(InterpreterLanes, ReductionsFollowMinAndMaxForNan) {
  // sse: lanes 0 and 2, 1 and 3, then 0 and 1; each step gives its second where one is NaN.
  const Target sse = *parse_target("sse");
  EXPECT_EQ(run_op(sse, Op::reduce_max, {floats({kNan, 1, 2, 3})}), floats({3, 3, 3, 3}));
  EXPECT_TRUE(same_lane(run_op(sse, Op::reduce_max, {floats({5, 1, 2, kNan})})[0],
                        std::bit_cast<uint32_t>(kNan)));
  EXPECT_EQ(run_op(sse, Op::reduce_min, {floats({0.0F, 1, -0.0F, 1})}),
            floats({-0.0F, -0.0F, -0.0F, -0.0F}));
}

// Mask as lanes: 1 where set, 0 elsewhere.
template <typename F>
Lanes mask_of(const Target& target, const Lanes& a, const Lanes& b, F make) {
  return run_two(target, a, b, [&](Builder& builder, Vec x, Vec y) {
    return builder.select(make(builder, x, y), builder.constant_bits(1), builder.constant_bits(0));
  });
}

TEST(InterpreterLanes, FloatCompares) {
  const Target avx2 = *parse_target("avx2");
  const Lanes a = floats({1, 2, 2, kNan, 1, 0.0F, kInf, kNan});
  const Lanes b = floats({2, 1, 2, 1, kNan, -0.0F, kInf, kNan});
  const auto found = [&](Compare compare) {
    return mask_of(avx2, a, b, [&](Builder& c, Vec x, Vec y) { return c.compare(compare, x, y); });
  };
  EXPECT_EQ(found(Compare::lt), (Lanes{1, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(found(Compare::le), (Lanes{1, 0, 1, 0, 0, 1, 1, 0}));
  EXPECT_EQ(found(Compare::eq), (Lanes{0, 0, 1, 0, 0, 1, 1, 0}));
  EXPECT_EQ(found(Compare::ne), (Lanes{1, 1, 0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(found(Compare::ge), (Lanes{0, 1, 1, 0, 0, 1, 1, 0}));
  EXPECT_EQ(found(Compare::gt), (Lanes{0, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(InterpreterLanes, IntegerCompares) {
  const Target sse = *parse_target("sse");
  const Lanes a{1, 0xFFFFFFFF, 0x80000000, 5}, b{2, 1, 0x7FFFFFFF, 5};
  const auto found = [&](Compare compare) {
    return mask_of(sse, a, b,
                   [&](Builder& c, Vec x, Vec y) { return c.compare_int(compare, x, y); });
  };
  EXPECT_EQ(found(Compare::lt), (Lanes{1, 1, 1, 0}));
  EXPECT_EQ(found(Compare::le), (Lanes{1, 1, 1, 1}));
  EXPECT_EQ(found(Compare::eq), (Lanes{0, 0, 0, 1}));
  EXPECT_EQ(found(Compare::ne), (Lanes{1, 1, 1, 0}));
  EXPECT_EQ(found(Compare::ge), (Lanes{0, 0, 0, 1}));
  EXPECT_EQ(found(Compare::gt), (Lanes{0, 0, 0, 0}));
}

TEST(InterpreterLanes, NanMask) {
  EXPECT_EQ(mask_of(*parse_target("sse"), Lanes{0x7FC00000, 0xFF800001, 0x7F800000, 0}, Lanes(4),
                    [](Builder& b, Vec x, Vec) { return b.is_nan(x); }),
            (Lanes{1, 1, 0, 0}));
}

TEST(InterpreterLanes, MaskLogic) {
  const Lanes a{1, 1, 0, 0}, b{1, 0, 1, 0};
  const auto found = [&](auto combine) {
    return mask_of(*parse_target("sse"), a, b, [&](Builder& c, Vec x, Vec y) {
      const Vec zero = c.constant_bits(0);
      return combine(c, c.compare_int(Compare::ne, x, zero), c.compare_int(Compare::ne, y, zero));
    });
  };
  EXPECT_EQ(found([](Builder& c, Mask x, Mask y) { return c.both(x, y); }), (Lanes{1, 0, 0, 0}));
  EXPECT_EQ(found([](Builder& c, Mask x, Mask y) { return c.either(x, y); }), (Lanes{1, 1, 1, 0}));
  EXPECT_EQ(found([](Builder& c, Mask x, Mask) { return c.negate(x); }), (Lanes{0, 0, 1, 1}));
}

TEST(InterpreterLanes, SelectMovesBits) {
  const Lanes found = run_two(*parse_target("sse"), Lanes{0x7F800001, 2, 3, 4},
                              Lanes{5, 6, 0xFF800001, 8}, [](Builder& b, Vec x, Vec y) {
                                const Mask first =
                                    b.compare_int(Compare::lt, b.iota(), b.constant_bits(2));
                                return b.select(first, x, y);
                              });
  EXPECT_EQ(found, (Lanes{0x7F800001, 2, 0xFF800001, 8}));
}

}  // namespace
}  // namespace lathe::ir::program
