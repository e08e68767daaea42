// Every pointer register is traced to its buffer.
#include "ir/program/provenance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/program/builder.h"

namespace lathe::ir::program {
namespace {

TEST(Provenance, FollowsMovesThroughLoopsAndBranches) {
  Builder b("trace", *parse_target("sse"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::read);
  const Scalar n = b.parameter("n");
  const Pointer x2 = b.offset(x, 4);
  Pointer y2, x3;
  b.loop(0, n, 1, [&](Scalar) {
    y2 = b.copy(y);
    b.advance(y2, 16);
    b.branch(Compare::lt, n, 3, [&] { x3 = b.copy(x2); }, [&] { b.advance(x2, 4); });
  });
  const auto buffers = pointer_buffers(b.finish());
  ASSERT_TRUE(buffers);
  EXPECT_EQ((*buffers)[x.reg.id], 0);
  EXPECT_EQ((*buffers)[y.reg.id], 1);
  EXPECT_EQ((*buffers)[x2.reg.id], 0);
  EXPECT_EQ((*buffers)[x3.reg.id], 0);
  EXPECT_EQ((*buffers)[y2.reg.id], 1);
}

TEST(Provenance, UnusedRegistersPointNowhere) {
  Builder b("unused", *parse_target("sse"));
  b.buffer("x", Type::f32, BufferAccess::read);
  Program program = b.finish();
  program.fresh(RegClass::pointer);
  EXPECT_THAT(pointer_buffers(program).value(), testing::ElementsAre(0, -1));
}

TEST(Provenance, OneRegisterIntoTwoBuffersIsAnError) {
  Builder b("two", *parse_target("sse"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::read);
  b.offset(y, 4);
  b.last()->dst = x.reg;
  const auto buffers = pointer_buffers(b.finish());
  ASSERT_FALSE(buffers);
  EXPECT_THAT(buffers.error().message, testing::HasSubstr("one pointer register for each buffer"));
}

}  // namespace
}  // namespace lathe::ir::program
