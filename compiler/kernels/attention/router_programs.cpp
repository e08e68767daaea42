// Pooling, projection and scores of blocks.
#include <algorithm>

#include "compiler/kernels/attention/router.h"
#include "compiler/kernels/attention/rows_at_once.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Instr;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

// 1 / count in every lane.
Vec reciprocal_of(Builder& b, Scalar count) {
  Instr instr{.op = Op::vsplat};
  instr.src[0] = count.reg;
  Vec lanes;
  lanes.reg = b.emit(instr);
  lanes.builder = &b;
  const Vec number = b.to_float(lanes);
  return b.copy(b.div(b.constant(1), number));
}

constexpr int kMostSums = 8;  // vectors of a pooled block that are summed at once

}  // namespace

Program pool_program(const Router& router, const RouterBlocking& blocking, int64_t heads,
                     const ir::Target& target) {
  Builder b("router_pool", target);
  const Pointer x = b.buffer("x", router.type, BufferAccess::read);
  const Pointer sums = b.buffer("sums", ir::Type::f32, BufferAccess::read_write);
  const Scalar rows = b.parameter("rows");
  const Scalar row_stride = b.parameter("x.stride1");
  const Scalar head_stride = b.parameter("x.stride2");
  const Pointer first = b.copy(sums);
  b.loop(0, heads, 1, [&](Scalar) {
    b.vectors(router.dim, [&](const Span& at) { b.store(first, at, b.constant(0)); });
    b.advance(first, router.dim * 4);
  });
  // All heads of some tokens, then the next tokens: memory is read as it lies where heads lie side
  // by side, and the sums stay in the first cache.
  some_at_once(b, rows, blocking.rows, [&](int count) {
    const FarRows near(b, x, count, row_stride);
    const Pointer to = b.copy(sums);
    b.loop(0, heads, 1, [&](Scalar) {
      b.vectors(router.dim, 2, [&](const Span& at, int) {
        Vec sum = b.load(to, at);
        for (int row = 0; row < count; ++row) sum = sum + b.load(near.at(row), at);
        b.store(to, at, sum);
      });
      near.advance(head_stride);
      b.advance(to, router.dim * 4);
    });
    b.advance(x, b.mul(row_stride, count));
  });
  return b.finish();
}

Program project_program(const Router& router, int64_t heads, const ir::Target& target) {
  Builder b("router_project", target);
  const Pointer sums = b.buffer("sums", ir::Type::f32, BufferAccess::read);
  Pointer w;
  if (router.has_weights()) w = b.buffer("w", ir::Type::f32, BufferAccess::read);
  const Pointer pooled = b.buffer("pooled", ir::Type::f32, BufferAccess::write);
  const Vec factor = reciprocal_of(b, b.parameter("rows"));
  // Of each head dim numbers of the sum, each by a row of w; or dim vectors that are added up.
  const int64_t steps = router.has_weights() ? heads * router.dim : heads;
  const int64_t lanes = b.lanes();
  for (int64_t column = 0; column < router.width(); column += kMostSums * lanes) {
    std::vector<Span> spans;
    for (int64_t at = column; at < std::min(column + kMostSums * lanes, router.width());
         at += lanes) {
      const int64_t count = std::min(lanes, router.width() - at);
      spans.push_back(Span{at, {}, count, count == lanes});
    }
    std::vector<Vec> totals;
    for (size_t i = 0; i < spans.size(); ++i) totals.push_back(b.copy(b.constant(0)));
    const Pointer from = b.copy(sums);
    Pointer weights;
    if (router.has_weights()) weights = b.copy(w);
    b.loop(0, steps, 1, [&](Scalar) {
      if (router.has_weights()) {
        const Vec value = b.load_splat(from);
        for (size_t i = 0; i < spans.size(); ++i)
          b.set(totals[i], b.fma(value, b.load(weights, spans[i]), totals[i]));
        b.advance(from, 4);
        b.advance(weights, router.rank * 4);
      } else {
        for (size_t i = 0; i < spans.size(); ++i)
          b.set(totals[i], totals[i] + b.load(from, spans[i]));
        b.advance(from, router.dim * 4);
      }
    });
    for (size_t i = 0; i < spans.size(); ++i) b.store(pooled, spans[i], totals[i] * factor);
  }
  return b.finish();
}

Program block_scores_program(const Router& router, const RouterBlocking& blocking,
                             const ir::Target& target) {
  Builder b("router_scores", target);
  const Pointer query = b.buffer("query", ir::Type::f32, BufferAccess::read);
  const Pointer keys = b.buffer("keys", ir::Type::f32, BufferAccess::read);
  const Pointer scores = b.buffer("scores", ir::Type::f32, BufferAccess::write);
  const Scalar columns = b.parameter("columns");
  const Scalar stride = b.scalar(router.width() * 4);
  some_at_once(b, columns, blocking.keys, [&](int count) {
    const FarRows near(b, keys, count, stride);
    std::vector<Vec> sums;
    for (int j = 0; j < count; ++j) sums.push_back(b.copy(b.constant(0)));
    b.vectors(router.width(), [&](const Span& at) {
      const Vec value = b.load(query, at);
      for (int j = 0; j < count; ++j) {
        const Vec sum = sums[static_cast<size_t>(j)];
        b.set(sum, b.fma(value, b.load(near.at(j), at), sum));
      }
    });
    for (int j = 0; j < count; ++j) {
      const Vec sum = b.reduce_add(sums[static_cast<size_t>(j)]);
      b.store(scores, Span{j, {}, 1, b.lanes() == 1}, sum * static_cast<float>(router.scale));
    }
    b.advance(keys, count * router.width() * 4);
    b.advance(scores, count * 4);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels::attention
