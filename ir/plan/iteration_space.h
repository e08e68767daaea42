// A nest of parallel loops as one space of iterations, to be shared out over threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ir/plan/plan.h"

namespace lathe::ir::plan {

/// What expressions are evaluated on: values of the plan's variables, and where element 0 of each
/// operand lies. Elements are read unchecked: the rules of their operands must have been.
struct Environment {
  int64_t* variables;
  std::byte* const* operands;

  int64_t value(const Expr& expr) const {
    return expr.evaluate(variables, [this](const Expr::Token& token, int64_t offset) {
      return read_element(token, operands[token.value] + offset);
    });
  }
};

/// The parallel loop that is the whole body of another; null where there is none.
const Loop* nested_parallel(const Loop& loop);

/// The iterations of directly nested parallel loops, numbered from 0, the innermost loop's first.
/// Where the innermost loop's bounds depend on the loops around it, each of their iterations has as
/// many as it needs, and none is empty. Allocates nothing; the nest must outlive it.
class IterationSpace {
 public:
  static constexpr int kMaxDepth = 4;  ///< loops below stay part of the body

  /// `environment` has the values around the nest; its values of the nest's own variables are
  /// overwritten.
  IterationSpace(const Loop& outermost, const Environment& environment);

  int64_t size() const { return size_; }
  /// Sets the nest's variables to those of iteration `index` of [0, size()).
  void enter(int64_t index, const Environment& environment) const;
  /// What each iteration runs.
  const Body& body() const { return levels_[static_cast<size_t>(depth_ - 1)].loop->body; }

 private:
  struct Level {
    const Loop* loop = nullptr;
    int64_t begin = 0, block = 1, trips = 0;
  };

  static Level evaluate(const Loop& loop, const Environment& environment);
  void enter_outer(int64_t index, const Environment& environment) const;

  // Of a ragged nest: how many iterations come before every `stride_`-th one of the outer loops.
  static constexpr int kMarks = 128;

  std::array<Level, kMaxDepth> levels_{};
  int depth_ = 0;
  bool ragged_ = false;
  int64_t size_ = 0;
  int64_t stride_ = 1;
  int marks_ = 0;
  std::array<int64_t, kMarks> before_;
};

}  // namespace lathe::ir::plan
