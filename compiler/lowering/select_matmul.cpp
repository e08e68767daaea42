// Matrix products of two variable sides: batches, and what of the shapes is broadcast.
#include <algorithm>
#include <optional>

#include "compiler/lowering/select.h"

namespace lathe::compiler::lowering {
namespace {

using ir::graph::Node;
using ir::graph::Shape;
using ir::graph::TensorType;

int64_t product(const Shape& shape, size_t begin, size_t end) {
  int64_t elements = 1;
  for (size_t i = begin; i < end; ++i) elements *= shape[i].number();
  return elements;
}

// One side: a vector is a row on the left, a column on the right.
struct Side {
  Side(const LoweredGraph& lowered, ValueId of, bool left)
      : value(of), shape(lowered.graph.type(of).shape) {
    if (shape.size() == 1) shape.insert(left ? shape.begin() : shape.end(), 1);
  }
  int64_t rows() const { return shape[shape.size() - 2].number(); }
  int64_t columns() const { return shape.back().number(); }
  // The dimensions before the matrix, as many as `rank`.
  Shape batch(size_t rank) const {
    Shape leading(rank - (shape.size() - 2), 1);
    leading.insert(leading.end(), shape.begin(), shape.end() - 2);
    return leading;
  }

  ValueId value;
  Shape shape;  ///< as the product has it
  // Reads what the value was transposed from instead; whether it was.
  bool untranspose(const LoweredGraph& lowered) {
    const ValueId source = untransposed(lowered, value);
    if (source >= 0) value = source;
    return source >= 0;
  }
};

// How the batches of the result are made of both sides', dense in memory.
struct Batches {
  int64_t count = 1;      ///< of matrices on the right
  int64_t merged = 1;     ///< matrices on the left that one on the right follows: more rows of one
  bool one_left = false;  ///< all multiply the same one on the left
};
std::optional<Batches> batches_of(const Side& a, const Side& b, const Shape& result) {
  const size_t rank = std::max(a.shape.size(), b.shape.size()) - 2;
  const Shape left = a.batch(rank), right = b.batch(rank);
  const Shape all(result.begin(), result.begin() + static_cast<std::ptrdiff_t>(rank));
  const int64_t count = product(all, 0, rank);
  if (left == all) {
    // Whole up to some dimension, one matrix for all that follow.
    size_t whole = 0;
    while (whole < rank && right[whole] == all[whole]) ++whole;
    const int64_t merged = product(all, whole, rank);
    if (product(right, whole, rank) == 1) return Batches{count / merged, merged, false};
  }
  if (right == all && product(left, 0, rank) == 1) return Batches{count, 1, true};
  return std::nullopt;
}

}  // namespace

ValueId untransposed(const LoweredGraph& lowered, ValueId value) {
  const int32_t producer = lowered.graph.value(value).producer;
  if (producer < 0) return -1;
  const Node& node = lowered.graph.nodes[static_cast<size_t>(producer)];
  if (node.op->name != "transpose") return -1;
  const auto rank = static_cast<int64_t>(lowered.graph.type(value).shape.size());
  const std::vector<int64_t>& perm = node.attributes.integers("perm");
  if (rank < 2) return -1;
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t swapped = i == rank - 2 ? rank - 1 : i == rank - 1 ? rank - 2 : i;
    const int64_t axis = perm[static_cast<size_t>(i)];
    if ((axis < 0 ? axis + rank : axis) != swapped) return -1;
  }
  return node.operands.front();
}

bool select_batched_matmul(const LoweredGraph& lowered, const Node& node, Call& call,
                           std::string& reason) {
  Side a(lowered, node.operands[0], true), b(lowered, node.operands[1], false);
  const TensorType& y = lowered.graph.type(node.results.front());
  const int64_t k = a.columns();
  if (k == 0 || product(y.shape, 0, y.shape.size()) == 0) {
    reason = "nothing is computed";
    return false;
  }
  const auto batches = batches_of(a, b, y.shape);
  if (!batches) {
    reason = "the batches broadcast in a way that kernels do not";
    return false;
  }
  call.kind = CallKind::kernel;
  call.batch = batches->count;
  call.rows = batches->count * batches->merged * a.rows();
  call.width = b.columns();
  call.values = {{"batch", std::to_string(call.batch)},
                 {"n", std::to_string(call.width)},
                 {"k", std::to_string(k)},
                 {"type", std::string(ir::name(y.element))}};
  // Rows of several matrices lie one after the other only where they are rows in memory.
  if (batches->merged == 1 && a.untranspose(lowered)) call.values["transpose_a"] = "true";
  if (b.untranspose(lowered)) call.values["transpose_b"] = "true";
  if (batches->one_left) {
    const bool is_transposed = call.values.count("transpose_a") != 0;
    call.strides = {{0, is_transposed ? a.rows() : k, 1}};
  }
  call.epilogue = Chain::self();
  // The family says what it computes.
  std::string line = fmt::format("{} rows={}", call.family->name, call.rows / call.batch);
  for (const auto& [key, value] : call.values) line += " " + key + "=" + value;
  if (const auto problem = parse_problem(line); !problem) {
    reason = problem.error().message;
    return false;
  }
  call.inputs = {a.value, b.value};
  return true;
}

}  // namespace lathe::compiler::lowering
