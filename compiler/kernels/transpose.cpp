// Squares of lanes × lanes in registers, and what is left of a strip beside them.
#include "compiler/kernels/transpose.h"

#include <algorithm>

namespace lathe::compiler::kernels {

using ir::program::Builder;
using ir::program::Compare;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

namespace {

using Pattern = std::vector<uint8_t>;

// In each four lanes: those of a and b that `lanes` names, 4 and above meaning b.
Pattern in_quads(int lanes, const std::vector<int>& of_quad) {
  Pattern pattern;
  for (int i = 0; i < lanes; ++i) {
    const int lane = of_quad[static_cast<size_t>(i % 4)];
    pattern.push_back(static_cast<uint8_t>((lane / 4) * lanes + i / 4 * 4 + lane % 4));
  }
  return pattern;
}

// Every second piece of `unit` lanes of a ++ b, from piece `first` on.
Pattern every_second(int lanes, int unit, int first) {
  Pattern pattern;
  for (int piece = first; piece * unit < 2 * lanes; piece += 2)
    for (int i = 0; i < unit; ++i) pattern.push_back(static_cast<uint8_t>(piece * unit + i));
  return pattern;
}

// Vectors i, i + 1, i + 2, i + 3: four squares of 4 × 4 side by side.
void transpose_quads(Builder& b, std::vector<Vec>& v, size_t i) {
  const int lanes = b.lanes();
  const Pattern low = in_quads(lanes, {0, 4, 1, 5}), high = in_quads(lanes, {2, 6, 3, 7});
  const Pattern front = in_quads(lanes, {0, 1, 4, 5}), back = in_quads(lanes, {2, 3, 6, 7});
  const Vec low_01 = b.shuffle(v[i], v[i + 1], low);
  const Vec low_23 = b.shuffle(v[i + 2], v[i + 3], low);
  const Vec high_01 = b.shuffle(v[i], v[i + 1], high);
  const Vec high_23 = b.shuffle(v[i + 2], v[i + 3], high);
  v[i] = b.shuffle(low_01, low_23, front);
  v[i + 1] = b.shuffle(low_01, low_23, back);
  v[i + 2] = b.shuffle(high_01, high_23, front);
  v[i + 3] = b.shuffle(high_01, high_23, back);
}

}  // namespace

std::vector<Vec> transposed(Builder& b, std::vector<Vec> rows) {
  const int lanes = b.lanes();
  const int unit = lanes >= 4 ? 4 : 1;
  for (size_t i = 0; unit == 4 && i < rows.size(); i += 4) transpose_quads(b, rows, i);
  // Vector t·unit + c now has piece q of all those with the same c where piece t belongs. Taking
  // pieces apart by the bits of q, the lowest first, leaves piece q in the place of t.
  const int pieces = lanes / unit;
  std::vector<Vec> result(rows.size());
  for (int c = 0; c < unit; ++c) {
    std::vector<Vec> left;
    for (int t = 0; t < pieces; ++t) left.push_back(rows[static_cast<size_t>(t * unit + c)]);
    // Groups of vectors that hold the pieces q = first + k · distance.
    for (int distance = 1; distance < pieces; distance *= 2) {
      std::vector<Vec> next(left.size());
      const size_t group = left.size() / static_cast<size_t>(distance);
      for (size_t g = 0; g < static_cast<size_t>(distance); ++g) {
        for (size_t i = 0; i < group / 2; ++i) {
          const Vec x = left[g * group + 2 * i], y = left[g * group + 2 * i + 1];
          next[g * group + i] = b.shuffle(x, y, every_second(lanes, unit, 0));
          next[g * group + group / 2 + i] = b.shuffle(x, y, every_second(lanes, unit, 1));
        }
      }
      left = std::move(next);
    }
    // The bits of a piece's number came apart lowest first: they are in reverse.
    for (int place = 0; place < pieces; ++place) {
      int q = 0;
      for (int bit = 1, reverse = pieces / 2; bit < pieces; bit *= 2, reverse /= 2)
        if ((place & bit) != 0) q |= reverse;
      result[static_cast<size_t>(q * unit + c)] = left[static_cast<size_t>(place)];
    }
  }
  return result;
}

void copy_transposed(Builder& b, Pointer from, Scalar stride, int rows, Scalar length, Pointer to,
                     int64_t step) {
  const int lanes = b.lanes();
  const Scalar strip = b.mul(stride, lanes);
  const auto square = [&](Pointer source, Pointer target) {
    const Pointer row = b.copy(source);
    const Pointer ahead = b.offset(source, strip);
    std::vector<Vec> vectors;
    for (int i = 0; i < lanes; ++i) {
      b.prefetch(ahead, 0);  // the next strip, whose rows are far apart
      b.advance(ahead, stride);
      vectors.push_back(i < rows ? b.load(row, Span{0, {}, lanes, true}) : b.constant(0));
      if (i + 1 < rows) b.advance(row, stride);
    }
    const std::vector<Vec> columns = transposed(b, std::move(vectors));
    for (int j = 0; j < lanes; ++j)
      b.store(target, Span{j * step, {}, lanes, true}, columns[static_cast<size_t>(j)]);
  };
  const Pointer source = b.copy(from);
  const Pointer target = b.copy(to);
  const Scalar squares = b.div(length, lanes);
  b.loop(0, squares, 1, [&](Scalar) {
    square(source, target);
    b.advance(source, lanes * ir::size_of(from.type));
    b.advance(target, lanes * step * 4);
  });
  if (lanes == 1) return;
  const Scalar rest = b.sub(length, b.mul(squares, lanes));
  const auto one_by_one = [&] {
    const Span one{0, {}, 1, false};
    b.loop(0, rest, 1, [&](Scalar) {
      b.store(target, Span{0, {}, lanes, true}, b.constant(0));
      const Pointer row = b.copy(source);
      for (int i = 0; i < rows; ++i) {
        const Vec value = b.load(row, one);
        b.store(target, Span{i, {}, 1, false}, value);
        if (i + 1 < rows) b.advance(row, stride);
      }
      b.advance(source, ir::size_of(from.type));
      b.advance(target, step * 4);
    });
  };
  b.branch(Compare::gt, rest, 0, [&] {
    // Where there is a whole square, the last one overlaps its neighbour.
    b.branch(
        Compare::gt, squares, 0,
        [&] {
          const Scalar back = b.sub(rest, lanes);
          const Pointer last = b.offset(source, b.mul(back, ir::size_of(from.type)));
          const Pointer last_target = b.offset(target, b.mul(back, step * 4));
          square(last, last_target);
        },
        one_by_one);
  });
}

}  // namespace lathe::compiler::kernels
