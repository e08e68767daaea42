// Candidates in the order in which they are worth trying.
#include "tuner/candidates.h"

#include <algorithm>
#include <limits>

#include "compiler/estimate.h"
#include "compiler/family.h"
#include "runtime/library/choose_schedule.h"
#include "runtime/library/forced_knobs.h"
#include "support/hardware.h"

namespace lathe::tuner {
namespace {

constexpr size_t kQuickCandidates = 6;

// This host's caches in the estimate's terms; what is not known keeps the estimate's own figures.
compiler::Machine machine_of(const support::Hardware& hardware) {
  compiler::Machine machine;
  const int64_t sizes[] = {hardware.l1d_bytes, hardware.l2_bytes, hardware.l3_bytes};
  for (size_t level = 0; level < machine.caches.size() && level < std::size(sizes); ++level)
    if (sizes[level] > 0) machine.caches[level].bytes = sizes[level];
  return machine;
}

// Whether the schedule writes its results past the caches.
bool streams(const compiler::Schedule& schedule) {
  return schedule.has("stream") && schedule["stream"] == 1;
}

}  // namespace

std::string default_candidate(const compiler::Problem& problem,
                              const runtime::SelectedTarget& selected) {
  const compiler::SearchSpace space = problem.family().space(problem, selected.target);
  return space.print(
      runtime::buildable_default(problem, selected).value_or(space.default_schedule()));
}

Result<SearchPoints> candidates(const compiler::Problem& problem, const compiler::Sizes& at,
                                const std::string& cache, const runtime::SelectedTarget& selected,
                                int threads, Effort effort) {
  const ir::Target& target = selected.target;
  LATHE_TRY(const compiler::SearchSpace space, runtime::search_space(problem, target));
  const compiler::Work work = problem.family().work(problem, at);
  const bool output_is_read_next =
      cache == "warm" &&
      work.bytes_read + work.bytes_written < static_cast<double>(support::host().l3_bytes);
  const compiler::Machine machine = machine_of(support::host());
  std::vector<std::pair<double, std::string>> ordered;
  const std::string first = default_candidate(problem, selected);
  for (const compiler::Schedule& point : space.points()) {
    std::string text = space.print(point);
    if (text != first && output_is_read_next && streams(point)) continue;
    // A plan that cannot be built or judged goes last; the worker records why.
    double cycles = std::numeric_limits<double>::infinity();
    if (auto plan = problem.family().build(problem, point, target)) {
      if (auto judged = compiler::estimate(*plan, at, work, threads, machine))
        cycles = judged->cycles;
    }
    ordered.emplace_back(cycles, std::move(text));
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  SearchPoints points{{first}, {std::numeric_limits<double>::infinity()}};
  for (auto& [cycles, schedule] : ordered) {
    if (schedule == first) {
      points.estimates.front() = cycles;
    } else if (effort != Effort::quick || points.schedules.size() <= kQuickCandidates) {
      points.schedules.push_back(std::move(schedule));
      points.estimates.push_back(cycles);
    }
  }
  return points;
}

}  // namespace lathe::tuner
