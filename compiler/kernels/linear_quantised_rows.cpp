// How x lies in scratch for products with quantised weights, and the programs that write it so.
#include <algorithm>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/linear_quantised.h"

namespace lathe::compiler::kernels {

using ir::Type;
using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int64_t kLine = 64;

// k of a row as they are stored, and as many as share a scale.
int64_t stored_k(const Linear& linear) {
  return linear.by_channel() ? (linear.k + kBlock - 1) / kBlock * kBlock : linear.k;
}
int64_t blocks_of(const Linear& linear) { return linear.by_channel() ? 1 : linear.k / kBlock; }

// The second of a block's factors, from the sum of its codes.
void store_cost(Builder& b, const QuantisedRows& layout, Pointer to, Vec sum, Vec scale) {
  const Span first{0, {}, 1, b.lanes() == 1};
  if (layout.offset > 0) {
    b.store(to, first, b.to_int(sum * static_cast<float>(-layout.offset)));
  } else {
    b.store(to, first, (sum * -1.0F) * scale);
  }
}

}  // namespace

QuantisedRows::QuantisedRows(const Linear& linear, const ir::Target& target)
    : codes((linear.weight == Type::q8_0 || linear.by_channel()) && !target.vnni ? Type::i16
                                                                                 : Type::i8),
      words(codes == Type::i16 ? 1 : 2),
      offset(linear.weight == Type::q8_0 || linear.by_channel() ? 128
             : linear.weight == Type::q4_0                      ? 8
                                                                : 0),
      // Odd in cache lines, so that rows do not compete for the same sets.
      code_bytes((stored_k(linear) * ir::size_of(codes) + kLine - 1) / kLine / 2 * 2 * kLine +
                 kLine),
      factor_bytes(blocks_of(linear) * words * 4) {}

