// Whole graphs: lowered to kernel calls, compiled and run.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <lathe/error.h>
#include <lathe/library.h>
#include <lathe/tensor_view.h>

namespace lathe {

namespace runtime {
class Executor;
}

/// One dimension: `factor` times the size that a graph calls `name`, or the number `factor` where
/// it has no name.
struct GraphDimension {
  int64_t factor = 0;
  std::string name = {};
};

/// An input or an output as the graph declares it.
struct GraphOperand {
  std::string name;  ///< "x", without the %
  DataType type = DataType::f32;
  std::vector<GraphDimension> shape = {};
};

/// One step of a run.
struct GraphStep {
  std::string what;      ///< a problem line, "view", "pack …", or "host <op>: <why>"
  std::string schedule;  ///< of a kernel
  Match match = Match::default_;
  /// No kernel computes it: the reference interpreter does, in double precision on one thread.
  bool interpreted = false;
};

/// A graph ready to run with any sizes of its named dimensions: the first run of new sizes lowers
/// it and fetches its kernels, later ones only launch them. Cheap to copy; safe to call from
/// several threads at once (each run has its own working memory); outlives its Library. An empty
/// one (default constructed) refuses to run.
class Graph {
 public:
  Graph() = default;

  /// In the order in which views are given.
  std::span<const GraphOperand> inputs() const;
  std::span<const GraphOperand> outputs() const;

  /// The outputs' shapes for inputs of these shapes; only types and shapes of the views are read.
  /// invalid_argument naming the input that does not fit.
  Result<std::vector<std::vector<int64_t>>> output_shapes(std::span<const TensorView> inputs) const;

  /// Runs it on dense views, one for each input and output, with the library's threads; returns
  /// when done. An output that is an input but for some of its elements, as a cache with new rows
  /// is, may be given the memory of that input: only those elements are written then, the rest is
  /// neither read nor copied. invalid_argument naming the operand for a wrong count, type, shape,
  /// stride, null pointer, alignment or another overlap: nothing has been written then. A value out
  /// of range that a kernel meets on the way (an index, a slot) is an error, too, after which
  /// outputs hold anything.
  Status operator()(std::span<const TensorView> inputs, std::span<const TensorView> outputs) const;
  Status operator()(std::initializer_list<TensorView> inputs,
                    std::initializer_list<TensorView> outputs) const;

  /// What a run with inputs of these shapes consists of.
  Result<std::vector<GraphStep>> steps(std::span<const TensorView> inputs) const;

 private:
  friend class Library;
  struct State;
  explicit Graph(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace lathe
