// Every ONNX single-operator case that the graph ops cover, rebuilt as a graph and run in place.
#include "tests/ir_graph/conformance.h"

#include <fstream>
#include <iostream>

#include "ir/half.h"

namespace lathe::ir::graph {
namespace {

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
  const bool flat = c.rank(0) == 3;  // [batch, tokens, heads * size]
  const auto& shape = c.shape(0);
  const Var x =
      flat ? c.op("reshape", {c.in(0)},
                  {{"shape", {shape[0], shape[1], (*c).attribute<int64_t>("num_heads"), Dim(-1)}}})
           : c.in(0);
  const Var y = c.op("rope", {x, c.in(1), c.in(2), c.in(3)},
                     {{"interleaved", (*c).attribute<int>("interleaved") != 0},
                      {"rotary_dim", (*c).attribute<int64_t>("rotary_embedding_dim")},
                      {"layout", flat ? "tokens_heads" : "heads_tokens"}});
  return {flat ? c.op("reshape", {y}, {{"shape", Shape(shape.begin(), shape.end())}}) : y};
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
  if (c.in(2).id == kNoValue) return {scaled};
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

// Why the case has no graph; empty if it has one.
std::string check_case(const Case& c, const Build& build) {
  CaseBuilder builder(c);
  const auto outputs = build(builder);
  if (outputs.empty()) return builder.reason();
  compare_outputs(c, builder, outputs);
  return {};
}

TEST(Conformance, EveryCaseOfTheOpsWeHave) {
  const auto folder = shared_folder() / "conformance";
  if (!std::filesystem::exists(folder / "index.json")) {
    GTEST_SKIP() << "no conformance cases in " << folder
                 << "; set LATHE_SHARED to the folder that has them";
  }
  std::map<std::string, int> run;  // by operator
  for (const Json& entry : read_json(folder / "index.json")) {
    const auto op = entry[0].get<std::string>();
    const auto name = entry[1].get<std::string>();
    const auto build = builders().find(op);
    if (build == builders().end()) {
      std::cout << "not run: " << name << ": no graph op computes " << op << "\n";
      continue;
    }
    SCOPED_TRACE(name);
    Case c = read_case(folder / name);
    if (const std::string reason = check_case(c, build->second); !reason.empty()) {
      std::cout << "not run: " << name << ": " << reason << "\n";
      EXPECT_NE(op, "Attention") << "every form of attention has a graph";
      continue;
    }
    ++run[op];
    if (op != "LayerNormalization" || c.outputs.size() == 1) continue;
    c.outputs.erase(std::next(c.outputs.begin()), c.outputs.end());  // without its statistics, too
    check_case(c, build->second);
  }
  for (const auto& [op, count] : run) std::cout << "run: " << count << " of " << op << "\n";
  EXPECT_FALSE(run.empty()) << folder << " has no case of an operator that has a graph";
}

}  // namespace
}  // namespace lathe::ir::graph
