// Sums of several vectors at once are those of reduce_add, to the bit.
#include "compiler/kernels/attention/lane_sums.h"

#include <algorithm>
#include <bit>

#include <gtest/gtest.h>

#include "ir/program/interpreter.h"
#include "ir/program/verifier.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::BufferView;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Span;
using ir::program::Vec;

// The results of one program over `x`: first the vector of sums, then each by reduce_add.
std::vector<float> run(const ir::Target& target, int count, std::vector<float> x,
                       std::vector<size_t>& vector_of) {
  Builder b("lane_sums", target);
  const Pointer from = b.buffer("x", ir::Type::f32, BufferAccess::read);
  const Pointer to = b.buffer("y", ir::Type::f32, BufferAccess::write);
  std::vector<Vec> vectors;
  for (int i = 0; i < count; ++i) vectors.push_back(b.load(from, Span{i * b.lanes()}));
  const LaneSums sums = lane_sums(b, vectors);
  vector_of = sums.vector_of;
  b.store(to, Span{}, sums.sums);
  for (int i = 0; i < count; ++i)
    b.store(to, Span{(1 + i) * b.lanes()}, b.reduce_add(vectors[static_cast<size_t>(i)]));
  const ir::program::Program program = b.finish();
  const auto valid = ir::program::verify(program);
  EXPECT_TRUE(valid) << valid.error().message;
  std::vector<float> y(static_cast<size_t>((1 + count) * target.lanes));
  const std::vector<BufferView> views = {
      {reinterpret_cast<std::byte*>(x.data()), static_cast<int64_t>(x.size() * sizeof(float))},
      {reinterpret_cast<std::byte*>(y.data()), static_cast<int64_t>(y.size() * sizeof(float))}};
  const auto trace = ir::program::interpret(program, views, {});
  EXPECT_TRUE(trace) << trace.error().message;
  return y;
}

TEST(LaneSums, AreThoseOfReduceAdd) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = *ir::parse_target(name);
    const auto lanes = static_cast<size_t>(target.lanes);
    for (int count = 1; count <= target.lanes; count *= 2) {
      // Numbers whose sum depends on the order.
      std::vector<float> x;
      for (size_t i = 0; i < static_cast<size_t>(count) * lanes; ++i)
        x.push_back(static_cast<float>(i * i % 97) / 7.0F - 1e3F * static_cast<float>(i % 3));
      std::vector<size_t> vector_of;
      const std::vector<float> y = run(target, count, x, vector_of);
      ASSERT_EQ(vector_of.size(), lanes);
      std::vector<bool> is_there(static_cast<size_t>(count));
      for (size_t lane = 0; lane < lanes; ++lane) {
        ASSERT_LT(vector_of[lane], static_cast<size_t>(count));
        is_there[vector_of[lane]] = true;
        EXPECT_EQ(std::bit_cast<uint32_t>(y[lane]),
                  std::bit_cast<uint32_t>(y[(1 + vector_of[lane]) * lanes]))
            << name << ", lane " << lane << " of " << count << " sums";
      }
      EXPECT_EQ(std::count(is_there.begin(), is_there.end(), true), count);
    }
  }
}

}  // namespace
}  // namespace lathe::compiler::kernels::attention
