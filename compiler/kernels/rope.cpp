// rope: y[r,h,:] = x[r,h,:] with its pairs (a, b) turned to (a cos - b sin, b cos + a sin).
#include "compiler/kernels/rope.h"

#include <algorithm>
#include <optional>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels {
namespace {

using ir::program::Compare;

constexpr int kSums = 4;  // running sums of a head's squares

SearchSpace space(const Problem& p, const Target& target) {
  const Rope rope(p);
  SearchSpace space;
  add_unroll(space, rope.pairs, target, 2);
  if (rope.norm) add_division(space);
  add_row_knobs(space, rope.signature, rope.rows, target);
  return space;
}

/// Writes one row: its angles, then its heads.
class RopeRow {
 public:
  RopeRow(RowKernel& kernel, const Rope& rope, const Schedule& s, float eps)
      : kernel_(kernel),
        b_(kernel.builder()),
        rope_(rope),
        unroll_(static_cast<int>(s["unroll"])),
        options_(options_of(s)),
        eps_(eps) {
    // cos, sin, and for mrope the axis of each pair.
    if (rope.kind != RopeKind::rope) angles_ = kernel.scratch("angles", Type::f32, 3 * rope.pairs);
    if (rope.norm) {
      // A vector is stored for each head, at its place.
      scales_ = kernel.scratch("scales", Type::f32, rope.heads + b_.lanes());
      if (!rope.interleaved) factors_ = kernel.scratch("factors", Type::f32, 4 * rope.pairs);
    }
    if (rope.cache.type == Type::q8_0) {
      quantizer_.emplace(b_);
      turned_ = kernel.scratch("turned", Type::f32, rope.dim);
    }
    if (rope.kind == RopeKind::mrope) write_axes();
  }

  void write() {
    if (rope_.cache.is_off()) return write_to(kernel_.at("y"));
    rope_.cache.at_entry(kernel_, [&](Pointer entry) { write_to(entry); });
  }

 private:
  struct Pair {
    Vec first, second;
  };

  void write_to(Pointer entry) {
    find_angles();
    if (rope_.norm) {
      find_scales();
      if (!rope_.interleaved) find_factors();
    }
    const Pointer x = b_.copy(kernel_.at("x"));
    const Pointer y = b_.copy(entry);
    for_heads([&](const Scalar* index) {
      if (rope_.norm)
        scale_ = index == nullptr ? b_.load_splat(scales_) : b_.load_splat(scales_, 0, *index);
      if (quantizer_) {
        head(x, turned_);
        const int64_t blocks = rope_.dim / BlockQuantizer::kBlock;
        quantizer_->write_row(turned_, y, blocks, BlockQuantizer::together(b_.target(), blocks));
      } else {
        head(x, y);
      }
      if (index == nullptr) return;
      b_.advance(x, x_head());
      b_.advance(y, kernel_.stride("y", rope_.cache.heads_in_cache()));
    });
  }

  // Bytes from one head of x to the next.
  Scalar x_head() const { return kernel_.stride("x", rope_.cache.heads_in_rows()); }

  static Span shifted(Span at, int64_t elements) {
    at.offset += elements;
    return at;
  }

  // body gets the head's number, or nothing where there is only one.
  void for_heads(const std::function<void(const Scalar*)>& body) {
    if (rope_.heads == 1) return body(nullptr);
    b_.loop(0, rope_.heads, 1, [&](Scalar index) { body(&index); });
  }

  // The sums of all heads, then their roots: the next head need not wait for this one's.
  void find_scales() {
    const Pointer x = b_.copy(kernel_.at("x"));
    for_heads([&](const Scalar* index) {
      Accumulators squares(b_, kSums, 0);
      b_.vectors(rope_.dim, kSums, [&](const Span& at, int place) {
        const Vec v = b_.load(x, at);
        b_.set(squares.of(place), b_.fma(v, v, squares.of(place)));
      });
      const Scalar at = index == nullptr ? Scalar{} : *index;
      b_.store(scales_, Span{0, at, b_.lanes(), true}, squares.sum());
      if (index != nullptr) b_.advance(x, x_head());
    });
    const float inverse = 1.0F / static_cast<float>(rope_.dim);
    const int64_t vectors = vectors_in(rope_.heads, b_.target());
    b_.vectors(vectors * b_.lanes(), [&](const Span& at) {
      const Vec mean_square = b_.load(scales_, at) * inverse;
      b_.store(scales_, at, math::rsqrt(b_, mean_square + eps_, options_));
    });
  }

