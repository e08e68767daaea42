// What a store's trials of one kernel say about its schedules: races are put together again from
// the order in which their trials were recorded.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/records.h"

namespace lathe::tuner {

/// A schedule over all its races.
struct TriedSchedule {
  store::TrialState state = store::TrialState::timed;
  int trials = 0;
  std::vector<double> relative;  ///< its batches over the median of the default in the same race
  double median = 0;             ///< of these; 0 without batches
};

struct TrialHistory {
  double default_ns = 0;  ///< a call with the default schedule: median over all races
  std::map<std::string, TriedSchedule> schedules;
};

/// Why a trial of a meeting of layouts says nothing here: its kernel raced those of other problems,
/// without its own default.
inline constexpr std::string_view kMeetingDetail = "beside other layouts";

/// `trials`: of one kernel, oldest first. Times of different races, hours apart, do not compare:
/// each race is scaled by its own default.
TrialHistory history_of(const std::vector<store::Trial>& trials,
                        const std::string& default_schedule);

}  // namespace lathe::tuner
