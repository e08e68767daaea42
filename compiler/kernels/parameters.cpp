// The shared parameters.
#include "compiler/kernels/parameters.h"

#include "compiler/family.h"

namespace lathe::compiler::kernels {
namespace {

const std::vector<std::string>& float_types() {
  static const std::vector<std::string> names = {"f32", "f16", "bf16"};
  return names;
}

}  // namespace

ParameterSpec float_type_parameter(std::string name, std::string meaning) {
  ParameterSpec spec{std::move(name), ir::Type::f32, std::move(meaning)};
  spec.choices = float_types();
  return spec;
}

ParameterSpec rows_parameter() {
  ParameterSpec spec{"rows", Bucket{}, "bucket of the number of rows, a run-time size"};
  spec.required = true;
  return spec;
}

ParameterSpec width_parameter() {
  ParameterSpec spec{"width", int64_t{1}, "elements in a row, compiled in"};
  spec.required = true;
  spec.low = 1;
  spec.high = kMaxWidth;
  return spec;
}

ParameterSpec type_parameter() {
  return float_type_parameter("type", "element type of the inputs");
}

ParameterSpec out_parameter() {
  ParameterSpec spec = float_type_parameter("out", "element type of the output");
  spec.default_of = "type";
  return spec;
}

ParameterSpec quantisable_out_parameter() {
  ParameterSpec spec = out_parameter();
  spec.choices.emplace_back("q8_0");
  return spec;
}

ParameterSpec weight_type_parameter() {
  ParameterSpec spec =
      float_type_parameter("weight_type", "element type of weights, biases and vec() inputs");
  spec.default_of = "type";
  return spec;
}

ParameterSpec eps_parameter(double default_value) {
  return {"eps", default_value, "keeps the divisor away from 0"};
}

ParameterSpec flag_parameter(std::string name, bool default_value, std::string meaning) {
  return {std::move(name), default_value, std::move(meaning)};
}

ParameterSpec fragment_parameter(std::string name, std::string default_text, std::string meaning) {
  ParameterSpec spec{std::move(name), std::move(default_text), std::move(meaning)};
  spec.fragment = true;
  return spec;
}

ParameterSpec integer_parameter(std::string name, int64_t default_value, int64_t low, int64_t high,
                                std::string meaning) {
  ParameterSpec spec{std::move(name), default_value, std::move(meaning)};
  spec.low = low;
  spec.high = high;
  return spec;
}

ParameterSpec choice_parameter(std::string name, std::vector<std::string> choices,
                               std::string meaning) {
  ParameterSpec spec{std::move(name), choices.front(), std::move(meaning)};
  spec.choices = std::move(choices);
  return spec;
}

Result<Problem> with_numbers(const Problem& problem,
                             std::initializer_list<std::pair<std::string_view, int64_t>> numbers) {
  ProblemBuilder builder(problem.family());
  for (const ParameterSpec& spec : problem.family().parameters)
    builder.set(spec.name, problem.value(spec.name));
  for (const auto& [name, number] : numbers) builder.set(name, number);
  return builder.build();
}

Status check_out_blocks(const Problem& problem, std::string_view width) {
  const int64_t block = ir::info(problem.type("out")).block_elements;
  if (problem.integer(width) % block == 0) return {};
  return fail(ErrorCode::invalid_argument,
              "{}: found {}, expected a multiple of the block of {} of out={}", width,
              problem.integer(width), block, ir::name(problem.type("out")));
}

Status check_eps(const Problem& problem) {
  if (problem.number("eps") >= 0) return {};
  return fail(ErrorCode::invalid_argument, "eps: found {}, expected 0 or more",
              problem.number("eps"));
}

}  // namespace lathe::compiler::kernels
