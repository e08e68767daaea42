// The records of a full search as text: every schedule of every kernel, timed beside the default.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"
#include "tuner/trial_history.h"

namespace lathe::bench {

/// What tells kernels apart.
std::string record_name(std::string_view problem, std::string_view at, std::string_view cache);

struct RecordedKernel {
  std::string problem, at, cache, target;
  int threads = 1;
  double default_ns = 0;  ///< a call with the default schedule: median over all races
  std::string default_schedule;
  std::string winner;  ///< of the full search, after its finals
  std::map<std::string, tuner::TriedSchedule> schedules;

  /// The first word of the problem.
  std::string_view family() const { return std::string_view(problem).substr(0, problem.find(' ')); }
  std::string name() const { return record_name(problem, at, cache); }
  /// What was found of a schedule, nullptr for nothing. Knobs that the search did not know yet
  /// change nothing: "mr=4 pack=on" is its "mr=4".
  const tuner::TriedSchedule* find(std::string_view schedule) const;
};

using Records = std::map<std::string, RecordedKernel>;  ///< by name()

/// The store's kernels that have a winner.
Result<Records> collect(store::Store& store);

/// One line a schedule, tab-separated, batches to four digits.
Status save(const Records& records, const std::filesystem::path& path);
/// parse_error with its line for a file that is not one, or where a kernel's default or winner is
/// missing.
Result<Records> load(const std::filesystem::path& path);

}  // namespace lathe::bench
