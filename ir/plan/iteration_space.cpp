// Numbering the iterations of a nest, and finding one by its number.
#include "ir/plan/iteration_space.h"

#include <algorithm>

namespace lathe::ir::plan {
namespace {

bool depends(const Loop& inner, const Loop& outer) {
  return inner.begin.reads_variable(outer.variable) || inner.end.reads_variable(outer.variable) ||
         inner.block.reads_variable(outer.variable);
}

int64_t saturating_product(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

}  // namespace

const Loop* nested_parallel(const Loop& loop) {
  const auto* inner = loop.body.size() == 1 ? std::get_if<Loop>(&loop.body.front().value) : nullptr;
  return inner != nullptr && inner->parallel ? inner : nullptr;
}

IterationSpace::Level IterationSpace::evaluate(const Loop& loop, const Environment& environment) {
  Level level{&loop, environment.value(loop.begin),
              std::max<int64_t>(environment.value(loop.block), 1), 0};
  const int64_t end = environment.value(loop.end);
  if (end > level.begin) level.trips = (end - level.begin - 1) / level.block + 1;
  return level;
}

IterationSpace::IterationSpace(const Loop& outermost, const Environment& environment) {
  for (const Loop* loop = &outermost; loop != nullptr && depth_ < kMaxDepth;
       loop = nested_parallel(*loop)) {
    for (int d = 0; d < depth_; ++d)
      ragged_ = ragged_ || depends(*loop, *levels_[static_cast<size_t>(d)].loop);
    Level& level = levels_[static_cast<size_t>(depth_++)];
    level.loop = loop;
    if (!ragged_) level = evaluate(*loop, environment);
  }
  int64_t outer = 1;
  for (int d = 0; d < depth_ - 1; ++d)
    outer = saturating_product(outer, levels_[static_cast<size_t>(d)].trips);
  if (!ragged_) {
    size_ = saturating_product(outer, levels_[static_cast<size_t>(depth_ - 1)].trips);
    return;
  }
  const Loop& innermost = *levels_[static_cast<size_t>(depth_ - 1)].loop;
  stride_ = outer / kMarks + 1;
  for (int64_t i = 0; i < outer; ++i) {
    if (i % stride_ == 0) before_[static_cast<size_t>(marks_++)] = size_;
    enter_outer(i, environment);
    size_ += evaluate(innermost, environment).trips;
  }
}

void IterationSpace::enter_outer(int64_t index, const Environment& environment) const {
  for (int d = depth_ - 2; d >= 0; --d) {
    const Level& level = levels_[static_cast<size_t>(d)];
    environment.variables[level.loop->variable] = level.begin + index % level.trips * level.block;
    index /= level.trips;
  }
}

void IterationSpace::enter(int64_t index, const Environment& environment) const {
  Level inner = levels_[static_cast<size_t>(depth_ - 1)];
  if (!ragged_) {
    enter_outer(index / inner.trips, environment);
    index %= inner.trips;
  } else {
    // The last mark at or before the iteration, and on from there.
    const auto* const end = before_.begin() + marks_;
    const auto mark = std::upper_bound(before_.begin(), end, index) - before_.begin() - 1;
    index -= before_[static_cast<size_t>(mark)];
    int64_t outer = mark * stride_;
    for (;; ++outer) {
      enter_outer(outer, environment);
      inner = evaluate(*inner.loop, environment);
      if (index < inner.trips) break;
      index -= inner.trips;
    }
  }
  environment.variables[inner.loop->variable] = inner.begin + index * inner.block;
}

}  // namespace lathe::ir::plan
