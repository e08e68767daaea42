// The programs that write rows of x as codes.
#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/product/codes.h"

namespace lathe::compiler::kernels::product {

namespace {

constexpr int64_t kBlock = BlockQuantizer::kBlock;

// A program's operands, and its loop.
struct RowsProgram {
  RowsProgram(const std::string& name, const Product& product, const Target& target)
      : b(product.name + name, target),
        layout(product, target),
        x(b.buffer("x", product.type, BufferAccess::read)),
        codes(b.buffer("codes", layout.type, BufferAccess::write)),
        factors(b.buffer("factors", Type::f32, BufferAccess::write)),
        rows(b.parameter("rows")),
        stride(b.parameter("x.stride0")) {}

  Program over_rows(const std::function<void()>& row) {
    b.loop(0, rows, 1, [&](Scalar) {
      row();
      b.advance(x, stride);
      b.advance(codes, layout.bytes);
      b.advance(factors, layout.factor_bytes);
    });
    return b.finish();
  }

  // A factor, the same in every lane of `value`.
  void store(Pointer factor, Vec value) { b.store(factor, Span{0, {}, 1, b.lanes() == 1}, value); }
  // The second of a block's factors, from the sum of its codes.
  Vec cost(Vec sum, Vec scale) {
    if (layout.offset == 0) return (sum * -1.0F) * scale;
    return b.to_int(sum * static_cast<float>(-layout.offset));
  }
  // From block to block.
  int64_t block_bytes() const { return kBlock * ir::size_of(layout.type); }

