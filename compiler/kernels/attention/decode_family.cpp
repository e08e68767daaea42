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

SampledHeads::SampledHeads(const Attention& attention, const Sizes& sizes) {
  constexpr int64_t kTokens = 8;
  const int64_t all = sizes.find("tokens")->second;
  for (int64_t t = std::max<int64_t>(all - kTokens, 0); t < all; ++t) tokens.push_back(t);
  kv_heads.push_back(0);
  if (attention.kv_heads > 1) kv_heads.push_back(attention.kv_heads - 1);
  for (const int64_t head : kv_heads)
    for (int64_t i = 0; i < attention.group(); ++i) heads.push_back(head * attention.group() + i);
}

Result<Problem> SampledHeads::problem(const Problem& whole) const {
  return with_numbers(whole, {{"heads", static_cast<int64_t>(heads.size())},
                              {"kv_heads", static_cast<int64_t>(kv_heads.size())}});
}

}  // namespace lathe::compiler::kernels::attention
