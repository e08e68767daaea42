// quantize: blocks of 32 elements as GGUF's q8_0: d = max|x| / 127 stored as f16, 32 codes round(x
// / d).
//
// Bit for bit what ir::quantize() makes: the codes come from the unrounded d, halves go away from
// zero, and a block with a NaN or an infinity gets a NaN for d and zeros for codes.
#include <array>
#include <limits>

#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {
namespace {

using ir::program::Compare;
using ir::program::Op;

constexpr int64_t kBlock = 32;
constexpr int64_t kBlockBytes = 34;
constexpr int64_t kCodes = 2;  // bytes from a block's start to its codes
constexpr int kTogether = 4;   // blocks whose scales are lanes of one vector
constexpr uint32_t kMagnitude = 0x7fffffffU;
constexpr uint32_t kSign = 0x80000000U;
constexpr float kBelowHalf = 0x1.fffffep-2F;
constexpr uint32_t kInfinityBits = 0x7f800000U;

Signature signature_of(const Problem& p) {
  return {matrix("x", p.type("type"), p.integer("width")),
          output(matrix("y", Type::q8_0, p.integer("width")))};
}

Status validate(const Problem& p) {
  if (p.integer("width") % kBlock == 0) return {};
  return fail(ErrorCode::invalid_argument,
              "width: found {}, expected a multiple of the block of {}", p.integer("width"),
              kBlock);
}

Result<ir::graph::Graph> reference(const Problem& p) {
  ir::graph::GraphBuilder graph("quantize");
  const auto inputs = add_graph_inputs(graph, signature_of(p));
  return graph.finish({graph.op("quantize", inputs, {{"type", Type::q8_0}})});
}

SearchSpace space(const Problem& p, const Target& target) {
  SearchSpace space;
  const bool shares = target.lanes >= kTogether && p.integer("width") >= kTogether * kBlock;
  space.knob("blocks", {1, kTogether}, shares ? kTogether : 1,
             "blocks in one trip of the loop; they share the divisions for their scales");
  add_row_knobs(space, signature_of(p), p.bucket("rows"), target);
  return space;
}

// The largest magnitude of the block at each place of a vector. Magnitudes compare as integers,
// where every NaN lies above infinity and none is lost.
Vec largest_by_lane(Builder& b, const Pointer& x, int64_t block) {
  const Vec mask = b.constant_bits(kMagnitude);
  Vec largest;
  for (int64_t i = 0; i < kBlock; i += b.lanes()) {
    const Vec magnitude = b.bit_and(b.load(x, Span{block * kBlock + i, {}, 0, true}), mask);
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

/// Writes blocks: scales first, then codes.
class BlockWriter {
 public:
  explicit BlockWriter(Builder& b) : b_(b) {
    if (!packs_bytes()) return;
    // Byte 4i + j of a group of 16 to place i + 4j.
    const Vec lane = b.bit_and(b.iota(), b.constant_bits(3));
    const Vec spread = b.int_op(Op::imul, lane, b.constant_bits(0x01010101U));
    order_ = b.int_op(Op::iadd, spread, b.constant_bits(0x0c080400U));
  }

  void write(Pointer x, Pointer y, int64_t first, int count) {
    if (count == kTogether && b_.lanes() >= kTogether) {
      std::array<Vec, kTogether> values;
      for (int i = 0; i < kTogether; ++i)
        values[static_cast<size_t>(i)] = largest_by_lane(b_, x, first + i);
      write_blocks(x, y, first, count, largest_of_four(b_, values));
      return;
    }
    for (int i = 0; i < count; ++i) {
      // Bounded first: the reduction is one of f32, which would lose a NaN.
      const Vec bounded =
          b_.int_op(Op::imin, largest_by_lane(b_, x, first + i), b_.constant_bits(kInfinityBits));
      write_blocks(x, y, first + i, 1, b_.reduce_max(bounded));
    }
  }

 private:
  // Where a store of narrowed lanes is many instructions, four vectors of codes become one of
  // bytes.
  bool packs_bytes() const { return b_.lanes() == 4 || b_.lanes() == 8; }

  // `largest`: lane k is that of block first + k, or every lane that of the only one.
  void write_blocks(Pointer x, Pointer y, int64_t first, int count, Vec largest) {
    const Vec bounded = b_.int_op(Op::imin, largest, b_.constant_bits(kInfinityBits));
    // 0 for finite blocks, NaN for the others.
    const Vec poison = bounded - bounded;
    const Vec d = b_.div(bounded, b_.constant(127)) + poison;
    const Vec inverse = b_.div(b_.constant(1), d);
    // Where d is 0 or so small that 1/d overflows, and where it is NaN, the codes are 0.
    const Vec most = b_.constant(std::numeric_limits<float>::max());
    const Vec ones = b_.constant_bits(~0U);
    const Vec kept = b_.select(b_.compare(Compare::le, inverse, most), ones, b_.constant(0));
    for (int i = 0; i < count; ++i) {
      const auto of_block = [&](Vec v) {
        if (count == 1) return v;
        return b_.permute(
            v, std::vector<uint8_t>(static_cast<size_t>(b_.lanes()), static_cast<uint8_t>(i)));
      };
      Pointer scale = y;
      scale.type = Type::f16;
      const bool whole = b_.lanes() == 1;
      b_.store(b_.offset(scale, (first + i) * kBlockBytes), Span{0, {}, 1, whole}, of_block(d));
      write_codes(x, y, first + i, of_block(inverse), of_block(kept));
    }
  }

  void write_codes(Pointer x, Pointer y, int64_t block, Vec inverse, Vec kept) {
    const int64_t lanes = b_.lanes();
    const int64_t start = block * kBlockBytes + kCodes;
    const auto code = [&](int64_t i) {
      const Vec quotient = b_.load(x, Span{block * kBlock + i * lanes, {}, 0, true}) * inverse;
      return round_away(b_, quotient);
    };
    if (!packs_bytes()) {
      y.type = Type::i8;
      for (int64_t i = 0; i < kBlock / lanes; ++i)
        b_.store(y, Span{start + i * lanes, {}, 0, true}, b_.bit_and(b_.to_int(code(i)), kept));
      return;
    }
    y.type = Type::i32;
    for (int64_t i = 0; i < kBlock / lanes; i += 4) {
      ir::program::Instr store{.op = Op::store};
      store.src[0] = b_.bit_and(packed(code, i), kept).reg;
      store.address.pointer = y.reg;
      store.address.offset = start + i * lanes;
      b_.emit(store);
    }
  }

  // Codes of four vectors as consecutive bytes. Two of them fit one exact f32; in the sum of all
  // four as i32, a bias of 128 in each byte keeps a negative one from borrowing.
  template <typename Code>
  Vec packed(const Code& code, int64_t i) {
    const auto pair = [&](int64_t low) {
      const Vec first = code(low);
      return b_.to_int(b_.fma(code(low + 1), b_.constant(256), first));
    };
    const Vec bias = b_.constant_bits(0x80808080U);
    const Vec low = b_.int_op(Op::iadd, pair(i), bias);
    const Vec high = b_.shift(Op::ishl, pair(i + 2), 16);
    const Vec word = b_.bit_xor(b_.int_op(Op::iadd, low, high), bias);
    const Vec quads = b_.int_op(Op::byte_shuffle, word, order_);
    return b_.lanes() == 4 ? quads : b_.permute(quads, {0, 4, 1, 5, 2, 6, 3, 7});
  }

  Builder& b_;
  Vec order_;
};

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  RowKernel kernel("quantize", signature_of(p), target);
  Builder& b = kernel.builder();
  const int64_t blocks = p.integer("width") / kBlock;
  const auto together = static_cast<int>(s["blocks"]);
  const int64_t x_bytes = ir::size_of(p.type("type")) * kBlock;
  BlockWriter writer(b);
  kernel.for_rows([&] {
    const Pointer x = b.copy(kernel.at("x"));
    const Pointer y = b.copy(kernel.at("y"));
    const int64_t looped = blocks / together;
    b.loop(0, looped, 1, [&](Scalar) {
      writer.write(x, y, 0, together);
      b.advance(x, together * x_bytes);
      b.advance(y, together * kBlockBytes);
    });
    for (int64_t i = 0; i < blocks % together; ++i) writer.write(x, y, i, 1);
  });
  return kernel.plan(s["grain"], /*in_place=*/false);
}

Work work(const Problem& p, const Sizes& sizes) {
  // Magnitude and maximum; quotient and rounding; then d and its inverse for each block.
  return work_of(signature_of(p), sizes,
                 static_cast<double>(p.integer("width")) * (4 + 2.0 / kBlock));
}

}  // namespace

const Family& quantize() {
  static const Family family = {
      .name = "quantize",
      .summary = "y = x in blocks of 32 as GGUF's q8_0: d = max|x| / 127, codes round(x / d)",
      .example = "quantize rows=512..2047 width=2048",
      .revision = 2,
      .parameters = {rows_parameter(), width_parameter(), type_parameter(),
                     choice_parameter("to", {"q8_0"}, "the block format")},
      .validate = validate,
      .reference = reference,
      .space = space,
      .build = build,
      .work = work,
  };
  return family;
}

}  // namespace lathe::compiler::kernels
