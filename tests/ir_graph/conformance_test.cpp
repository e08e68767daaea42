// Every ONNX single-operator case that the graph ops cover, rebuilt as a graph and run in place.
#include <fstream>
#include <functional>
#include <map>

#include <nlohmann/json.hpp>

#include "ir/graph/builder.h"
#include "ir/half.h"
#include "ir/npy.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

using Json = nlohmann::json;

struct Case {
  std::string name;
  Json json;
  std::map<int, Tensor> inputs;  // by slot
  std::map<int, DoubleArray> outputs;

  template <typename T>
  T attribute(const char* key) const {
    const Json& set = json["attributes"];
    return (set.contains(key) ? set[key] : json["attribute_defaults"].at(key)).get<T>();
  }
};

// One case's graph under construction: its inputs by slot, absent ones empty.
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
  Var constant(double value, Type type = Type::f32) { return b_.constant(value, type); }
  Result<Graph> finish(const std::vector<Var>& outputs) { return b_.finish(outputs); }

 private:
  const Case& c_;
  GraphBuilder b_;
  std::map<int, Var> vars_;
};

using Build = std::function<std::vector<Var>(CaseBuilder&)>;

Build unary(const char* op) {
  return [op](CaseBuilder& c) { return std::vector<Var>{c.op(op, {c.in(0)})}; };
}
Build binary(const char* op) {
  return [op](CaseBuilder& c) { return std::vector<Var>{c.op(op, {c.in(0), c.in(1)})}; };
}

std::vector<Var> build_norm(CaseBuilder& c, const char* op) {
  return c.results(
      op, {c.in(0), c.in(1), c.in(2)}, static_cast<int>((*c).outputs.size()),
      {{"eps", (*c).attribute<double>("epsilon")}, {"axis", (*c).attribute<int64_t>("axis")}});
}

std::vector<Var> build_rotary(CaseBuilder& c) {
  return {c.op("rope", {c.in(0), c.in(1), c.in(2), c.in(3)},
               {{"interleaved", (*c).attribute<int>("interleaved") != 0},
                {"rotary_dim", (*c).attribute<int64_t>("rotary_embedding_dim")},
                {"layout", "heads_tokens"}})};
}

// (x - zero_point) * scale, both given for the whole tensor, per slice of an axis, or per block of
// it.
std::vector<Var> build_dequantize(CaseBuilder& c) {
  const auto axis = static_cast<size_t>((*c).attribute<int64_t>("axis"));
  const auto block = (*c).attribute<int64_t>("block_size");
  const std::vector<int64_t>& x = c.shape(0);
  std::vector<int64_t> grouped = x;
  const auto spread = [&](int slot) {
    Var value = c.in(slot);
    if (block > 0) {  // one value a block: [.., blocks, 1, ..] against [.., blocks, block, ..]
      Shape shape(c.shape(slot).begin(), c.shape(slot).end());
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, Dim(1));
      return c.op("reshape", {value}, {{"shape", shape}});
    }
    if (c.rank(slot) == 1 && c.shape(slot)[0] > 1) {
      Shape shape(x.size(), Dim(1));
      shape[axis] = c.shape(slot)[0];
      return c.op("reshape", {value}, {{"shape", shape}});
    }
    return value;
  };
  if (block > 0) {
    grouped[axis] /= block;
    grouped.insert(grouped.begin() + static_cast<std::ptrdiff_t>(axis) + 1, block);
  }
  const Var codes = c.op("reshape", {c.in(0)}, {{"shape", Shape(grouped.begin(), grouped.end())}});
  const Var shifted = c.op("sub", {c.cast(codes, Type::i32), c.cast(spread(2), Type::i32)});
  const Var values = c.op("mul", {c.cast(shifted, Type::f32), spread(1)});
  return {c.op("reshape", {values}, {{"shape", Shape(x.begin(), x.end())}})};
}

std::vector<Var> build_gemm(CaseBuilder& c) {
  const auto operand = [&](int slot, const char* transposed) {
    return (*c).attribute<int>(transposed) != 0
               ? c.op("transpose", {c.in(slot)}, {{"perm", {1, 0}}})
               : c.in(slot);
  };
  const Var product = c.op("matmul", {operand(0, "transA"), operand(1, "transB")});
  const Var scaled = c.op("mul", {product, c.constant((*c).attribute<double>("alpha"))});
  const Var bias = c.op("mul", {c.in(2), c.constant((*c).attribute<double>("beta"))});
  return {c.op("add", {scaled, bias})};
}

