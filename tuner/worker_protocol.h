// What session and worker say to each other: one JSON object a line, jobs one way, events the
// other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace lathe::tuner {

struct Candidate {
  std::string problem;  ///< canonical line
  std::string schedule;
};

/// One race: schedules of one problem, or of one product with its weight in several layouts. Those
/// of one problem follow each other.
struct Job {
  std::string at;      ///< "rows=512"
  std::string cache;   ///< "cold" | "warm"
  std::string target;  ///< "avx2"
  int threads = 1;
  std::vector<Candidate> candidates;  ///< the first `keep` are raced to the end
  int keep = 1;
  double seconds = 0.5;
  int min_rounds = 1;  ///< however long they take
  int max_rounds = 31;
  bool measure_roofs = false;
};

/// Seconds of a worker's time, by what it did.
struct Spent {
  double compile = 0, interpret = 0, check = 0, operands = 0, time = 0, roofs = 0;
  Spent& operator+=(const Spent& other);
};

/// What happened to a candidate, or to the job.
struct Event {
  std::string kind;    ///< "trial" | "alive" | "roofs" | "done" | "error" | "crash"
  int candidate = -1;  ///< of trial; of crash: who was running
  std::string state;   ///< of trial: a store::TrialState
  std::string check;   ///< of trial: what was checked; empty: its machine code was not
  std::string detail;  ///< of trial and error: why
  std::vector<double> batches_ns{};
  double gflops = 0, gbytes_per_s = 0;  ///< of roofs
  Spent spent{};                        ///< of done: on this job
};

std::string encode(const Job& job);
std::string encode(const Event& event);
/// parse_error for a line that is not one.
Result<Job> decode_job(std::string_view line);
Result<Event> decode_event(std::string_view line);

}  // namespace lathe::tuner
