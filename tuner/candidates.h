// Which schedules of a problem to try, and in which order.
#pragma once

#include <string>
#include <vector>

#include "compiler/problem.h"
#include "compiler/schedule.h"
#include "runtime/library/target_selection.h"
#include "tuner/session.h"
#include "tuner/strategies/strategy.h"

namespace lathe::tuner {

/// What a fetch without records runs: the default, or the nearest schedule that fits the target.
std::string default_candidate(const compiler::Problem& problem,
                              const runtime::SelectedTarget& selected);

/// The default first (where it does not fit the target, what a fetch takes in its place), then by
/// the static cost estimate, cheapest first. quick keeps the first few; normal and full keep all.
/// Other points whose program does not fit the target's registers are left to the worker, which
/// records them as rejected.
Result<SearchPoints> candidates(const compiler::Problem& problem, const compiler::Sizes& at,
                                const std::string& cache, const runtime::SelectedTarget& selected,
                                int threads, Effort effort);

}  // namespace lathe::tuner
