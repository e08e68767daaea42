// The builder: vectors() over awkward widths, set() without copies, shared constants.
#include "ir/program/builder.h"

#include <gmock/gmock.h>

#include "tests/ir_program/run_op.h"

namespace lathe::ir::program {
namespace {

int count(const Block& block, Op op) {
  int found = 0;
  for (const Node& node : block) {
    if (const auto* instr = std::get_if<Instr>(&node.value)) found += instr->op == op ? 1 : 0;
    if (const auto* loop = std::get_if<Loop>(&node.value)) found += count(loop->body, op);
    if (const auto* branch = std::get_if<Branch>(&node.value))
      found += count(branch->then, op) + count(branch->otherwise, op);
  }
  return found;
}

TEST(Builder, VectorsVisitEveryElementOnce) {
  for (const Target& target : all_targets()) {
    const int n = target.lanes;
    for (const int64_t width : {1, n - 1, n, n + 1, 2 * n, 3 * n + 1, 8 * n - 1, 13 * n + 2}) {
      for (const int unroll : {1, 2, 3, 4}) {
        Builder b("copy", target);
        const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
        const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
        b.vectors(width, unroll, [&](const Span& at, int place) {
          EXPECT_GE(place, 0);
          EXPECT_LT(place, unroll);
          b.store(y, at, b.int_op(Op::iadd, b.load(x, at), b.constant_bits(1)));
        });
        Lanes in;
        for (int64_t i = 0; i < width; ++i) in.push_back(static_cast<uint32_t>(i));
        const Lanes out = run_program(b.finish(), {in}, static_cast<size_t>(width));
        for (int64_t i = 0; i < width; ++i)
          ASSERT_EQ(out[static_cast<size_t>(i)], static_cast<uint32_t>(i + 1))
              << target.name << " width " << width << " unroll " << unroll;
      }
    }
  }
}

TEST(Builder, NoElementsNoCode) {
  Builder b("none", *parse_target("sse"));
  b.vectors(0, [](const Span&) { FAIL(); });
  EXPECT_TRUE(b.finish().body.empty());
}

TEST(Builder, FewVectorsNeedNoLoop) {
  Builder b("few", *parse_target("sse"));
  std::vector<int> places;
  b.vectors(4 * 4 + 1, 4, [&](const Span&, int place) { places.push_back(place); });
  EXPECT_THAT(places, testing::ElementsAre(0, 1, 2, 3, 0));
  EXPECT_TRUE(b.finish().body.empty());
}

TEST(Builder, ManyVectorsLoopOverWholeTrips) {
  Builder b("many", *parse_target("sse"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  b.vectors(4 * 11 + 3, 4, [&](const Span& at, int) { b.load(x, at); });
  const Program program = b.finish();
  const auto& loop = std::get<Loop>(program.body[0].value);
  EXPECT_EQ(loop.end.imm, 32);
  EXPECT_EQ(loop.step, 16);
  EXPECT_EQ(loop.body.size(), 4U);
  EXPECT_EQ(program.body.size(), 1U + 3 + 1);  // the loop, three vectors, the tail
  EXPECT_EQ(std::get<Instr>(program.body.back().value).scalar.imm, 3);
}

TEST(Builder, SetWritesTheResultItself) {
  Builder b("set", *parse_target("sse"));
  const Vec one = b.constant(1.0F);
  const Vec acc = b.add(one, one);
  b.set(acc, b.fma(one, one, acc));
  EXPECT_EQ(b.last()->dst, acc.reg);
  EXPECT_EQ(count(b.finish().body, Op::vmov), 0);
}

TEST(Builder, SetCopiesWhatOthersMaySee) {
  Builder b("set", *parse_target("sse"));
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  const Vec acc = b.vector(), other = b.vector();
  const Vec one = b.constant(1.0F);
  b.set(acc, one);    // a shared constant
  b.set(other, acc);  // a register with a name
  const Vec sum = b.add(acc, other);
  b.copy(sum);
  b.set(acc, sum);  // not the last instruction
  b.store(out, Span{}, b.add(acc, one));
  const Program program = b.finish();
  EXPECT_EQ(count(program.body, Op::vmov), 4);
  EXPECT_EQ(run_program(program, {}, 4), floats({3, 3, 3, 3}));
}

TEST(Builder, SetDoesNotReachOutOfItsBlock) {
  Builder b("set", *parse_target("sse"));
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  const Scalar n = b.parameter("n");
  const Vec acc = b.copy(b.constant(5.0F));
  const Vec two = b.add(b.constant(1.0F), b.constant(1.0F));
  b.branch(Compare::gt, n, 0, [&] { b.set(acc, two); });
  b.store(out, Span{}, acc);
  const Program program = b.finish();
  EXPECT_EQ(run_program(program, {}, 4, {0}), floats({5, 5, 5, 5}));
  EXPECT_EQ(run_program(program, {}, 4, {1}), floats({2, 2, 2, 2}));
}

TEST(Builder, SetOfMasksAndScalars) {
  Builder b("set", *parse_target("sse"));
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  const Scalar n = b.parameter("n");
  const Mask all = b.compare(Compare::eq, b.iota(), b.iota());
  const Mask none = b.negate(all);
  b.set(none, all);
  const Scalar m = b.scalar(1);
  b.set(m, n);
  b.loop(0, m, 1,
         [&](Scalar) { b.store(out, Span{}, b.select(none, b.constant(1.0F), b.constant(2.0F))); });
  EXPECT_EQ(run_program(b.finish(), {}, 4, {1}), floats({1, 1, 1, 1}));
}

TEST(Builder, EqualConstantsShareARegisterAtTheTop) {
  Builder b("constants", *parse_target("sse"));
  const Scalar n = b.parameter("n");
  Reg first, second, other, iota;
  b.loop(0, n, 1, [&](Scalar) {
    first = b.constant(1.0F).reg;
    second = b.constant_bits(0x3F800000).reg;
    other = b.constant(-0.0F).reg;
    iota = b.iota().reg;
  });
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
  EXPECT_EQ(iota, b.iota().reg);
  const Program program = b.finish();
  ASSERT_EQ(program.body.size(), 4U);
  EXPECT_EQ(std::get<Instr>(program.body[0].value).dst, first);
  EXPECT_TRUE(std::get<Loop>(program.body[3].value).body.empty());
}

TEST(Builder, ZerosOfBothSignsAreTwoConstants) {
  Builder b("zeros", *parse_target("sse"));
  EXPECT_NE(b.constant(0.0F).reg, b.constant(-0.0F).reg);
}

TEST(Builder, AdvanceMovesThePointerItself) {
  Builder b("advance", *parse_target("sse"));
  Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Scalar n = b.parameter("n");
  b.advance(x, 16);
  EXPECT_EQ(print(*b.last()), "%p0 = pmov [%p0 + 16]");
  b.advance(x, n);
  EXPECT_EQ(print(*b.last()), "%p0 = pmov [%p0 + %s0]");
}

TEST(Builder, OperatorsReadLikeFormulas) {
  Builder b("formula", *parse_target("scalar"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  const Vec v = b.load(x, Span{});
  b.store(out, Span{}, (v * 3.0F + 1.0F) / (v - 1.0F) - v);
  EXPECT_EQ(run_program(b.finish(), {floats({2})}, 1), floats({5}));
}

TEST(Builder, StoreStreamOfATailIsAPartialStore) {
  Builder b("stream", *parse_target("sse"));
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  b.vectors(5, [&](const Span& at) { b.store_stream(out, at, b.iota()); });
  const Program program = b.finish();
  EXPECT_EQ(count(program.body, Op::store_stream), 1);
  EXPECT_EQ(count(program.body, Op::store_part), 1);
}

}  // namespace
}  // namespace lathe::ir::program
