// The families beside attention_decode: parameters, rules, sampled heads.
#include "compiler/kernels/attention/decode_family.h"

#include <algorithm>

#include "compiler/kernels/attention/decoded_tokens.h"
#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels::attention {

Family family_of_decode(std::string name) {
  Family family = family_of_attention(std::move(name));
  std::erase_if(family.parameters, [](const ParameterSpec& parameter) {
    return parameter.name.starts_with("mask") || parameter.name == "window";
  });
  for (ParameterSpec& parameter : family.parameters) {
    if (parameter.name == "context") parameter.required = true;
    if (parameter.name != "causal") continue;
    parameter = choice_parameter("causal", {"none", "end"},
                                 "whether tokens see later keys; the last stands at the last key");
  }
  family.parameters.push_back(
      flag_parameter("lengths", false, "[batch] i32: how many keys each sequence has"));
  family.form = CallForm::none;
  family.graph_ops = {};
  family.sample = nullptr;
  family.validate = validate_decode_family;
  return family;
}

Status validate_decode_family(const Problem& problem) {
  if (problem.bucket("tokens").low > kMostDecodedTokens) {
    return fail(ErrorCode::invalid_argument, "tokens: found {}, expected at most {}",
                print(problem.bucket("tokens")), kMostDecodedTokens);
  }
  return validate(problem);
}

Result<ir::graph::Graph> finish_reference(ir::graph::GraphBuilder& graph,
                                          const Attention& attention,
                                          const std::vector<ir::graph::Var>& results) {
  std::vector<ir::graph::Var> outputs = {cast_to(graph, results[0], attention.out)};
  if (attention.lse) {
    const ir::graph::Shape shape = attention.signature.back().shape;
    outputs.push_back(graph.op("reshape", {results[1]}, {{"shape", shape}}));
  }
  return graph.finish(outputs);
}

Result<Sample> sample_of_decode(const Problem& problem, const Attention& attention,
                                const Sizes& sizes, const OuterHeads& outer,
                                const std::vector<HeadAxis>& others) {
  constexpr int64_t kTokens = 8;
  const int64_t all = sizes.find("tokens")->second;
  std::vector<int64_t> tokens;
  for (int64_t t = std::max<int64_t>(all - kTokens, 0); t < all; ++t) tokens.push_back(t);
  Sample sample;
  LATHE_TRY(sample.problem, outer.problem(problem));
  for (size_t i = 0; i < attention.signature.size(); ++i) {
    const Port& port = attention.signature[i];
    const auto cut = [&](int axis, const std::vector<int64_t>& indices) {
      sample.takes.push_back({static_cast<int>(i), axis, indices});
    };
    const auto other = std::find_if(others.begin(), others.end(),
                                    [&](const HeadAxis& one) { return one.operand == port.name; });
    if (other != others.end()) {
      cut(other->axis, other->heads);
    } else if (port.name == "q" || port.output) {
      cut(1, tokens);
      cut(2, outer.heads);
    } else if (port.name == "sinks") {
      cut(0, outer.heads);
    } else if (port.shape.size() == 4) {
      cut(2, outer.kv_heads);
    }
  }
  return sample;
}

}  // namespace lathe::compiler::kernels::attention