std::vector<Var> build_matmul_integer(CaseBuilder& c) {
  const Var a = c.op("sub", {c.cast(c.in(0), Type::i32), c.cast(c.in(2), Type::i32)});
  const Var b = c.op("sub", {c.cast(c.in(1), Type::i32), c.cast(c.in(3), Type::i32)});
  return {c.op("matmul", {a, b})};
}

std::vector<Var> build_qlinear_matmul(CaseBuilder& c) {
  const auto shifted = [&](int code, int zero_point) {
    return c.op("sub", {c.cast(c.in(code), Type::i32), c.cast(c.in(zero_point), Type::i32)});
  };
  const Var product = c.cast(c.op("matmul", {shifted(0, 2), shifted(3, 5)}), Type::f32);
  const Var scale =
      c.op("div", {c.op("mul", {c.cast(c.in(1), Type::f32), c.cast(c.in(4), Type::f32)}),
                   c.cast(c.in(6), Type::f32)});
  const Var rounded = c.op("round", {c.op("mul", {product, scale})});
  return {
      c.cast(c.op("add", {rounded, c.cast(c.in(7), Type::f32)}), c.type(7))};  // the cast saturates
}

// Without softcap, windows, lengths beside the shapes, or the scores as a result: those have no
// graph yet.
bool is_basic_attention(const Case& c) {
  const Json& set = c.json["attributes"];
  return !set.contains("softcap") && set.value("left_window_size", -1) < 0 &&
         set.value("right_window_size", -1) < 0 && !c.inputs.contains(6) && !c.outputs.contains(3);
}

std::vector<Var> build_attention(CaseBuilder& c) {
  if (!is_basic_attention(*c)) return {};
  const Json& set = (*c).json["attributes"];
  const bool flat = c.rank(0) == 3;  // [batch, tokens, heads * size]
  const auto heads_first = [&](int slot, const char* count) {
    if (!flat) return c.in(slot);
    const auto& shape = c.shape(slot);
    const Var split =
        c.op("reshape", {c.in(slot)}, {{"shape", {shape[0], shape[1], set[count].get<int>(), -1}}});
    return c.op("transpose", {split}, {{"perm", {0, 2, 1, 3}}});
  };
  const auto with_past = [&](Var now, int past) {
    return c.in(past).id == kNoValue ? now : c.op("concat", {c.in(past), now}, {{"axis", 2}});
  };
  const Var k = with_past(heads_first(1, "kv_num_heads"), 4);
  const Var v = with_past(heads_first(2, "kv_num_heads"), 5);
  Var y = c.op("attention", {heads_first(0, "q_num_heads"), k, v, c.in(3)},
               {{"causal", set.value("is_causal", 0) != 0 ? "start" : "none"},
                {"scale", set.value("scale", 0.0)},
                {"layout", "heads_tokens"}});
  if (flat) {
    y = c.op("transpose", {y}, {{"perm", {0, 2, 1, 3}}});
    y = c.op("reshape", {y}, {{"shape", {c.shape(0)[0], c.shape(0)[1], -1}}});
  }
  std::vector<Var> results = {y};
  if ((*c).outputs.contains(1)) results.insert(results.end(), {k, v});
  return results;
}

std::vector<Var> build_swish(CaseBuilder& c) {
  EXPECT_EQ((*c).attribute<double>("alpha"), 1.0);
  return {c.op("silu", {c.in(0)})};
}

const std::map<std::string, Build>& builders() {
  static const std::map<std::string, Build> table = {
      {"RMSNormalization", [](CaseBuilder& c) { return build_norm(c, "rms_norm"); }},
      {"LayerNormalization", [](CaseBuilder& c) { return build_norm(c, "layer_norm"); }},
      {"Softmax",
       [](CaseBuilder& c) {
         return std::vector<Var>{
             c.op("softmax", {c.in(0)}, {{"axis", (*c).attribute<int64_t>("axis")}})};
       }},
      {"Gelu",
       [](CaseBuilder& c) {
         return std::vector<Var>{c.op(
             "gelu", {c.in(0)}, {{"approximate", (*c).attribute<std::string>("approximate")}})};
       }},
      {"Gather",
       [](CaseBuilder& c) {
         return std::vector<Var>{
             c.op("gather", {c.in(0), c.in(1)}, {{"axis", (*c).attribute<int64_t>("axis")}})};
       }},
      {"Attention", build_attention},
      {"Swish", build_swish},
      {"Relu", unary("relu")},
      {"Tanh", unary("tanh")},
      {"Exp", unary("exp")},
      {"Sqrt", unary("sqrt")},
      {"Reciprocal", unary("reciprocal")},
      {"Add", binary("add")},
      {"Mul", binary("mul")},
      {"MatMul", binary("matmul")},
      {"RotaryEmbedding", build_rotary},
      {"DequantizeLinear", build_dequantize},
      {"Gemm", build_gemm},
      {"MatMulInteger", build_matmul_integer},
      {"QLinearMatMul", build_qlinear_matmul},
  };
  return table;
}

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Json::parse(file, nullptr, /*allow_exceptions=*/false);
}

