// Pairs taken apart and put together again. A vector of pairs is two vectors of elements.
#include "compiler/kernels/attention/pairs.h"

#include <algorithm>

#include "compiler/kernels/attention/attention.h"

namespace lathe::compiler::kernels::attention {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {

// The elements of pairs `at`, in two vectors, of which the second may be empty. A run-time index
// counts pairs: it moves the pointer on by as much again.
struct Elements {
  Elements(Builder& b, Pointer base, const Span& at) : pointer(base) {
    const int64_t lanes = b.lanes();
    const int64_t count = at.whole ? 2 * lanes : 2 * at.count.operand.imm;
    if (at.index.reg.valid()) pointer = b.offset(base, b.mul(at.index, ir::size_of(base.type)));
    const auto part = [&](int64_t offset, int64_t elements) {
      return Span{2 * at.offset + offset, at.index, elements, elements == lanes};
    };
    second_count = std::max<int64_t>(count - lanes, 0);
    first = part(0, std::min(count, lanes));
    second = part(lanes, second_count);
  }
  Pointer pointer;
  Span first, second;
  int64_t second_count;
};

}  // namespace

Vec load_half(Builder& b, Pointer row, Span at, Half half) {
  row.type = ir::Type::f32;  // a pair as the 32 bits that it is
  const Vec pairs = b.load(row, at);
  return half == Half::even ? b.shift(Op::ishl, pairs, 16)
                            : b.bit_and(pairs, b.constant_bits(0xffff0000U));
}

void store_pairs(Builder& b, Pointer to, const Span& at, Vec even, Vec odd) {
  const Elements elements(b, to, at);
  const int lanes = b.lanes();
  const auto in_turn = [&](int first) {
    std::vector<uint8_t> pattern;
    for (int i = first; i < first + lanes; ++i)
      pattern.push_back(static_cast<uint8_t>(i % 2 * lanes + i / 2));
    return b.shuffle(even, odd, std::move(pattern));
  };
  b.store(elements.pointer, elements.first, in_turn(0));
  if (elements.second_count > 0) b.store(elements.pointer, elements.second, in_turn(lanes));
}

void copy_halves(Builder& b, Pointer from, const Span& at, Pointer to, int64_t half) {
  const Elements elements(b, from, at);
  const int lanes = b.lanes();
  const Vec first = b.load(elements.pointer, elements.first);
  const Vec second =
      elements.second_count > 0 ? b.load(elements.pointer, elements.second) : b.copy(b.constant(0));
  const auto every_second = [&](int from_lane) {
    std::vector<uint8_t> pattern;
    for (int i = 0; i < lanes; ++i) pattern.push_back(static_cast<uint8_t>(2 * i + from_lane));
    return b.shuffle(first, second, std::move(pattern));
  };
  b.store(to, at, every_second(0));
  b.store(to, behind(at, half), every_second(1));
}

Program decode_queries_program(const Attention& attention, const DecodeBlocking& blocking,
                               const ir::Target& target) {
  if (!blocking.pairs_keys)
    return product::pack_rows_program(blocking.queries, blocking.packed, target);
  Builder b("attention_decode_queries", target);
  const Pointer x = b.buffer("x", attention.type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar stride = b.parameter("x.stride0");
  const int64_t half = attention.dim / 2;
  b.loop(0, rows, 1, [&](Scalar) {
    b.vectors(half, [&](const Span& at) { copy_halves(b, x, at, packed, half); });
    b.advance(x, stride);
    b.advance(packed, blocking.query_bytes());
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels::attention
