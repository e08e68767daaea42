// What all row kernels share: operands and strides, the loop over rows, streaming, tails, the plan.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/fragment.h"
#include "compiler/kernels/signature.h"
#include "compiler/search_space.h"
#include "ir/plan/plan.h"
#include "ir/program/builder.h"
#include "ir/target.h"

namespace lathe::compiler::kernels {

using ir::Target;
using ir::Type;
using ir::plan::Plan;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

/// A kernel whose rows do not depend on each other. Its plan cuts the rows into one block for each
/// thread; a row is never split, so results do not depend on the number of threads. Where operands
/// have a dimension `batch`, each item of it has rows of its own; those without one share what they
/// hold.
///
///   RowKernel kernel("scale", signature, target);
///   Builder& b = kernel.builder();
///   kernel.for_rows([&] { b.vectors(width, [&](const Span& i) { kernel.store("y", i, …); }); });
///   return kernel.plan(schedule["grain"]);
class RowKernel {
 public:
  RowKernel(std::string name, Signature signature, const Target& target);

  Builder& builder() { return b_; }
  const Signature& signature() const { return signature_; }

  /// An operand's pointer: inside for_rows at the current row, if the operand has rows.
  Pointer at(std::string_view operand) const { return slots_.at(std::string(operand)).pointer; }
  /// Bytes between neighbours of dimension k, which is not the last.
  Scalar stride(std::string_view operand, int k) const;
  /// Working memory of one worker.
  Pointer scratch(const std::string& name, Type type, int64_t elements);

  /// Visits every row of the block, moving the pointers. With `streamed`, an f32 output: where all
  /// its rows are aligned, stores to it go past the caches; the rows' code is there twice.
  /// `before` runs once, with the pointers at the first row.
  void for_rows(const std::function<void()>& body);
  void for_rows(const std::string& streamed, const std::function<void()>& body,
                const std::function<void()>& before = nullptr);

  /// Inside the rows' code: the operand's next row of this block, or the current one if it is the
  /// last.
  Pointer next_row(std::string_view operand);

  void store(std::string_view operand, const Span& at, Vec value);
  /// Whether the code being written may stream to this output.
  bool is_streaming(std::string_view operand) const { return operand == streaming_; }
  /// A fragment's input at a place of the current row.
  Vec load(const FragmentInput& input, const Span& at);

  /// `value`, with `fill` in the lanes that a partial access leaves out.
  Vec masked(Vec value, const Span& at, float fill);

  /// The rows in parallel, at least `grain_kib` KiB of traffic a task.
  Plan plan(int64_t grain_kib, bool in_place);

 private:
  struct Slot {
    Pointer pointer;
    std::map<int, Scalar> strides;
  };

  void rows_loop(const std::function<void()>& body, const std::function<void()>& before = nullptr);
  Scalar misalignment(std::string_view operand);

  std::string name_;
  Signature signature_;
  Builder b_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::vector<std::pair<std::string, int64_t>> scratch_;
  Scalar rows_;
  Scalar row_;             ///< the current one, inside the loop
  std::string streaming_;  ///< the output whose stores now go past the caches
};

/// Several running values, one for each place of an unrolled trip, so that a reduction does not
/// wait for itself.
class Accumulators {
 public:
  Accumulators(Builder& b, int count, float start);
  /// The one of this place.
  Vec of(int place) const { return values_[static_cast<size_t>(place) % values_.size()]; }
  void reset(float start);
  Vec sum() const;      ///< over all lanes, in every lane
  Vec largest() const;  ///< likewise

 private:
  Vec combine(ir::program::Op op) const;
  Builder& b_;
  std::vector<Vec> values_;
};

/// A row whose mean square is kLargeSquare or more is taken once more with its values times
/// kShrink: the squares of no finite values overflow then, nor do their sums.
inline constexpr float kLargeSquare = 0x1p125F;
inline constexpr float kShrink = 0x1p-80F;
inline constexpr int kRareAccumulators = 2;  ///< of such passes

/// Emits `then` for where the mask holds in any lane, and `otherwise` for where it holds in none.
void branch_any(Builder& b, ir::program::Mask mask, const std::function<void()>& then,
                const std::function<void()>& otherwise = nullptr);

/// Knobs that every row kernel has.
void add_unroll(SearchSpace& space, int64_t width, const Target& target, int64_t default_value);
void add_division(SearchSpace& space);
math::Options options_of(
    const Schedule& schedule);  ///< `division`, exact where there is no such knob
void add_row_knobs(SearchSpace& space, const Signature& signature, const Bucket& rows,
                   const Target& target);
/// Whether the f32 output is so large that it streams unless told otherwise.
bool surely_streams(const Signature& signature, const Bucket& rows);
/// Where `stream` is on: the name of the output to stream, else empty.
std::string streamed_output(const Schedule& schedule, const Signature& signature);

/// Vectors that hold a row, the last perhaps in part.
inline int64_t vectors_in(int64_t width, const Target& target) {
  return (width + target.lanes - 1) / target.lanes;
}

}  // namespace lathe::compiler::kernels