Case read_case(const std::filesystem::path& folder) {
  Case c{folder.filename().string(), read_json(folder / "case.json"), {}, {}};
  for (const Json& input : c.json["inputs"]) {
    auto tensor = read_npy(folder / input["file"].get<std::string>());
    EXPECT_TRUE(tensor.has_value()) << (tensor ? "" : tensor.error().message);
    if (tensor && input["dtype"] == "bfloat16")
      tensor = reinterpret(*std::move(tensor), Type::bf16);
    if (tensor) c.inputs.emplace(input["slot"].get<int>(), *std::move(tensor));
  }
  for (const Json& output : c.json["outputs"]) {
    std::ifstream file(folder / output["file"].get<std::string>(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    auto array = parse_npy_doubles(bytes);
    if (array && output["dtype"] == "bfloat16") {
      for (double& value : array->values)
        value = static_cast<double>(bf16_to_float(static_cast<uint16_t>(value)));
    }
    EXPECT_TRUE(array.has_value()) << (array ? "" : array.error().message);
    if (array) c.outputs.emplace(output["slot"].get<int>(), *std::move(array));
  }
  return c;
}

struct Limits {
  double relative;
  double absolute;
};

// ONNX's own but for 16-bit outputs: its reference rounds probabilities and products of magnitude
// up to about 1 to the type on the way, so its results are off by a step of their own and half a
// step of 1.
Limits limits_of(const Case& c) {
  const auto type = c.json["outputs"][0]["dtype"].get<std::string>();
  if (type == "bfloat16") return {0x1p-7, 0x1p-9};
  if (type == "float16") return {0x1p-10, 0x1p-12};
  return {c.json["rtol"].get<double>(), c.json["atol"].get<double>()};
}

void compare_outputs(const Case& c, CaseBuilder& builder, const std::vector<Var>& outputs) {
  const auto graph = builder.finish(outputs);
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  std::vector<Tensor> inputs;
  for (const auto& [slot, tensor] : c.inputs) inputs.push_back(tensor);
  const auto found = evaluate_case(*graph, inputs);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  ASSERT_EQ(found->size(), c.outputs.size());
  const Limits limits = limits_of(c);
  size_t i = 0;
  for (const auto& [slot, expected] : c.outputs) {
    EXPECT_EQ((*found)[i].shape, expected.shape);
    expect_close((*found)[i++].values, expected.values, limits.relative, limits.absolute);
  }
}

// False if the case has no graph.
bool check_case(const Case& c, const Build& build) {
  CaseBuilder builder(c);
  const auto outputs = build(builder);
  if (outputs.empty()) return false;
  compare_outputs(c, builder, outputs);
  return true;
}

TEST(Conformance, EveryCaseOfTheOpsWeHave) {
  const auto folder = shared_folder() / "conformance";
  if (!std::filesystem::exists(folder / "index.json")) {
    GTEST_SKIP() << "no conformance cases in " << folder
                 << "; set LATHE_SHARED to the folder that has them";
  }
  std::map<std::string, int> passed;
  for (const Json& entry : read_json(folder / "index.json")) {
    const auto op = entry[0].get<std::string>();
    const auto build = builders().find(op);
    if (build == builders().end()) continue;
    SCOPED_TRACE(entry[1].get<std::string>());
    Case c = read_case(folder / entry[1].get<std::string>());
    if (check_case(c, build->second)) ++passed[op];
    if (op != "LayerNormalization" || c.outputs.size() == 1) continue;
    c.outputs.erase(std::next(c.outputs.begin()), c.outputs.end());  // without its statistics, too
    check_case(c, build->second);
  }
  EXPECT_EQ(passed.size(), builders().size())
      << "an op of the list has no case: the folder is incomplete";
  EXPECT_GE(passed["Attention"], 20) << "most basic attention cases must have a graph";
}

}  // namespace
}  // namespace lathe::ir::graph