  // cos and sin times the weights of the pair's first and second element: what turn() multiplies
  // by, in its order.
  void find_factors() {
    b_.vectors(rope_.pairs, [&](const Span& at) {
      const Vec cos = b_.load(cos_, at);
      const Vec sin = b_.load(sin_, at);
      const Vec first = b_.load(kernel_.at("weight"), at);
      const Vec second = b_.load(kernel_.at("weight"), shifted(at, rope_.pairs));
      b_.store(factors_, at, first * cos);
      b_.store(factors_, shifted(at, rope_.pairs), second * sin);
      b_.store(factors_, shifted(at, 2 * rope_.pairs), first * sin);
      b_.store(factors_, shifted(at, 3 * rope_.pairs), second * cos);
    });
  }

  // The axis of every pair, once for the whole block of rows.
  void write_axes() {
    const auto vectors = static_cast<int>(vectors_in(rope_.pairs, b_.target()));
    const Vec lane = b_.iota();
    b_.vectors(rope_.pairs, vectors, [&](const Span& at, int) {
      Vec axes = b_.constant_bits(0);
      for (uint8_t i = 0; i < b_.lanes() && at.offset + i < rope_.pairs; ++i) {
        const auto axis = static_cast<uint32_t>(rope_.axis(at.offset + i));
        if (axis == 0) continue;
        const auto here = b_.compare_int(Compare::eq, lane, b_.constant_bits(i));
        axes = b_.select(here, b_.constant_bits(axis), axes);
      }
      b_.store(angles_, shifted(at, 2 * rope_.pairs), axes);
    });
  }

  // The table's row for a position of the current row: positions[element] or, with `of`, there.
  Pointer table_row(std::string_view table, Scalar position) {
    return b_.offset(kernel_.at(table), b_.mul(position, kernel_.stride(table, 0)));
  }

  void find_angles() {
    cos_ = kernel_.at("cos");
    sin_ = kernel_.at("sin");
    if (rope_.per_token) return;
    Pointer positions = kernel_.at("positions");
    switch (rope_.kind) {
      case RopeKind::rope: {
        const Scalar position = b_.load_integer(positions);
        cos_ = table_row("cos", position);
        sin_ = table_row("sin", position);
        return;
      }
      case RopeKind::vision: {
        const Scalar row = b_.load_integer(positions, 0);
        const Scalar column = b_.load_integer(positions, 1);
        for (const auto& [table, start] :
             {std::pair{"cos", int64_t{0}}, std::pair{"sin", rope_.pairs}}) {
          copy(table_row(table, row), start, rope_.pairs / 2);
          copy(table_row(table, column), start + rope_.pairs / 2, rope_.pairs / 2);
        }
        break;
      }
      case RopeKind::mrope: {
        std::vector<Scalar> axes = {b_.load_integer(positions)};
        for (int axis = 1; axis < 3; ++axis) {
          positions = b_.offset(positions, kernel_.stride("positions", 0));
          axes.push_back(b_.load_integer(positions));
        }
        gather("cos", axes, 0);
        gather("sin", axes, rope_.pairs);
        break;
      }
    }
    cos_ = angles_;
    sin_ = b_.offset(angles_, rope_.pairs * 4);
  }

  void copy(Pointer from, int64_t start, int64_t count) {
    b_.vectors(count,
               [&](const Span& at) { b_.store(angles_, shifted(at, start), b_.load(from, at)); });
  }

