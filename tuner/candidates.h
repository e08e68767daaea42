// Which schedules of a problem to try, and in which order.
#pragma once

#include <string>
#include <vector>

#include "compiler/problem.h"
#include "compiler/schedule.h"
#include "ir/target.h"
#include "tuner/session.h"

namespace lathe::tuner {

/// The default first, then by the static cost estimate, cheapest first. quick keeps the first few;
/// normal and full keep all. Points whose program does not fit the target's registers are left to
/// the worker, which records them as rejected.
Result<std::vector<std::string>> candidates(const compiler::Problem& problem,
                                            const compiler::Sizes& at, const std::string& cache,
                                            const ir::Target& target, int threads, Effort effort);

}  // namespace lathe::tuner
