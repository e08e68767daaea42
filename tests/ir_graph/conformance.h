// ONNX single-operator cases, and the graphs that are built from them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "ir/graph/builder.h"
#include "ir/npy.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {

using Json = nlohmann::json;

struct Case {
  std::string name;
  Json json;
  std::map<int, Tensor> inputs;  // by slot
  std::map<int, DoubleArray> outputs;

  /// What the case sets, else the operator's own default.
  template <typename T>
  T attribute(const char* key) const {
    const Json& set = json["attributes"];
    return (set.contains(key) ? set[key] : json["attribute_defaults"].at(key)).get<T>();
  }
  /// As above, with `absent` for an attribute that the operator gives no default.
  template <typename T>
  T attribute(const char* key, T absent) const {
    const bool known = json["attributes"].contains(key) || json["attribute_defaults"].contains(key);
    return known ? attribute<T>(key) : absent;
  }
};

/// One case's graph under construction: its inputs by slot, absent ones empty.
class CaseBuilder {
 public:
  explicit CaseBuilder(const Case& c) : c_(c), b_("conformance") {
    for (const auto& [slot, tensor] : c.inputs) {
      vars_[slot] = b_.input("input_" + std::to_string(slot), tensor.type(),
                             Shape(tensor.shape().begin(), tensor.shape().end()));
    }
  }

  const Case& operator*() const { return c_; }
  Var in(int slot) const { return vars_.contains(slot) ? vars_.at(slot) : Var{}; }
  const std::vector<int64_t>& shape(int slot) const { return c_.inputs.at(slot).shape(); }
  int rank(int slot) const { return c_.inputs.at(slot).rank(); }
  Type type(int slot) const { return c_.inputs.at(slot).type(); }

  Var op(std::string_view name, const std::vector<Var>& operands,
         const std::vector<NamedAttribute>& attributes = {}) {
    return b_.op(name, operands, attributes);
  }
  std::vector<Var> results(std::string_view name, const std::vector<Var>& operands, int count,
                           const std::vector<NamedAttribute>& attributes) {
    return b_.op_results(name, operands, count, attributes);
  }
  Var cast(Var x, Type type) { return op("cast", {x}, {{"type", type}}); }
  Var constant(double value, Type type = Type::f32, Shape shape = {}) {
    return b_.constant(value, type, std::move(shape));
  }
  Result<Graph> finish(const std::vector<Var>& outputs) { return b_.finish(outputs); }
  /// For a case that has no graph; returns no outputs.
  std::vector<Var> decline(std::string reason) {
    reason_ = std::move(reason);
    return {};
  }
  const std::string& reason() const { return reason_; }

 private:
  const Case& c_;
  GraphBuilder b_;
  std::map<int, Var> vars_;
  std::string reason_;
};

/// Makes a case's outputs, in the order of their slots.
using Build = std::function<std::vector<Var>(CaseBuilder&)>;

/// ONNX's Attention, with every attribute and operand of opset 25.
std::vector<Var> build_attention(CaseBuilder& c);

}  // namespace lathe::ir::graph
