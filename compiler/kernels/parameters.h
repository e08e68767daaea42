// Parameters that several families have, so that they are spelled and explained alike.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/problem.h"

namespace lathe::compiler::kernels {

ParameterSpec rows_parameter();
ParameterSpec width_parameter();
ParameterSpec type_parameter();
ParameterSpec out_parameter();                                              ///< default: `type`
ParameterSpec quantisable_out_parameter();                                  ///< or q8_0
ParameterSpec weight_type_parameter();                                      ///< default: `type`
ParameterSpec float_type_parameter(std::string name, std::string meaning);  ///< f32, f16 or bf16
ParameterSpec eps_parameter(double default_value);
ParameterSpec flag_parameter(std::string name, bool default_value, std::string meaning);
ParameterSpec fragment_parameter(std::string name, std::string default_text, std::string meaning);
ParameterSpec integer_parameter(std::string name, int64_t default_value, int64_t low, int64_t high,
                                std::string meaning);
ParameterSpec choice_parameter(std::string name, std::vector<std::string> choices,
                               std::string meaning);

/// The same problem with other numbers for some parameters.
Result<Problem> with_numbers(const Problem& problem,
                             std::initializer_list<std::pair<std::string_view, int64_t>> numbers);

/// Where `out` is q8_0, rows must be whole blocks; `width` names the parameter of their width.
Status check_out_blocks(const Problem& problem, std::string_view width);

/// eps must not be negative.
Status check_eps(const Problem& problem);

/// Elements in a row that kernels are written for; more would not fit 32-bit lane arithmetic.
inline constexpr int64_t kMaxWidth = int64_t{1} << 24;

}  // namespace lathe::compiler::kernels
