// Candidates in the order in which they are worth trying.
#include "tuner/candidates.h"

#include <algorithm>

#include "compiler/family.h"

namespace lathe::tuner {
namespace {

constexpr size_t kQuickCandidates = 6;

}  // namespace

Result<std::vector<std::string>> candidates(const compiler::Problem& problem,
                                            const compiler::Sizes& /*at*/, const ir::Target& target,
                                            int /*threads*/, Effort effort) {
  const compiler::SearchSpace space = problem.family().space(problem, target);
  std::vector<std::string> schedules;
  for (const compiler::Schedule& point : space.points()) schedules.push_back(space.print(point));
  if (effort == Effort::quick) schedules.resize(std::min(schedules.size(), 1 + kQuickCandidates));
  return schedules;
}

}  // namespace lathe::tuner
