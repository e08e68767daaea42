// A graph as calls: kernels by problem, views, and what the host evaluates; the form fusion works
// on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/choose_layout.h"
#include "compiler/family.h"
#include "compiler/problem.h"
#include "compiler/weight_packing.h"
#include "ir/graph/graph.h"

namespace lathe::compiler::lowering {

using ir::graph::ValueId;

/// An elementwise expression over graph values: what becomes a fragment's text. A plain tree.
struct Chain {
  std::string op;  ///< a fragment function; empty for a leaf
  std::vector<Chain> arguments;
  ValueId value = -1;            ///< of a leaf; kSelf or kOther in an epilogue
  std::string wrapper;           ///< of a leaf: "" (full), "vec", "col"
  std::optional<double> number;  ///< of a numeric leaf

  static constexpr ValueId kSelf = -2;   ///< the kernel's own result, y
  static constexpr ValueId kOther = -3;  ///< the second product of a pair of weights, z
  static Chain leaf(ValueId value, std::string wrapper = "");
  static Chain constant(double number);
  static Chain self() { return leaf(kSelf); }
  bool is_leaf() const { return op.empty(); }
  bool is_plain_leaf() const { return is_leaf() && !number && wrapper.empty(); }

  /// Every distinct value with its wrapper, in order of first appearance; not kSelf.
  std::vector<std::pair<ValueId, std::string>> values() const;
  /// Every full leaf of `value` replaced.
  Chain substitute(ValueId value, const Chain& replacement) const;
  bool reads(ValueId value) const;
  size_t size() const;
  size_t depth() const;  ///< 1 for a leaf
};

enum class CallKind {
  kernel,  ///< a compiled kernel of `family`
  view,    ///< the output is the input's memory under another shape
  pack,    ///< a weight into panels (compiler/weight_packing.h); the outputs are its parts
  /// A plain function of the runtime, named as the graph's op: what chooses by scores.
  function,
  host,  ///< evaluated by the reference interpreter: no kernel family computes it
};

/// One step of execution.
struct Call {
  CallKind kind = CallKind::host;
  const Family* family = nullptr;             ///< of a kernel
  std::map<std::string, std::string> values;  ///< the problem's parameters but fragments and rows
  /// Of norms (CallForm::rows); an elementwise kernel's is in prologue, that of a product in
  /// epilogue.
  Chain prologue, epilogue;
  int64_t rows = 1, width = 1;  ///< what the operands flatten to
  int64_t batch = 1;            ///< of batched_matmul: of how many matrices the rows are
  std::vector<ValueId> inputs;  ///< further operands: weight, tables, positions, …
  Sizes sizes{};                ///< of a problem without rows: its named dimensions
  /// Of the problem's operands in their order, inputs then outputs, in elements; none, or an empty
  /// one: the operand is dense.
  std::vector<std::vector<int64_t>> strides{};
  std::vector<ValueId> outputs;
  /// The value that the last output is but for elements that the call writes: one operand with it.
  /// -1: there is none.
  ValueId updates = -1;
  WeightLayout layout{};    ///< of a pack
  bool transposed = false;  ///< of a pack: the weight lies as [k, n]
  int32_t node = -1;        ///< of the graph: the node a host call or a function computes
  std::string reason;       ///< of a host call: why

  bool is(CallForm form) const { return kind == CallKind::kernel && family->form == form; }
  /// Of a kernel: whether its problem speaks of rows, and not of dimensions by name (sizes).
  bool has_rows() const { return family->parameter("rows") != nullptr; }
  bool is_norm() const { return is(CallForm::rows); }
  bool is_product() const { return is(CallForm::linear) || is(CallForm::batched_matmul); }
  /// All graph values it reads.
  std::vector<ValueId> reads() const;
};

/// Calls in an order in which operands are computed before they are read. The graph's dimensions
/// are all numbers.
struct LoweredGraph {
  ir::graph::Graph graph;
  std::vector<Call> calls;
  LayoutRule layouts;  ///< how weights are packed

  /// How many times calls read the value; a graph output counts once more.
  int uses(ValueId value) const;
  bool is_output(ValueId value) const;
  /// The call that computes the value, or -1 (an input).
  int producer(ValueId value) const;
};

/// One call a line: `%h, %y = rms_norm width=2048 prologue=add(%x,%r) keep=true (%w)`.
std::string print(const LoweredGraph& lowered);

/// A kernel call as a problem with its operands in the problem's order, inputs then outputs.
struct BoundProblem {
  Problem problem;
  Sizes sizes;
  std::vector<ValueId> operands;
  std::vector<std::vector<int64_t>> strides;  ///< of operands that are not dense: Call::strides
};
/// Fragment inputs are named x, r, s, t, … in order of appearance, so that equal chains of
/// different graphs are one problem; chains that a family of their own computes (silu, gelu,
/// swiglu, …) become that family's.
Result<BoundProblem> problem_of(const Call& call, const LoweredGraph& lowered);

}  // namespace lathe::compiler::lowering