  // Each pair from the table row of its axis.
  void gather(std::string_view table, const std::vector<Scalar>& positions, int64_t start) {
    std::vector<Pointer> rows;
    for (const Scalar position : positions) rows.push_back(table_row(table, position));
    b_.vectors(rope_.pairs, [&](const Span& at) {
      const Vec axes = b_.load(angles_, shifted(at, 2 * rope_.pairs));
      Vec value = b_.load(rows[0], at);
      for (uint32_t axis = 1; axis < 3; ++axis) {
        const Vec other = b_.load(rows[axis], at);
        value = b_.select(b_.compare_int(Compare::eq, axes, b_.constant_bits(axis)), other, value);
      }
      b_.store(angles_, shifted(at, start), value);
    });
  }

  void head(Pointer x, Pointer y) {
    b_.vectors(rope_.pairs, unroll_, [&](const Span& at, int) {
      if (rope_.norm && !rope_.interleaved) return turn_weighted(x, y, at);
      const Vec cos = b_.load(cos_, at);
      const Vec sin = b_.load(sin_, at);
      if (rope_.interleaved) {
        turn_adjacent(x, y, at, cos, sin);
      } else {
        const Span second = shifted(at, rope_.pairs);
        const Vec a = value(x, at);
        const Vec turned_with = value(x, second);
        const Pair turned = turn({a, turned_with}, cos, sin);
        store(y, at, turned.first);
        store(y, second, turned.second);
      }
    });
    const int64_t rotary = 2 * rope_.pairs;
    b_.vectors(rope_.dim - rotary, [&](const Span& at) {
      const Span rest = shifted(at, rotary);
      store(y, rest, value(x, rest));
    });
  }

  void turn_weighted(Pointer x, Pointer y, const Span& at) {
    const Span second = shifted(at, rope_.pairs);
    const auto factor = [&](int64_t i) { return b_.load(factors_, shifted(at, i * rope_.pairs)); };
    const Vec a = b_.load(x, at) * scale_;
    const Vec c = b_.load(x, second) * scale_;
    const Vec across = c * factor(1);
    store(y, at, b_.fms(a, factor(0), across));
    const Vec along = c * factor(3);
    store(y, second, b_.fma(a, factor(2), along));
  }

  // Pairs (2j, 2j + 1): the accesses cover two vectors of x for each one of angles.
  void turn_adjacent(Pointer x, Pointer y, const Span& at, Vec cos, Vec sin) {
    const auto lanes = static_cast<uint8_t>(b_.lanes());
    const int64_t elements = 2 * (at.whole ? lanes : at.count.operand.imm);
    Scalar index = at.index;  // of elements: twice that of pairs
    if (index.reg.valid()) index = b_.add(index, index);
    const auto part = [&](int64_t from) {
      const int64_t count = std::clamp<int64_t>(elements - from, 0, lanes);
      return Span{2 * at.offset + from, index, count, count == lanes};
    };
    const Span low = part(0);
    const Span high = part(lanes);
    const bool has_high = elements > lanes;
    const Vec v0 = value(x, low);
    const Vec v1 = has_high ? value(x, high) : b_.constant(0);
    std::vector<uint8_t> even(lanes), odd(lanes), first(lanes), second(lanes);
    for (uint8_t i = 0; i < lanes; ++i) {
      even[i] = static_cast<uint8_t>(2 * i);
      odd[i] = static_cast<uint8_t>(2 * i + 1);
      first[i] = static_cast<uint8_t>(i / 2 + (i % 2 == 0 ? 0 : lanes));
      second[i] = static_cast<uint8_t>((lanes + i) / 2 + ((lanes + i) % 2 == 0 ? 0 : lanes));
    }
    const Vec a = b_.shuffle(v0, v1, even);
    const Vec c = b_.shuffle(v0, v1, odd);
    const Pair turned = turn({a, c}, cos, sin);
    store(y, low, b_.shuffle(turned.first, turned.second, first));
    if (has_high) store(y, high, b_.shuffle(turned.first, turned.second, second));
  }

  Pair turn(const Pair& x, Vec cos, Vec sin) {
    const Vec across = x.second * sin;
    const Vec along = x.second * cos;
    const Vec first = b_.fms(x.first, cos, across);
    return {first, b_.fma(x.first, sin, along)};
  }

  // An element of the head, normalised where the problem says so.
  Vec value(Pointer x, const Span& at) {
    const Vec v = b_.load(x, at);
    if (!rope_.norm) return v;
    const Vec scaled = v * scale_;
    return scaled * b_.load(kernel_.at("weight"), at);
  }

