// Blocks of codes and their scales, several at a time where their divisions can be shared.
#include "compiler/kernels/block_quantizer.h"

#include <array>

namespace lathe::compiler::kernels {

using ir::program::Builder;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;
constexpr int kTogether = BlockQuantizer::kTogether;
constexpr uint32_t kSign = 0x80000000U;
constexpr float kBelowHalf = 0x1.fffffep-2F;

// The largest magnitude of the block at each place of a vector.
Vec largest_by_lane(Builder& b, const Pointer& x, int64_t block) {
  Vec largest;
  for (int64_t i = 0; i < kBlock; i += b.lanes()) {
    const Vec magnitude = magnitude_bits(b, b.load(x, Span{block * kBlock + i, {}, 0, true}));
    largest = i == 0 ? magnitude : b.int_op(Op::imax, largest, magnitude);
  }
  return largest;
}

// In each group of four lanes, lane k = the largest over all lanes of values[k].
Vec largest_of_four(Builder& b, const std::array<Vec, kTogether>& values) {
  const auto lanes = static_cast<size_t>(b.lanes());
  // In each group of four: lanes p, q of `first`, then of `second`.
  const auto pick = [&](Vec first, Vec second, size_t p, size_t q) {
    std::vector<uint8_t> pattern(lanes);
    for (size_t i = 0; i < lanes; ++i) {
      const size_t group = i / 4 * 4;
      pattern[i] = static_cast<uint8_t>(group + (i % 2 == 0 ? p : q) + (i % 4 < 2 ? 0 : lanes));
    }
    return b.shuffle(first, second, pattern);
  };
  const auto halves = [&](Vec first, Vec second) {
    const Vec low = pick(first, second, 0, 1);
    return b.int_op(Op::imax, low, pick(first, second, 2, 3));
  };
  const Vec left = halves(values[0], values[1]);
  const Vec right = halves(values[2], values[3]);
  const Vec even = pick(left, right, 0, 2);
  Vec largest = b.int_op(Op::imax, even, pick(left, right, 1, 3));
  for (size_t apart = lanes / 2; apart >= 4; apart /= 2) {
    std::vector<uint8_t> pattern(lanes);
    for (size_t i = 0; i < lanes; ++i) pattern[i] = static_cast<uint8_t>(i ^ apart);
    largest = b.int_op(Op::imax, largest, b.permute(largest, pattern));
  }
  return largest;
}

// A whole number, halves away from zero. The largest value below a half carries every v from its
// half on over the next integer, by the sum's rounding too, and no smaller one.
Vec round_away(Builder& b, Vec v) {
  const Vec sign = b.bit_and(v, b.constant_bits(kSign));
  return b.trunc(v + b.bit_or(sign, b.constant(kBelowHalf)));
}

}  // namespace

void BlockQuantizer::write(Pointer x, int64_t first, int count, const Sink& sink) {
  if (count == kTogether && b_.lanes() >= kTogether) {
    std::array<Vec, kTogether> values;
    for (int i = 0; i < kTogether; ++i)
      values[static_cast<size_t>(i)] = largest_by_lane(b_, x, first + i);
    write_blocks(x, first, count, largest_of_four(b_, values), sink);
    return;
  }
  for (int i = 0; i < count; ++i) {
    const Vec largest = largest_by_lane(b_, x, first + i);
    write_blocks(x, first + i, 1, largest_lane(b_, largest), sink);
  }
}

BlockQuantizer::Sink BlockQuantizer::gguf_sink(Pointer y) {
  Sink sink;
  sink.codes = y;
  sink.codes_offset = kScaleBytes;
  sink.block_bytes = kBlockBytes;
  sink.scale = [this, y](int64_t block, Vec d) {
    Pointer scale = y;
    scale.type = ir::Type::f16;
    b_.store(b_.offset(scale, block * kBlockBytes), Span{0, {}, 1, b_.lanes() == 1}, d);
  };
  return sink;
}

void BlockQuantizer::write_row(Pointer x_row, Pointer y_row, int64_t blocks, int together) {
  const Pointer x = b_.copy(x_row);
  const Pointer y = b_.copy(y_row);
  const Sink sink = gguf_sink(y);
  b_.loop(0, blocks / together, 1, [&](Scalar) {
    write(x, 0, together, sink);
    b_.advance(x, together * kBlock * ir::size_of(x.type));
    b_.advance(y, together * kBlockBytes);
  });
  for (int64_t i = 0; i < blocks % together; ++i) write(x, i, 1, sink);
}

void BlockQuantizer::write_row(Pointer x_row, Pointer y_row, Scalar blocks) {
  const Pointer x = b_.copy(x_row);
  const Pointer y = b_.copy(y_row);
  const Sink sink = gguf_sink(y);
  const auto some = [&](Scalar trips, int count) {
    b_.loop(0, trips, 1, [&](Scalar) {
      write(x, 0, count, sink);
      b_.advance(x, count * kBlock * ir::size_of(x.type));
      b_.advance(y, count * kBlockBytes);
    });
  };
  const Scalar whole = b_.div(blocks, kTogether);
  const Scalar rest = b_.sub(blocks, b_.mul(whole, kTogether));
  some(whole, kTogether);
  some(rest, 1);
}

// `largest`: lane k is that of block first + k, or every lane that of the only one.
void BlockQuantizer::write_blocks(Pointer x, int64_t first, int count, Vec largest,
                                  const Sink& sink) {
  const CodeScale scale = code_scale(b_, largest);
  for (int i = 0; i < count; ++i) {
    const auto of_block = [&](Vec v) {
      if (count == 1) return v;
      return b_.permute(
          v, std::vector<uint8_t>(static_cast<size_t>(b_.lanes()), static_cast<uint8_t>(i)));
    };
    sink.scale(first + i, of_block(scale.d));
    const Vec block_inverse = of_block(scale.inverse);
    write_codes(x, first + i, block_inverse, of_block(scale.kept), sink);
  }
}

void BlockQuantizer::write_codes(Pointer x, int64_t block, Vec inverse, Vec kept,
                                 const Sink& sink) {
  Vec sum;
  const auto whole = [&](int64_t i) {
    return round_away(b_, b_.load(x, Span{block * kBlock + i * b_.lanes(), {}, 0, true}) * inverse);
  };
  const auto add = [&](Vec exact) { sum = sum.reg.valid() ? sum + exact : exact; };
  const CodeWriter::Place place{sink.codes, block * sink.block_bytes + sink.codes_offset,
                                sink.as_pairs};
  if (!sink.sum) return writer_.write(place, kept, whole);
  writer_.write(place, kept, whole, add);
  sink.sum(block, b_.reduce_add(sum));
}

ir::program::Program quantise_block_program(const std::string& name, const ir::Target& target) {
  Builder b(name, target);
  const Pointer x = b.buffer("x", ir::Type::f32, ir::program::BufferAccess::read);
  const Pointer y = b.buffer("y", ir::Type::q8_0, ir::program::BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar blocks = b.parameter("blocks");
  const Scalar x_stride = b.parameter("x.stride0");
  const Scalar y_stride = b.parameter("y.stride0");
  BlockQuantizer quantizer(b);
  b.loop(0, rows, 1, [&](Scalar) {
    quantizer.write_row(x, y, blocks);
    b.advance(x, x_stride);
    b.advance(y, y_stride);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels
