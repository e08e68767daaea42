// Races put together again.
#include "tuner/trial_history.h"

#include "tuner/statistics.h"

namespace lathe::tuner {
namespace {

/// Gives the trials of one race, which the default of that race scales.
void take_race(TrialHistory& history, const std::vector<const store::Trial*>& trials,
               const std::string& default_schedule) {
  double reference = 0;
  for (const store::Trial* trial : trials)
    if (trial->schedule == default_schedule && trial->state == store::TrialState::timed)
      reference = trial->median_ns;
  for (const store::Trial* trial : trials) {
    TriedSchedule& tried = history.schedules[trial->schedule];
    ++tried.trials;
    if (tried.relative.empty()) tried.state = trial->state;
    if (trial->state == store::TrialState::timed) tried.state = trial->state;
    if (reference <= 0) continue;
    for (const float batch : trial->batches_ns)
      tried.relative.push_back(static_cast<double>(batch) / reference);
  }
}

// The worker reports a race's losers as they fall out, then the others from the default on: a loser
// or a default after such reports begins the next race.
void take_session(TrialHistory& history, const std::vector<const store::Trial*>& trials,
                  const std::string& default_schedule, std::vector<double>& defaults) {
  std::vector<const store::Trial*> race;
  bool reporting = false;
  for (const store::Trial* trial : trials) {
    const bool timed = trial->state == store::TrialState::timed;
    const bool is_default = timed && trial->schedule == default_schedule;
    if (reporting && (!timed || is_default)) {
      take_race(history, race, default_schedule);
      race.clear();
      reporting = false;
    }
    race.push_back(trial);
    reporting = reporting || is_default;
    if (is_default) defaults.push_back(trial->median_ns);
  }
  take_race(history, race, default_schedule);
}

}  // namespace

TrialHistory history_of(const std::vector<store::Trial>& trials,
                        const std::string& default_schedule) {
  std::map<std::string_view, std::vector<const store::Trial*>> sessions;
  for (const store::Trial& trial : trials)
    if (trial.detail != kMeetingDetail) sessions[trial.session].push_back(&trial);
  TrialHistory history;
  std::vector<double> defaults;
  for (const auto& [name, of_session] : sessions)
    take_session(history, of_session, default_schedule, defaults);
  history.default_ns = median(defaults);
  for (auto& [schedule, tried] : history.schedules) tried.median = median(tried.relative);
  return history;
}

}  // namespace lathe::tuner
