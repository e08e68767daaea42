// What the norms share: prologue, kept sum, weight, epilogue, and how a row is held between passes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/row_kernel.h"

namespace lathe::compiler::kernels {

/// A norm: h = prologue(inputs), n = its formula over h, y = epilogue(n * weight + bias, inputs); y
/// rounded to `out`, or quantised where that is q8_0.
struct Norm {
  explicit Norm(const Problem& problem);

  std::string name;
  int64_t width;
  Bucket rows;
  Type type, out;
  bool weight, bias, keep;
  Fragment prologue, epilogue;
  Signature
      signature;  ///< the prologue's inputs, weight, bias, the epilogue's; then h where kept, y

  /// Whether h is an input of the full shape as it stands.
  bool is_plain() const { return prologue.is_leaf() && !keep; }
  /// Whether h takes next to no computation and y is not quantised: registers are left.
  bool is_light() const { return prologue.flops() <= 1 && out != Type::q8_0; }
  double fragment_flops() const;  ///< of one element: all but the norm's own formula
  /// Whether an output may be the memory of an input.
  bool in_place() const;
};

/// prologue, keep, epilogue, weight (and bias), besides rows, width, type, out, weight_type.
std::vector<ParameterSpec> norm_parameters(bool with_weight, bool with_bias);
Status validate_norm(const Problem& problem);
Signature norm_signature(const Problem& problem);

/// Puts prologue and epilogue around `formula`, which maps h and the values of weight and bias
/// (where there are any) to y in f32.
using Formula =
    std::function<ir::graph::Var(ir::graph::GraphBuilder&, const std::vector<ir::graph::Var>&)>;
Result<ir::graph::Graph> norm_reference(const Problem& problem, const Formula& formula);

/// unroll, accumulators, how the row is held, prefetch, and the knobs of all row kernels.
/// `buffered`: the formula has more to hold than h itself, so that a buffer pays for every row.
/// `accumulators`: the default of that knob where rows and registers allow.
SearchSpace norm_space(const Norm& norm, const Target& target, int64_t accumulators,
                       bool buffered = false);
/// The values of the knob `hold`.
enum class Hold : uint8_t { reread, buffer, registers };
/// Those of the knob `prefetch`: nothing, or the next row into all caches or all but the first.
enum class Prefetch : uint8_t { off, near, far };

/// Leaves out more accumulators than the registers hold: `running` values for each, and
/// `temporaries`.
void limit_accumulators(SearchSpace& space, const Norm& norm, const Target& target,
                        const std::function<int64_t(const Schedule&)>& running,
                        int64_t temporaries);

/// Writes the passes over one row.
class NormRow {
 public:
  /// Gets a value, its access and its place in the unrolled trip.
  using Visit = std::function<void(Vec, const Span&, int)>;
  /// Likewise; returns what takes the value's place.
  using Map = std::function<Vec(Vec, const Span&, int)>;

  NormRow(RowKernel& kernel, const Norm& norm, const Schedule& schedule);

  void begin();
  /// Visits h at each place, `fill` in the lanes outside the row; writes the kept h. `held`: and
  /// holds it for later passes.
  void first_pass(float fill, const Visit& visit, bool held = true);
  /// Whether h is an input as it stands, which later passes may as well read themselves.
  bool is_plain() const { return norm_.is_plain(); }
  /// Visits it once more; lanes outside the row hold anything.
  void again(const Visit& visit);
  /// Where `square`, of which every lane is the same, is kLargeSquare or more: `body` gets the
  /// sum of the squares of h * kShrink. Other rows pay a comparison.
  void where_large(Vec square, const std::function<void(Vec)>& body);
  /// As again(); what `map` makes of h stands for it in later passes. Needs holds_row().
  void replace(const Map& map);
  /// As replace() where the first pass did not hold h: from the input, which is_plain(). `next`, if
  /// given, visits the next row's h on the way, `fill` in the lanes outside the row; after the last
  /// row it visits values that mean nothing.
  void replace_from_input(const Map& map, float fill, const Visit& next);
  /// Writes y = epilogue(map(h) …).
  void last_pass(const Map& map);

  /// `value` with `fill` in the lanes outside the row.
  Vec masked(Vec value, const Span& at, float fill) { return kernel_.masked(value, at, fill); }
  /// The row's first vector, and h there.
  Span first() const;
  Vec first_vector() { return compute(first()); }
  /// The same after the first pass, which may have written the kept h over an input.
  Vec first_held() { return held(first(), 0); }
  /// n * weight + bias, as far as the problem has them.
  Vec weighted(Vec n, const Span& at);
  int accumulators() const { return accumulators_; }
  /// Whether h stays in registers or in a buffer between the passes.
  bool holds_row() const { return hold_ != Hold::reread; }
  bool holds_in_buffer() const { return hold_ == Hold::buffer; }

 private:
  Vec compute(const Span& at);          ///< h from the inputs
  Vec held(const Span& at, int place);  ///< h in a later pass
  void hold(Vec value, const Span& at, int place);
  void prefetch_next_row(const Span& at);
  void visit_places(const std::function<void(const Span&, int)>& body);

  RowKernel& kernel_;
  Builder& b_;
  const Norm& norm_;
  int unroll_;
  int accumulators_;
  Hold hold_;
  Prefetch prefetch_;
  FragmentCode prologue_, epilogue_;
  Pointer buffer_;
  std::optional<BlockQuantizer> quantizer_;  ///< of y, where its blocks are made of the row …
  Pointer result_;                           ///< … as it lies here
  std::vector<Vec> registers_;
  std::vector<Pointer> next_;
};

/// The kernel whose row is `body`; `before` is what a block does at its first row before all rows.
Result<Plan> build_norm(const Problem& problem, const SearchSpace& space, const Schedule& schedule,
                        const Target& target,
                        const std::function<void(NormRow&, const Norm&, Builder&)>& body,
                        const std::function<void(NormRow&, Builder&)>& before = nullptr);

}  // namespace lathe::compiler::kernels