  void store(Pointer y, const Span& at, Vec v) {
    if (kernel_.is_streaming("y")) {
      b_.store_stream(y, at, v);
    } else {
      b_.store(y, at, v);
    }
  }

  RowKernel& kernel_;
  Builder& b_;
  const Rope& rope_;
  int unroll_;
  math::Options options_;
  float eps_;
  Pointer angles_, cos_, sin_, scales_, factors_;
  Vec scale_;
  std::optional<BlockQuantizer> quantizer_;  // of a y in blocks
  Pointer turned_;                           // a head before it is quantised
};

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const Rope rope(p);
  RowKernel kernel("rope", rope.signature, target);
  RopeRow row(kernel, rope, s, static_cast<float>(p.number("eps")));
  kernel.for_rows(streamed_output(s, rope.signature), [&] { row.write(); });
  const bool in_place = rope.cache.is_off() && rope.cache.type != Type::q8_0;
  return kernel.plan(s["grain"], in_place);
}

Work work(const Problem& p, const Sizes& sizes) {
  const Rope rope(p);
  // Four products and two sums a pair; the norm squares, sums, scales and weights every element.
  const auto pairs = static_cast<double>(rope.heads * rope.pairs);
  const auto normed = rope.norm ? static_cast<double>(rope.heads * (4 * rope.dim + 3)) : 0.0;
  const double quantised = rope.cache.type != Type::q8_0
                               ? 0.0
                               : static_cast<double>(rope.heads * rope.dim) *
                                     (BlockQuantizer::kFlops + 2.0 / BlockQuantizer::kBlock);
  return work_of(rope.signature, sizes, 6 * pairs + normed + quantised);
}

}  // namespace

const Family& rope() {
  static const Family family = [] {
    Family rope;
    rope.name = "rope";
    rope.revision = 2;
    rope.summary =
        "y = x with its pairs (a, b) turned to (a cos - b sin, b cos + a sin); norm: of "
        "rms_norm(x); slots: y[slots[r]] of a cache y";
    rope.example = "rope rows=512..2047 kind=mrope heads=16 dim=128 norm=true";
    ParameterSpec heads =
        integer_parameter("heads", 1, 1, kMaxWidth, "heads of x [rows, heads, dim]");
    ParameterSpec dim = integer_parameter("dim", 2, 1, kMaxRopeDim, "elements of a head");
    heads.required = dim.required = true;
    ParameterSpec section{"section", std::string("24:20:20"),
                          "kind=mrope: pairs of each axis; their sum is dim/2"};
    rope.parameters = {
        rows_parameter(),
        choice_parameter(
            "kind", {"rope", "mrope", "vision"},
            "one position a row; three, each pair by its axis; row and column of a patch"),
        heads,
        dim,
        section,
        choice_parameter(
            "tables", {"gathered", "per_token"},
            "cos and sin [positions, pairs] read at positions, or [rows, pairs] without"),
        flag_parameter("interleaved", false, "whether pairs are (2j, 2j + 1), not (j, j + pairs)"),
        integer_parameter("rotary_dim", 0, 0, kMaxRopeDim,
                          "elements of a head that turn, from the first; 0: all"),
        flag_parameter("norm", false,
                       "whether each head goes through rms_norm with weight [dim] first"),
        eps_parameter(1e-6),
        type_parameter(),
        quantisable_out_parameter(),
        weight_type_parameter(),
        slots_parameter(/*may_be_off=*/true),
        page_parameter(),
        slots_type_parameter(),
    };
    rope.limits = float_and_block_limits({1e-6, 4e-6});
    rope.form = CallForm::rope;
    rope.graph_ops = {"rope", "mrope", "vision_rope"};
    rope.smallest = "rope rows=1 heads=2 dim=16";
    rope.validate = validate_rope;
    rope.signature = [](const Problem& p) { return Rope(p).signature; };
    rope.reference = rope_reference;
    rope.space = space;
    rope.build = build;
    rope.work = work;
    rope.derive_sizes = derive_slot_sizes;
    return rope;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
