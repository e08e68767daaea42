// Records of a full search: from a store, to text and back.
#include "bench/replay/records.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include "store/renamed_knobs.h"
#include "support/files.h"
#include "tuner/statistics.h"

namespace lathe::bench {
namespace {

constexpr std::string_view kHeader =
    "problem\tat\tcache\ttarget\tthreads\tdefault_ns\tschedule\trole\tstate\tcount\trelative\n";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <typename Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string_view knob(std::string_view word) { return word.substr(0, word.find('=')); }

}  // namespace

std::string record_name(std::string_view problem, std::string_view at, std::string_view cache) {
  return fmt::format("{} at {} {}", problem, at, cache);
}

const tuner::TriedSchedule* RecordedKernel::find(std::string_view schedule) const {
  if (const auto exact = schedules.find(std::string(schedule)); exact != schedules.end())
    return &exact->second;
  const std::vector<std::string_view> known = split(default_schedule, ' ');
  std::string reduced;
  for (const std::string_view word : split(schedule, ' ')) {
    const bool is_known = std::any_of(known.begin(), known.end(), [&](std::string_view other) {
      return knob(other) == knob(word);
    });
    if (!is_known) continue;
    reduced += (reduced.empty() ? "" : " ") + std::string(word);
  }
  const auto found = schedules.find(reduced);
  return found == schedules.end() ? nullptr : &found->second;
}

Result<Records> collect(store::Store& store) {
  Records records;
  LATHE_TRY(const std::vector<store::KeyedWinner> winners, store.winners());
  for (const store::KeyedWinner& found : winners) {
    LATHE_TRY(const std::vector<store::Trial> trials, store.trials(found.key));
    if (trials.empty()) continue;
    RecordedKernel kernel;
    kernel.problem = found.key.problem;
    kernel.at = found.key.at;
    kernel.cache = found.key.cache;
    kernel.target = found.key.target;
    kernel.threads = found.key.threads;
    kernel.default_schedule = trials.front().schedule;  // a session begins with it
    kernel.winner = found.winner.schedule;
    tuner::TrialHistory history = tuner::history_of(trials, kernel.default_schedule);
    kernel.default_ns = history.default_ns;
    kernel.schedules = std::move(history.schedules);
    records.emplace(kernel.name(), std::move(kernel));
  }
  return records;
}

Status save(const Records& records, const std::filesystem::path& path) {
  std::string text(kHeader);
  for (const auto& [name, kernel] : records) {
    for (const auto& [schedule, recorded] : kernel.schedules) {
      std::string role = schedule == kernel.default_schedule ? "default" : "other";
      if (schedule == kernel.winner) role = role == "default" ? "default winner" : "winner";
      text += fmt::format("{}\t{}\t{}\t{}\t{}\t{:.6g}\t{}\t{}\t{}\t{}\t", kernel.problem, kernel.at,
                          kernel.cache, kernel.target, kernel.threads, kernel.default_ns, schedule,
                          role, store::to_string(recorded.state), recorded.relative.size());
      for (size_t i = 0; i < recorded.relative.size(); ++i)
        text += fmt::format("{}{:.4g}", i == 0 ? "" : " ", recorded.relative[i]);
      text += '\n';
    }
  }
  return support::write_file(path, text);
}

Result<Records> load(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::io_error, "{}: cannot be read", path.string());
  Records records;
  std::string line;
  std::getline(file, line);
  if (line + "\n" != kHeader) {
    return fail(ErrorCode::parse_error, "{}:1: found '{}', expected the columns of a full search",
                path.string(), line);
  }
  for (int number = 2; std::getline(file, line); ++number) {
    const std::vector<std::string_view> parts = split(line, '\t');
    RecordedKernel kernel;
    size_t count = 0;
    tuner::TriedSchedule recorded;
    bool good = parts.size() == 11 && parse(parts[4], kernel.threads) &&
                parse(parts[5], kernel.default_ns) && parse(parts[9], count);
    const auto state = good ? store::parse_trial_state(parts[8]) : std::nullopt;
    good = good && state;
    if (good && count > 0) {
      for (const std::string_view text : split(parts[10], ' '))
        good = good && parse(text, recorded.relative.emplace_back());
    }
    if (!good || recorded.relative.size() != count) {
      return fail(
          ErrorCode::parse_error,
          "{}:{}: expected 11 columns, the last with as many batches as the one before says",
          path.string(), number);
    }
    recorded.state = *state;
    recorded.median = tuner::median(recorded.relative);
    kernel.problem = parts[0];
    kernel.at = parts[1];
    kernel.cache = parts[2];
    kernel.target = parts[3];
    RecordedKernel& known = records.emplace(kernel.name(), kernel).first->second;
    const std::string schedule = store::with_current_names(kernel.family(), parts[6]);
    if (parts[7].find("default") != std::string_view::npos) known.default_schedule = schedule;
    if (parts[7].find("winner") != std::string_view::npos) known.winner = schedule;
    known.schedules.emplace(schedule, std::move(recorded));
  }
  for (const auto& [name, kernel] : records) {
    if (kernel.schedules.count(kernel.default_schedule) == 0 ||
        kernel.schedules.count(kernel.winner) == 0) {
      return fail(ErrorCode::parse_error, "{}: {}: found no default or no winner, expected both",
                  path.string(), name);
    }
  }
  return records;
}

}  // namespace lathe::bench
