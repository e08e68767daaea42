// The oracle: evaluates graphs in double precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph/array.h"
#include "ir/graph/graph.h"
#include "ir/tensor.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// An output as the oracle computed it: not rounded to `type`. Integers convert to double.
struct DoubleTensor {
  Type type = Type::f32;  ///< the element type the graph gives it
  std::vector<int64_t> shape;
  std::vector<double> values;  ///< row-major
};

/// What an input is, without its elements.
struct InputShape {
  Type type = Type::f32;
  std::span<const int64_t> shape;
};

/// The named dimensions' sizes that the inputs' shapes imply. invalid_argument naming the input
/// whose type, rank or size does not fit.
Result<DimBindings> bind_inputs(const Graph& graph, std::span<const InputShape> inputs);
Result<DimBindings> bind_inputs(const Graph& graph, std::span<const Tensor> inputs);

/// Runs the graph on `inputs` (one per graph input, in order). All float arithmetic is double, and
/// nothing is rounded but by cast, quantize and constant; integers wrap as in their type.
/// Errors: invalid_argument for inputs that do not fit and for data out of range (an index, a
/// division of integers by zero); resource_exhausted for a value of more than 2^28 elements.
/// Safe to call from several threads.
Result<std::vector<Array>> evaluate_arrays(const Graph& graph, std::span<const Tensor> inputs);

/// As above, as unrounded doubles: what kernels are compared with.
Result<std::vector<DoubleTensor>> evaluate_double(const Graph& graph,
                                                  std::span<const Tensor> inputs);

/// As above, with each output rounded to its type.
Result<std::vector<Tensor>> evaluate(const Graph& graph, std::span<const Tensor> inputs);

}  // namespace lathe::ir::graph