Program linear_quantise_program(const Linear& linear, const ir::Target& target) {
  Builder b(linear.name + "_quantise", target);
  const QuantisedRows layout(linear, target);
  const Pointer x = b.buffer("x", linear.type, BufferAccess::read);
  const Pointer codes = b.buffer("codes", layout.codes, BufferAccess::write);
  const Pointer factors = b.buffer("factors", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar stride = b.parameter("x.stride0");
  const int64_t blocks = linear.k / kBlock;
  BlockQuantizer quantizer(b);
  const Span first{0, {}, 1, b.lanes() == 1};
  b.loop(0, rows, 1, [&](Scalar) {
    const Pointer x_block = b.copy(x);
    const Pointer code_block = b.copy(codes);
    const Pointer factor_block = b.copy(factors);
    Vec scale;
    BlockQuantizer::Sink sink;
    sink.codes = code_block;
    sink.as_pairs = layout.codes == Type::i16;
    sink.block_bytes = kBlock * ir::size_of(layout.codes);
    sink.scale = [&](int64_t block, Vec d) {
      scale = b.round_f16(d);
      b.store(b.offset(factor_block, block * layout.words * 4), first, scale);
    };
    if (layout.words > 1) {
      sink.sum = [&](int64_t block, Vec sum) {
        store_cost(b, layout, b.offset(factor_block, (block * layout.words + 1) * 4), sum, scale);
      };
    }
    const auto write = [&](int count) {
      quantizer.write(x_block, 0, count, sink);
      b.advance(x_block, count * kBlock * ir::size_of(linear.type));
      b.advance(code_block, count * kBlock * ir::size_of(layout.codes));
      b.advance(factor_block, count * layout.words * 4);
    };
    constexpr int kTogether = BlockQuantizer::kTogether;
    b.loop(0, blocks / kTogether, 1, [&](Scalar) { write(kTogether); });
    for (int64_t i = 0; i < blocks % kTogether; ++i) write(1);
    b.advance(x, stride);
    b.advance(codes, layout.code_bytes);
    b.advance(factors, layout.factor_bytes);
  });
  return b.finish();
}

namespace {

// Copies a block's 32 codes, eight words of four, and gives their sum where it is asked for.
class CodeCopier {
 public:
  CodeCopier(Builder& b, bool as_pairs, bool sums) : b_(b), as_pairs_(as_pairs), sums_(sums) {}

  // The sum as f32 in every lane.
  Vec copy(Pointer from, Pointer to) const {
    const int64_t lanes = b_.lanes();
    Vec sum;
    for (int64_t i = 0; i < kWords; i += lanes) {
      const int64_t count = std::min(kWords - i, lanes);
      const Span at{i, {}, count, count == lanes};
      const Vec codes = b_.load(from, at);
      if (as_pairs_) {
        store_pairs(to, i, codes);
      } else {
        b_.store(to, at, codes);
      }
      if (!sums_) continue;
      const Vec twos = b_.int_op(Op::dot2_u8s8, b_.constant_bits(0x01010101U), codes);
      const Vec fours = b_.int_op(Op::dot2_s16, twos, b_.constant_bits(0x00010001U));
      sum = sum.reg.valid() ? b_.int_op(Op::iadd, sum, fours) : fours;
    }
    return sums_ ? b_.reduce_add(b_.to_float(sum)) : Vec{};
  }

 private:
  static constexpr int64_t kWords = kBlock / 4;

  // As CodeWriter's pairs: of each four codes a word of the even and a word of the odd ones.
  void store_pairs(Pointer to, int64_t word, Vec codes) const {
    const Vec even = b_.int_op(Op::dot2_u8s8, b_.constant_bits(0x00010001U), codes);
    const Vec odd = b_.int_op(Op::dot2_u8s8, b_.constant_bits(0x01000100U), codes);
    const int64_t lanes = b_.lanes();
    if (lanes == 1) {
      b_.store(to, Span{2 * word}, even);
      b_.store(to, Span{2 * word + 1}, odd);
      return;
    }
    for (int64_t half = 0; half * lanes < 2 * std::min(kWords, lanes); ++half) {
      std::vector<uint8_t> pattern;
      for (int64_t lane = 0; lane < lanes; ++lane)
        pattern.push_back(
            static_cast<uint8_t>((half * lanes + lane) / 2 + (lane % 2 == 0 ? 0 : lanes)));
      b_.store(to, Span{2 * word + half * lanes}, b_.shuffle(even, odd, pattern));
    }
  }

  Builder& b_;
  bool as_pairs_, sums_;
};

}  // namespace

Program linear_regroup_program(const Linear& linear, const ir::Target& target) {
  Builder b(linear.name + "_regroup", target);
  const QuantisedRows layout(linear, target);
  const Pointer x = b.buffer("x", Type::q8_0, BufferAccess::read);
  const Pointer codes = b.buffer("codes", layout.codes, BufferAccess::write);
  const Pointer factors = b.buffer("factors", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar stride = b.parameter("x.stride0");
  const CodeCopier copier(b, layout.codes == Type::i16, layout.words > 1);
  const Span first{0, {}, 1, b.lanes() == 1};
  b.loop(0, rows, 1, [&](Scalar) {
    Pointer scale_at = b.copy(x);
    scale_at.type = Type::f16;
    const Pointer from = as_words(b.offset(x, BlockQuantizer::kScaleBytes));
    const Pointer to = as_words(b.copy(codes));
    const Pointer factor = b.copy(factors);
    b.loop(0, linear.k / kBlock, 1, [&](Scalar) {
      const Vec scale = b.load_splat(scale_at);
      b.store(factor, first, scale);
      const Vec sum = copier.copy(from, to);
      if (layout.words > 1) store_cost(b, layout, b.offset(factor, 4), sum, scale);
      b.advance(scale_at, BlockQuantizer::kBlockBytes);
      b.advance(from, BlockQuantizer::kBlockBytes);
      b.advance(to, kBlock * ir::size_of(layout.codes));
      b.advance(factor, layout.words * 4);
    });
    b.advance(x, stride);
    b.advance(codes, layout.code_bytes);
    b.advance(factors, layout.factor_bytes);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels
