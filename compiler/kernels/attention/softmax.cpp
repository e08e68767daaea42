// The softmax of attention, block of keys by block: start, one block, finish.
//
// A row's state is the largest score so far, the sum of its exponentials relative to that, and the
// values weighted by them. The largest begins as the lowest finite number, so that a row of scores
// of -inf has a sum of 0 and no NaN.
#include <limits>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/pairs.h"
#include "compiler/kernels/row_kernel.h"
#include "compiler/math/math.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Count;
using ir::program::Instr;
using ir::program::Mask;
using ir::program::Op;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

Span one(const Builder& b) { return {0, {}, 1, b.lanes() == 1}; }

Vec splat(Builder& b, Scalar value) {
  Instr instr{.op = Op::vsplat};
  instr.src[0] = value.reg;
  Vec vector;
  vector.reg = b.emit(instr);
  vector.builder = &b;
  return vector;
}

// Whether scores are products that are scaled and nothing else. They are kept as products then, and
// so is the largest.
bool has_plain_scores(const Attention& attention) {
  return attention.softcap == 0 && attention.mask == MaskKind::none;
}
float scale_of_differences(const Attention& attention) {
  return has_plain_scores(attention) ? static_cast<float>(attention.scale) : 1.0F;
}

// The state of the rows, one after the other.
struct State {
  State(Builder& builder, const Attention& attention, const RowLayout& layout, BufferAccess access,
        const std::string& prefix = "")
      : b(builder), width(attention.value_dim), bytes(layout.value_bytes) {
    maximum = b.buffer(prefix + "maximum", ir::Type::f32, access);
    sum = b.buffer(prefix + "sum", ir::Type::f32, access);
    values = b.buffer(prefix + "values", ir::Type::f32, access);
  }
  void next() {
    b.advance(maximum, 4);
    b.advance(sum, 4);
    b.advance(values, bytes);
  }

  Builder& b;
  int64_t width, bytes;
  Pointer maximum, sum, values;
};

// Writes the code of one block.
class BlockSoftmax {
 public:
  BlockSoftmax(const Attention& attention, const RowLayout& layout, const ir::Target& target,
               bool edge)
      : attention_(attention),
        layout_(layout),
        edge_(edge),
        b_(edge ? "attention_softmax_edge" : "attention_softmax", target),
        scores_(b_.buffer("scores", ir::Type::f32, BufferAccess::read_write)),
        state_(b_, attention, layout, BufferAccess::read_write) {
    if (attention.mask != MaskKind::none) {
      mask_ = b_.buffer("mask", attention.mask_type, BufferAccess::read);
    }
    rows_ = b_.parameter("rows");
    if (edge) {
      columns_ = b_.parameter("columns");
      if (attention.has_reach()) end_ = b_.parameter("end");
      if (attention.window > 0) begin_ = b_.parameter("begin");
      if (attention.kept_keys > 0) kept_ = b_.parameter("kept");
    }
    if (mask_.reg.valid()) mask_stride_ = b_.parameter("mask.stride2");
  }

  Program write() {
    if (kept_.reg.valid()) kept_end_ = splat(b_, kept_);
    b_.loop(0, rows_, 1, [&](Scalar row) {
      if (edge_) bound_row(row);
      one_row();
      b_.advance(scores_, layout_.score_bytes);
      state_.next();
      if (mask_.reg.valid()) b_.advance(mask_, mask_stride_);
    });
    return b_.finish();
  }

 private:
  static constexpr int kTogether = 4;  // vectors of a row in one trip

  // What of the columns the row sees, in every lane; and up to where it sees all, in whole trips.
  void bound_row(Scalar row) {
    const Scalar end = end_.reg.valid() ? b_.min(b_.add(end_, row), columns_) : columns_;
    row_end_ = splat(b_, end);
    if (begin_.reg.valid()) row_begin_ = splat(b_, b_.add(begin_, row));
    if (has_wide_trips()) {
      const int64_t wide = int64_t{kTogether} * b_.lanes();
      whole_end_ = b_.mul(b_.div(b_.max(end, 0), wide), wide);
    }
  }
  // With a window a row does not begin at the first column.
  bool has_wide_trips() const { return !begin_.reg.valid(); }

  // Visits the row's columns. An edge has as many vectors as reach one of them; what is there
  // beyond them, nobody sees. Several at a time, as long as the row sees all of them.
  void over_columns(const std::function<void(const Span&, int)>& visit) {
    if (!edge_) return b_.vectors(layout_.keys, kTogether, visit);
    const int64_t lanes = b_.lanes();
    if (has_wide_trips()) {
      sees_all_ = true;
      b_.loop(0, whole_end_, kTogether * lanes, [&](Scalar column) {
        b_.vectors(kTogether * lanes, kTogether,
                   [&](const Span& at, int place) { visit(Span{at.offset, column}, place); });
      });
      sees_all_ = false;
      column_ = b_.copy(b_.int_op(Op::iadd, b_.iota(), splat(b_, whole_end_)));
    } else {
      column_ = b_.copy(b_.iota());
    }
    b_.loop(has_wide_trips() ? Count(whole_end_) : Count(0), columns_, lanes, [&](Scalar column) {
      left_ = b_.min(b_.sub(columns_, column), lanes);
      visit(Span{0, column}, 0);
      b_.set(column_, b_.int_op(Op::iadd, column_, b_.constant_bits(static_cast<uint32_t>(lanes))));
    });
  }

  // `value` where the row sees the column, else `hidden`.
  Vec seen(Vec value, float hidden) {
    if (!edge_ || sees_all_) return value;
    Mask visible = b_.compare_int(Compare::lt, column_, row_end_);
    if (begin_.reg.valid()) {
      Mask in_window = b_.compare_int(Compare::ge, column_, row_begin_);
      if (kept_.reg.valid())
        in_window = b_.either(in_window, b_.compare_int(Compare::lt, column_, kept_end_));
      visible = b_.both(visible, in_window);
    }
    return b_.select(visible, value, b_.constant(hidden));
  }

  bool is_plain() const { return has_plain_scores(attention_); }

  // A score as the softmax takes it, plain ones without their scale.
  Vec score(const Span& at) {
    Vec score = b_.load(scores_, at);
    if (is_plain()) return score;
    const auto scale = static_cast<float>(attention_.scale);
    if (attention_.softcap > 0) {
      const auto cap = static_cast<float>(attention_.softcap);
      score =
          math::tanh(b_, score * static_cast<float>(attention_.scale / attention_.softcap)) * cap;
    } else {
      score = score * scale;
    }
    if (!mask_.reg.valid()) return score;
    const bool is_part = edge_ && !sees_all_;
    const Span there = is_part ? Span{at.offset, at.index, left_, b_.lanes() == 1} : at;
    const Vec mask = attention_.mask_of_rows ? row_mask_ : b_.load(mask_, there);
    if (attention_.mask == MaskKind::additive) return score + mask;
    return b_.select(b_.compare_int(Compare::ne, mask, b_.constant_bits(0)), score,
                     b_.constant(-kInfinity));
  }
  // The difference is scaled, not the score: the largest one's is 0, however large it is.
  Vec weight_of(Vec difference) {
    const float scale = scale_of_differences(attention_);
    return math::exp_nonpositive(b_, scale == 1 ? difference : difference * scale);
  }

  int chains() const { return edge_ && !has_wide_trips() ? 1 : kTogether; }

  void one_row() {
    if (attention_.mask_of_rows) row_mask_ = b_.copy(b_.load_splat(mask_));
    Accumulators largest(b_, chains(), kLowest);
    over_columns([&](const Span& at, int place) {
      const Vec value = score(at);
      if (!is_plain()) b_.store(scores_, at, value);
      b_.set(largest.of(place), b_.max(seen(value, -kInfinity), largest.of(place)));
    });
    const Vec before = b_.load_splat(state_.maximum);
    const Vec top = b_.copy(b_.max(largest.largest(), before));
    branch_any(b_, b_.compare(Compare::gt, top, before), [&] { rescale(before, top); });

    Accumulators sums(b_, chains(), 0);
    over_columns([&](const Span& at, int place) {
      const Vec weight = seen(weight_of(b_.load(scores_, at) - top), 0);
      b_.set(sums.of(place), sums.of(place) + weight);
      b_.store(scores_, at, weight);
    });
    b_.store(state_.sum, one(b_), b_.load_splat(state_.sum) + sums.sum());
  }

  // The state becomes relative to a larger maximum. Where nothing was added up so far it is 0 by
  // any measure: of a sequence that one block holds that is all there is.
  void rescale(Vec before, Vec top) {
    b_.store(state_.maximum, one(b_), top);
    const Vec sum = b_.load_splat(state_.sum);
    branch_any(b_, b_.compare(Compare::ne, sum, b_.constant(0)), [&] {
      const Vec factor = weight_of(before - top);
      b_.store(state_.sum, one(b_), sum * factor);
      b_.vectors(state_.width, kTogether, [&](const Span& at, int) {
        b_.store(state_.values, at, b_.load(state_.values, at) * factor);
      });
    });
  }

