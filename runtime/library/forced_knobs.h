// LATHE_FORCE: knobs that a user fixes for all kernels of a family, to compare or to debug.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/problem.h"
#include "compiler/search_space.h"
#include "ir/target.h"

namespace lathe::runtime {

inline constexpr const char* kForceVariable = "LATHE_FORCE";

struct ForcedKnob {
  std::string family, knob, value;
};

/// Reads "family.knob=value,family.knob=value". Errors: what is written otherwise, or names no
/// family.
Result<std::vector<ForcedKnob>> parse_forced_knobs(std::string_view text);

/// What LATHE_FORCE says; nothing where it is not set.
Result<std::vector<ForcedKnob>> forced_knobs();

/// The schedules that may be chosen for the problem: its family's space, in which a knob that
/// LATHE_FORCE names has that value alone. A knob that this problem's space does not have is
/// warned of and left. Errors: LATHE_FORCE cannot be read, or fixes a value that the problem's
/// space does not have.
Result<compiler::SearchSpace> search_space(const compiler::Problem& problem,
                                           const ir::Target& target);

}  // namespace lathe::runtime
