// quantize: blocks of 32 elements as GGUF's q8_0: d = max|x| / 127 stored as f16, 32 codes round(x
// / d).
//
// Bit for bit what ir::quantize() makes: the codes come from the unrounded d, halves go away from
// zero, and a block with a NaN or an infinity gets a NaN for d and zeros for codes.
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
constexpr uint32_t kMagnitude = 0x7fffffffU;
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
  space.knob("blocks", {1, 2, 4}, 1, "blocks in one trip of the loop");
  add_row_knobs(space, signature_of(p), p.bucket("rows"), target);
  return space;
}

// A block takes this many vectors at most to be kept in registers between its two passes.
constexpr int64_t kMostHeld = 8;

// The block's vectors, loaded once where they fit the registers and twice where they do not.
class BlockValues {
 public:
  BlockValues(Builder& b, const Pointer& x, int64_t block) : b_(b), x_(x), block_(block) {
    if (count() > kMostHeld) return;
    for (int64_t i = 0; i < count(); ++i) held_.push_back(load(i));
  }
  int64_t count() const { return kBlock / b_.lanes(); }
  Vec operator[](int64_t i) const {
    return held_.empty() ? load(i) : held_[static_cast<size_t>(i)];
  }

 private:
  Vec load(int64_t i) const {
    return b_.load(x_, Span{block_ * kBlock + i * b_.lanes(), {}, 0, true});
  }

  Builder& b_;
  const Pointer& x_;
  int64_t block_;
  std::vector<Vec> held_;
};

// max|x| over the block in every lane, infinity where any element is not finite. Magnitudes compare
// as integers, where every NaN lies above infinity and none is lost.
Vec largest_magnitude(Builder& b, const BlockValues& x) {
  const Vec mask = b.constant_bits(kMagnitude);
  Vec largest = b.bit_and(x[0], mask);
  for (int64_t i = 1; i < x.count(); ++i) {
    const Vec magnitude = b.bit_and(x[i], mask);
    largest = b.int_op(Op::imax, largest, magnitude);
  }
  return b.reduce_max(b.int_op(Op::imin, largest, b.constant_bits(kInfinityBits)));
}

// To the nearest integer, halves away from zero, as i32; v - trunc(v) and its double are exact.
Vec round_away(Builder& b, Vec v) {
  const Vec whole = b.trunc(v);
  const Vec rest = v - whole;
  const Vec twice = rest + rest;
  return b.to_int(whole + b.trunc(twice));
}

void quantize_block(Builder& b, Pointer x, Pointer y, int64_t block) {
  const int64_t lanes = b.lanes();
  const BlockValues values(b, x, block);
  const Vec largest = largest_magnitude(b, values);
  // 0 for finite blocks, NaN for the others.
  const Vec poison = largest - largest;
  const Vec d = b.div(largest, b.constant(127)) + poison;
  const Vec inverse = b.div(b.constant(1), d);
  const Vec limit = b.constant(std::numeric_limits<float>::max());

  Pointer scale = y;
  scale.type = Type::f16;
  b.store(b.offset(scale, block * kBlockBytes), Span{0, {}, 1, lanes == 1}, d);
  Pointer codes = y;
  codes.type = Type::i8;
  for (int64_t i = 0; i < values.count(); ++i) {
    // Where d is 0 or so small that 1/d overflows, and where it is NaN, the codes are 0.
    const Vec quotient = values[i] * inverse;
    const Vec magnitude = b.bit_and(quotient, b.constant_bits(kMagnitude));
    const auto finite = b.compare(Compare::le, magnitude, limit);
    const Vec code = round_away(b, b.select(finite, quotient, b.constant(0)));
    b.store(codes, Span{block * kBlockBytes + kCodes + i * lanes, {}, 0, true}, code);
  }
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  RowKernel kernel("quantize", signature_of(p), target);
  Builder& b = kernel.builder();
  const int64_t blocks = p.integer("width") / kBlock;
  const int64_t together = s["blocks"];
  const int64_t x_bytes = ir::size_of(p.type("type")) * kBlock;
  kernel.for_rows([&] {
    const Pointer x = b.copy(kernel.at("x"));
    const Pointer y = b.copy(kernel.at("y"));
    const int64_t looped = blocks / together;
    b.loop(0, looped, 1, [&](Scalar) {
      for (int64_t i = 0; i < together; ++i) quantize_block(b, x, y, i);
      b.advance(x, together * x_bytes);
      b.advance(y, together * kBlockBytes);
    });
    for (int64_t i = 0; i < blocks % together; ++i) quantize_block(b, x, y, i);
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
      .revision = 1,
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