  const Attention& attention_;
  const RowLayout& layout_;
  bool edge_;
  Builder b_;
  Pointer scores_;
  State state_;
  Pointer mask_{};
  Scalar rows_, columns_, end_, begin_, kept_, mask_stride_;
  Vec row_begin_, row_end_;  ///< of an edge: bounds of what the row sees
  Vec kept_end_;             ///< and of what every row does
  Vec column_;               ///< the columns of the vector being visited
  Scalar left_;              ///< how many of them there are
  Scalar whole_end_;         ///< of an edge without a window: the end of trips of whole vectors
  bool sees_all_ = false;    ///< whether the code being written is such a trip
  Vec row_mask_;             ///< of a mask of rows
};

}  // namespace

Program start_program(const Attention& attention, const RowLayout& layout,
                      const ir::Target& target) {
  Builder b("attention_start", target);
  State state(b, attention, layout, BufferAccess::write);
  Pointer sink;
  if (attention.sinks) sink = b.buffer("sink", ir::Type::f32, BufferAccess::read);
  const Scalar rows = b.parameter("rows");
  Vec maximum = b.constant(kLowest), sum = b.constant(0);
  if (attention.sinks) {
    const Vec logit = b.load_splat(sink);
    const float scale = scale_of_differences(attention);
    maximum = b.copy(b.max(maximum, logit * (1 / scale)));
    sum = b.copy(math::exp_nonpositive(b, logit - maximum * scale));
  }
  b.loop(0, rows, 1, [&](Scalar) {
    b.store(state.maximum, one(b), maximum);
    b.store(state.sum, one(b), sum);
    b.vectors(state.width, [&](const Span& at) { b.store(state.values, at, b.constant(0)); });
    state.next();
  });
  return b.finish();
}

Program softmax_program(const Attention& attention, const RowLayout& layout,
                        const ir::Target& target, bool edge) {
  return BlockSoftmax(attention, layout, target, edge).write();
}

Program merge_program(const Attention& attention, const RowLayout& layout,
                      const ir::Target& target) {
  Builder b("attention_merge", target);
  State state(b, attention, layout, BufferAccess::read_write);
  State other(b, attention, layout, BufferAccess::read, "other_");
  const Scalar rows = b.parameter("rows");
  const float scale = scale_of_differences(attention);
  b.loop(0, rows, 1, [&](Scalar) {
    const Vec one_top = b.load_splat(state.maximum), other_top = b.load_splat(other.maximum);
    const Vec top = b.copy(b.max(one_top, other_top));
    const Vec factor = b.copy(math::exp_nonpositive(b, (one_top - top) * scale));
    const Vec other_factor = b.copy(math::exp_nonpositive(b, (other_top - top) * scale));
    b.store(state.maximum, one(b), top);
    const Vec sum = b.load_splat(state.sum) * factor;
    b.store(state.sum, one(b), b.fma(b.load_splat(other.sum), other_factor, sum));
    b.vectors(state.width, 4, [&](const Span& at, int) {
      const Vec value = b.load(state.values, at) * factor;
      b.store(state.values, at, b.fma(b.load(other.values, at), other_factor, value));
    });
    state.next();
    other.next();
  });
  return b.finish();
}

Program finish_program(const Attention& attention, const RowLayout& layout,
                       const ir::Target& target) {
  Builder b("attention_finish", target);
  State state(b, attention, layout, BufferAccess::read);
  const Pointer y = b.buffer("y", attention.out, BufferAccess::write);
  Pointer lse;
  if (attention.lse) lse = b.buffer("lse", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar y_stride = b.parameter("y.stride1");
  Scalar lse_stride;
  if (attention.lse) lse_stride = b.parameter("lse.stride1");
  b.loop(0, rows, 1, [&](Scalar) {
    const Vec sum = b.load_splat(state.sum);
    const Mask is_empty = b.compare(Compare::eq, sum, b.constant(0));
    const Vec factor = b.select(is_empty, b.constant(0), math::reciprocal(b, sum));
    if (layout.pairs) {
      const int64_t half = state.width / 2;
      b.vectors(half, 2, [&](const Span& at, int) {
        const Vec even = b.load(state.values, at) * factor;
        const Vec odd = b.load(state.values, behind(at, half)) * factor;
        store_pairs(b, y, at, even, odd);
      });
    } else {
      b.vectors(state.width, 4,
                [&](const Span& at, int) { b.store(y, at, b.load(state.values, at) * factor); });
    }
    if (attention.lse) {
      const Vec largest = b.load_splat(state.maximum) * scale_of_differences(attention);
      b.store(lse, one(b), largest + math::log(b, sum));
      b.advance(lse, lse_stride);
    }
    b.advance(y, y_stride);
    state.next();
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels::attention