  Builder b;
  CodedRows layout;
  Pointer x, codes, factors;
  Scalar rows, stride;
};

constexpr int64_t kWords = kBlock / 4;

// Codes as CodeWriter's pairs: of each four a word of the even and a word of the odd ones.
void store_pairs(Builder& b, Pointer to, int64_t word, Vec codes) {
  const int64_t lanes = b.lanes();
  const Vec even = widened(b, codes, 0);
  const Vec odd = widened(b, codes, 1);
  if (lanes == 1) {
    b.store(to, Span{2 * word}, even);
    b.store(to, Span{2 * word + 1}, odd);
    return;
  }
  for (int64_t half = 0; half * lanes < 2 * std::min(kWords, lanes); ++half) {
    std::vector<uint8_t> pattern;
    for (int64_t lane = 0; lane < lanes; ++lane)
      pattern.push_back(
          static_cast<uint8_t>((half * lanes + lane) / 2 + (lane % 2 == 0 ? 0 : lanes)));
    b.store(to, Span{2 * word + half * lanes}, b.shuffle(even, odd, pattern));
  }
}

// Copies a block's 32 codes, eight words of four. The sum, where a factor needs it, is f32 in every
// lane.
Vec copy_codes(Builder& b, const CodedRows& layout, Pointer from, Pointer to) {
  Vec sum;
  for (int64_t i = 0; i < kWords; i += b.lanes()) {
    const int64_t count = std::min<int64_t>(kWords - i, b.lanes());
    const Span at{i, {}, count, count == b.lanes()};
    const Vec codes = b.load(from, at);
    layout.as_pairs() ? store_pairs(b, to, i, codes) : b.store(to, at, codes);
    if (layout.words == 1) continue;
    const Vec twos = b.int_op(Op::dot2_u8s8, b.constant_bits(0x01010101U), codes);
    const Vec fours = b.int_op(Op::dot2_s16, twos, b.constant_bits(0x00010001U));
    sum = sum.reg.valid() ? b.int_op(Op::iadd, sum, fours) : fours;
  }
  return layout.words == 1 ? Vec{} : b.reduce_add(b.to_float(sum));
}

}  // namespace

CodedRows::CodedRows(const Product& product, const Target& target) {
  const bool is_channels = product.elements() == Elements::channels;
  const bool of_bytes = is_channels || product.weight == Type::q8_0;
  const int64_t blocks = (product.k + kBlock - 1) / kBlock;
  type = of_bytes && !target.vnni ? Type::i16 : Type::i8;
  words = as_pairs() ? 1 : 2;
  offset = of_bytes ? 128 : product.weight == Type::q4_0 ? 8 : 0;
  // Odd in cache lines, so that rows do not compete for the same sets.
  bytes = (blocks * kBlock * ir::size_of(type) + kLine - 1) / kLine / 2 * 2 * kLine + kLine;
  factor_bytes = (is_channels ? 1 : blocks) * words * 4;
}

Program pack_blocks(const Product& product, const Target& target) {
  RowsProgram program("_quantise", product, target);
  Builder& b = program.b;
  const CodedRows& layout = program.layout;
  const int64_t factor_bytes = layout.words * 4;
  BlockQuantizer quantizer(b);
  return program.over_rows([&] {
    const Pointer x = b.copy(program.x);
    const Pointer codes = b.copy(program.codes);
    const Pointer factors = b.copy(program.factors);
    Vec scale;
    BlockQuantizer::Sink sink;
    sink.codes = codes;
    sink.as_pairs = layout.as_pairs();
    sink.block_bytes = program.block_bytes();
    sink.scale = [&](int64_t block, Vec d) {
      scale = b.round_f16(d);
      program.store(b.offset(factors, block * factor_bytes), scale);
    };
    if (layout.words > 1) {
      sink.sum = [&](int64_t block, Vec sum) {
        const Pointer second = b.offset(factors, block * factor_bytes + 4);
        program.store(second, program.cost(sum, scale));
      };
    }
    const auto write = [&](int count) {
      quantizer.write(x, 0, count, sink);
      b.advance(x, count * kBlock * ir::size_of(product.type));
      b.advance(codes, count * program.block_bytes());
      b.advance(factors, count * factor_bytes);
    };
    constexpr int kTogether = BlockQuantizer::kTogether;
    const int64_t blocks = product.k / kBlock;
    b.loop(0, blocks / kTogether, 1, [&](Scalar) { write(kTogether); });
    for (int64_t i = 0; i < blocks % kTogether; ++i) write(1);
  });
}

Program pack_q8_0(const Product& product, const Target& target) {
  RowsProgram program("_regroup", product, target);
  Builder& b = program.b;
  const CodedRows& layout = program.layout;
  return program.over_rows([&] {
    Pointer scale_at = b.copy(program.x);
    scale_at.type = Type::f16;
    const Pointer from = as_words(b.offset(program.x, BlockQuantizer::kScaleBytes));
    const Pointer to = as_words(b.copy(program.codes));
    const Pointer factor = b.copy(program.factors);
    b.loop(0, product.k / kBlock, 1, [&](Scalar) {
      const Vec scale = b.load_splat(scale_at);
      program.store(factor, scale);
      const Vec sum = copy_codes(b, layout, from, to);
      if (layout.words > 1) {
        const Pointer second = b.offset(factor, 4);
        program.store(second, program.cost(sum, scale));
      }
      b.advance(scale_at, BlockQuantizer::kBlockBytes);
      b.advance(from, BlockQuantizer::kBlockBytes);
      b.advance(to, program.block_bytes());
      b.advance(factor, layout.words * 4);
    });
  });
}

// Two passes over each row: its largest magnitude, then the codes.
Program pack_channels(const Product& product, const Target& target) {
  RowsProgram program("_quantise", product, target);
  Builder& b = program.b;
  const CodedRows& layout = program.layout;
  const int64_t lanes = b.lanes();
  CodeWriter writer(b);
  return program.over_rows([&] {
    const Vec largest = b.copy(b.constant_bits(0));
    b.vectors(product.k, 4, [&](const Span& at, int) {
      const Vec magnitude = magnitude_bits(b, b.load(program.x, at));
      b.set(largest, b.int_op(Op::imax, largest, magnitude));
    });
    const CodeScale scale = code_scale(b, largest_lane(b, largest));
    program.store(program.factors, scale.d);
    const Vec sum = b.copy(b.constant(0));
    const Pointer from = b.copy(program.x);
    const Pointer to = b.copy(program.codes);
    const auto block = [&](int64_t count) {
      const auto whole = [&](int64_t i) {
        const int64_t there = std::min(count - i * lanes, lanes);
        if (there <= 0) return b.constant(0);
        return b.round(b.load(from, Span{i * lanes, {}, there, there == lanes}) * scale.inverse);
      };
      const CodeWriter::Place place{to, 0, layout.as_pairs()};
      if (layout.words == 1) return writer.write(place, scale.kept, whole);
      writer.write(place, scale.kept, whole, [&](Vec code) { b.set(sum, sum + code); });
    };
    b.loop(0, product.k / kBlock, 1, [&](Scalar) {
      block(kBlock);
      b.advance(from, kBlock * ir::size_of(product.type));
      b.advance(to, program.block_bytes());
    });
    if (product.k % kBlock > 0) block(product.k % kBlock);
    if (layout.words > 1) {
      const Vec cost = program.cost(b.reduce_add(sum), scale.d);
      program.store(b.offset(program.factors, 4), cost);
    }
  });
}

}  // namespace lathe::compiler::kernels::product
