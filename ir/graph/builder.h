// Building graphs in C++: values in, values out, one check at the end.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// A value under construction. A default one stands for an omitted optional operand.
struct Var {
  ValueId id = kNoValue;
};

/// Collects a graph node by node:
///
///     GraphBuilder b("mlp");
///     auto x = b.input("x", Type::f32, {"tokens", 2048});
///     auto w = b.input("w", Type::f32, {2048});
///     auto h = b.op("rms_norm", {x, w}, {{"eps", 1e-6}});
///     Result<Graph> graph = b.finish({b.op("silu", {h})});
///
/// Types are inferred as nodes are added. The first mistake is kept and returned by finish(); calls
/// after it do nothing and return empty Vars. Not thread-safe.
class GraphBuilder {
 public:
  explicit GraphBuilder(std::string name);

  Var input(std::string name, Type type, Shape shape);

  /// The op's first result, named `name` or, without one, by number.
  Var op(std::string_view op_name, const std::vector<Var>& operands,
         const std::vector<NamedAttribute>& attributes = {}, std::string name = {});

  /// An op with its first `count` results.
  std::vector<Var> op_results(std::string_view op_name, const std::vector<Var>& operands, int count,
                              const std::vector<NamedAttribute>& attributes = {});

  /// A value of any shape filled with one number.
  Var constant(double value, Type type = Type::f32, Shape shape = {});

  /// The type of a value already built; f32[] for an empty Var.
  TensorType type(Var var) const;

  /// Verified. The builder is empty afterwards.
  Result<Graph> finish(const std::vector<Var>& outputs);

 private:
  void keep(Error error);
  std::vector<Var> add_node(std::string_view op_name, const std::vector<Var>& operands, int count,
                            const std::vector<NamedAttribute>& attributes, std::string first_name);
  Var add_value(std::string name, TensorType type, int32_t producer, int32_t result);

  Graph graph_;
  std::optional<Error> error_;
  int next_name_ = 0;
};

}  // namespace lathe::ir::graph
