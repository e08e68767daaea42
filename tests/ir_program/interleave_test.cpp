// What is interleaved, and what stays as it was written.
#include "ir/program/interleave.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "ir/program/builder.h"

namespace lathe::ir::program {
namespace {

// The ops inside the loop over `trips` trips of `unroll` places, in order.
std::vector<Op> ops(const std::string& target, int unroll,
                    const std::function<void(Builder&, Pointer, Pointer, const Span&, int)>& body) {
  Builder b("places", *parse_target(target));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read_write);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  b.vectors(int64_t{4} * unroll * b.lanes(), unroll,
            [&](const Span& at, int place) { body(b, x, y, at, place); });
  const Program program = b.finish();
  std::vector<Op> found;
  for (const Node& node : std::get<Loop>(program.body.back().value).body)
    found.push_back(std::get<Instr>(node.value).op);
  return found;
}

using Ops = std::vector<Op>;

TEST(Interleave, IndependentPlacesAlternate) {
  const auto body = [](Builder& b, Pointer x, Pointer y, const Span& at, int) {
    b.store(y, at, b.sqrt(b.load(x, at)));
  };
  EXPECT_EQ(ops("avx2", 2, body),
            (Ops{Op::load, Op::load, Op::fsqrt, Op::fsqrt, Op::store, Op::store}));
}

TEST(Interleave, APlaceThatMovesAPointerKeepsItsOrder) {
  const auto body = [](Builder& b, Pointer x, Pointer y, const Span&, int) {
    b.store(y, Span{}, b.load(x, Span{}));
    b.advance(x, 32);
  };
  EXPECT_EQ(ops("avx2", 2, body),
            (Ops{Op::load, Op::store, Op::pmov, Op::load, Op::store, Op::pmov}));
}

TEST(Interleave, ALoadDoesNotPassAStoreToTheSameBytes) {
  const auto body = [](Builder& b, Pointer x, Pointer, const Span& at, int) {
    b.store(x, Span{at.offset + 1, at.index}, b.load(x, at));
  };
  EXPECT_EQ(ops("avx2", 2, body), (Ops{Op::load, Op::store, Op::load, Op::store}));
}

TEST(Interleave, APlaceThatReadsTheResultOfAnotherKeepsItsOrder) {
  Vec last;
  const auto body = [&](Builder& b, Pointer x, Pointer y, const Span& at, int place) {
    const Vec value = b.load(x, at);
    const Vec sum = b.add(value, place == 0 ? value : last);
    last = b.mul(sum, sum);
    b.store(y, at, last);
  };
  EXPECT_EQ(ops("avx2", 2, body), (Ops{Op::load, Op::fadd, Op::fmul, Op::store, Op::load, Op::fadd,
                                       Op::fmul, Op::store}));
}

TEST(Interleave, ASharedSumIsAddedToInTheSameOrder) {
  Builder b("sum", *parse_target("avx2"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Vec sum = b.copy(b.constant(0.0F));
  b.vectors(64, 2, [&](const Span& at, int) { b.set(sum, b.add(sum, b.load(x, at))); });
  const Program program = b.finish();
  const Block& body = std::get<Loop>(program.body.back().value).body;
  ASSERT_EQ(body.size(), 4U);
  EXPECT_EQ(std::get<Instr>(body[2].value).src[1], std::get<Instr>(body[0].value).dst);
  EXPECT_EQ(std::get<Instr>(body[3].value).src[1], std::get<Instr>(body[1].value).dst);
}

TEST(Interleave, OnlyAsManyAsTheRegistersHold) {
  // Seven values live at once: two pieces fit 16 registers if one of them adds before the other has
  // loaded all; 32 hold four in full.
  const auto body = [](Builder& b, Pointer x, Pointer y, const Span& at, int) {
    std::vector<Vec> values;
    for (int i = 0; i < 7; ++i) values.push_back(b.load(x, at));
    Vec sum = values[0];
    for (int i = 1; i < 7; ++i) sum = b.add(sum, values[static_cast<size_t>(i)]);
    b.store(y, at, sum);
  };
  const Ops narrow = ops("avx2", 2, body), wide = ops("avx512", 4, body);
  EXPECT_EQ(narrow[11], Op::load);
  EXPECT_EQ(narrow[12], Op::load);
  EXPECT_EQ(narrow[13], Op::fadd);
  EXPECT_EQ(narrow[14], Op::load);
  EXPECT_EQ(wide[27], Op::load);
  EXPECT_EQ(wide[28], Op::fadd);
}

TEST(Interleave, AValueOfLongStandingIsLoadedAgainWhereMorePiecesFitThen) {
  // Three values besides x: with x four pieces do not fit 16 registers turn by turn, without it
  // they do.
  const auto body = [](Builder& b, Pointer x, Pointer y, const Span& at, int) {
    const Vec v = b.load(x, at);
    std::vector<Vec> values;
    for (int i = 0; i < 3; ++i) values.push_back(b.sqrt(i == 0 ? v : values.back()));
    for (int i = 0; i < 6; ++i)
      for (Vec& value : values) value = b.add(value, values[0]);
    b.store(y, at, b.div(v, b.add(values[0], b.add(values[1], values[2]))));
  };
  const Ops found = ops("avx2", 4, body);
  EXPECT_EQ(std::count(found.begin(), found.end(), Op::load), 8);
}

}  // namespace
}  // namespace lathe::ir::program
