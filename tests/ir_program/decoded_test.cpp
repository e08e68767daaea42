// Programs flattened to jumps.
#include "ir/program/decoded.h"

#include <gtest/gtest.h>

#include "ir/program/builder.h"

namespace lathe::ir::program {
namespace {

TEST(Decoded, LoopsAndBranchesBecomeJumps) {
  Builder b("jumps", *parse_target("sse"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Scalar n = b.parameter("n");
  b.loop(0, n, 2, [&](Scalar) {
    b.branch(Compare::lt, n, 3, [&] { b.load(x, Span{}); }, [&] { b.load_splat(x); });
  });
  const Program program = b.finish();
  const Decoded decoded = decode(program);
  using Kind = Code::Kind;
  const std::vector<Kind> kinds{Kind::loop_begin, Kind::branch, Kind::instr,
                                Kind::jump,       Kind::instr,  Kind::loop_end};
  ASSERT_EQ(decoded.code.size(), kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(decoded.code[i].kind, kinds[i]) << i;
  EXPECT_EQ(decoded.code[0].target, 6U);  // past the loop
  EXPECT_EQ(decoded.code[1].target, 4U);  // to otherwise
  EXPECT_EQ(decoded.code[3].target, 5U);  // over it
  EXPECT_EQ(decoded.code[5].target, 1U);  // to the first of the body
  EXPECT_EQ(decoded.code[5].imm, 2);
  EXPECT_EQ(decoded.loops, 1U);
}

TEST(Decoded, EqualImmediatesShareAConstant) {
  Builder b("constants", *parse_target("sse"));
  const Scalar n = b.parameter("n");
  b.add(n, 5);
  b.sub(n, 5);
  b.mul(n, 6);
  const Program program = b.finish();
  const Decoded decoded = decode(program);
  EXPECT_EQ(decoded.constants, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(decoded.code[0].scalar, program.count(RegClass::scalar));
  EXPECT_EQ(decoded.code[0].scalar, decoded.code[1].scalar);
}

TEST(Decoded, VectorsCountTheirLanes) {
  Builder b("vectors", *parse_target("avx2"));
  const Vec v = b.iota();
  b.add(v, b.copy(v));
  const Program program = b.finish();
  const Decoded decoded = decode(program);
  EXPECT_EQ(decoded.code[1].dst, 8U);
  EXPECT_EQ(decoded.code[2].src[1], 8U);
}

TEST(Decoded, AddressesKnowTheirBuffer) {
  Builder b("address", *parse_target("sse"));
  b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f16, BufferAccess::read);
  const Scalar n = b.parameter("n");
  b.load(b.offset(y, 6), Span{3, n, 0, true});
  const Program program = b.finish();
  const Decoded decoded = decode(program);
  const Code& load = decoded.code[1];
  EXPECT_EQ(load.buffer, 1);
  EXPECT_EQ(load.index, n.reg.id);
  EXPECT_EQ(load.scale, 2);
  EXPECT_EQ(load.offset, 6);
}

}  // namespace
}  // namespace lathe::ir::program
