// Peak loops written like any kernel.
#include "tuner/roofline_programs.h"

#include "ir/program/builder.h"

namespace lathe::tuner {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

constexpr int kUnroll = 4;
constexpr int64_t kPrefetchBytes = 1024;

Vec fresh_zero(Builder& b) { return b.copy(b.constant(0.0f)); }

}  // namespace

int64_t stream_granule(const ir::Target& target) {
  return int64_t{kUnroll} * target.vector_bytes();
}

ir::program::Program fma_loop(const ir::Target& target, int accumulators) {
  Builder b("fma_loop", target);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  const Scalar iterations = b.parameter("iterations");
  const Vec factor = b.constant(0.5f);
  const Vec addend = b.constant(0.25f);
  std::vector<Vec> sums;
  for (int i = 0; i < accumulators; ++i) sums.push_back(fresh_zero(b));
  // Twice round the accumulators an iteration: the loop's own instructions stay hidden.
  b.loop(0, iterations, 2, [&](Scalar) {
    for (int round = 0; round < 2; ++round)
      for (Vec sum : sums) b.set(sum, b.fma(sum, factor, addend));
  });
  for (size_t i = 1; i < sums.size(); ++i) b.set(sums[0], b.add(sums[0], sums[i]));
  b.store(y, Span{}, sums[0]);  // a code generator that sees through the loop must not drop it
  return b.finish();
}

ir::program::Program read_loop(const ir::Target& target, int streams) {
  Builder b("read_loop", target);
  const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  const Scalar part_bytes = b.parameter("part_bytes");
  const Scalar distance = b.parameter("distance");
  std::vector<Pointer> parts;
  for (int s = 0; s < streams; ++s)
    parts.push_back(s == 0 ? b.copy(x) : b.offset(parts.back(), distance));
  std::vector<Vec> sums;
  for (int i = 0; i < kUnroll; ++i) sums.push_back(fresh_zero(b));
  const int64_t step = stream_granule(target);
  b.loop(0, part_bytes, step, [&](Scalar) {
    for (Pointer part : parts) {
      for (int64_t line = 0; line < step; line += 64) b.prefetch(part, kPrefetchBytes + line);
      for (int u = 0; u < kUnroll; ++u)
        b.set(sums[static_cast<size_t>(u)],
              b.bit_or(sums[static_cast<size_t>(u)], b.load(part, Span{u * int64_t{b.lanes()}})));
      b.advance(part, step);
    }
  });
  for (int i = 1; i < kUnroll; ++i) b.set(sums[0], b.bit_or(sums[0], sums[static_cast<size_t>(i)]));
  b.store(y, Span{}, sums[0]);
  return b.finish();
}

ir::program::Program copy_loop(const ir::Target& target, bool stream) {
  Builder b(stream ? "copy_stream" : "copy", target);
  const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  const Scalar bytes = b.parameter("bytes");
  const int64_t step = stream_granule(target);
  b.loop(0, bytes, step, [&](Scalar) {
    std::vector<Vec> values;
    for (int u = 0; u < kUnroll; ++u) values.push_back(b.load(x, Span{u * int64_t{b.lanes()}}));
    for (int u = 0; u < kUnroll; ++u) {
      const Span at{u * int64_t{b.lanes()}};
      if (stream) {
        b.store_stream(y, at, values[static_cast<size_t>(u)]);
      } else {
        b.store(y, at, values[static_cast<size_t>(u)]);
      }
    }
    b.advance(x, step);
    b.advance(y, step);
  });
  return b.finish();
}

}  // namespace lathe::tuner
