// What the store keeps: keys, trials, winners, hosts. Plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::store {

/// Everything that makes a record valid. Two keys are the same record only when all fields agree.
struct Key {
  std::string problem;           ///< the canonical problem line, or a weight whose layout it is
  std::string family;            ///< "rms_norm"
  int family_revision = 0;       ///< the search space's revision
  std::string compiler_version;  ///< of Lathe's code generation
  std::string host;              ///< Host::id
  std::string target;            ///< instruction path: "avx2"
  int threads = 1;
  std::string cache;  ///< "cold" | "warm"
  std::string at;     ///< sizes at which the bucket was timed: "tokens=512"
  bool deterministic = false;
  std::string objective = "time";  ///< "time" | "energy"

  friend auto operator<=>(const Key&, const Key&) = default;
};

/// "family revision 1 ≠ 2, threads 4 ≠ 8": every field in which `found` differs from `wanted`, as
/// "<field> <found> ≠ <wanted>". Empty when they are equal.
std::string differences(const Key& found, const Key& wanted);
/// In how many fields two keys differ.
int count_differences(const Key& a, const Key& b);

/// A machine or device that records belong to.
struct Host {
  std::string id;           ///< host_id(device, identity)
  std::string device;       ///< "cpu", or a GPU's name with driver and compiler version
  std::string identity;     ///< canonical text: ISA bits, micro-architecture, stepping, caches
  std::string description;  ///< for a person: the CPU's name
};

/// 16 hexadecimal digits that stand for (device, identity).
std::string host_id(std::string_view device, std::string_view identity);

enum class TrialState : int {
  timed = 0,         ///< checked and measured to the end
  failed_check = 1,  ///< computed something wrong
  rejected = 2,      ///< the target or a constraint refused the schedule
  failed = 3,        ///< crashed, timed out, or could not be compiled
  abandoned = 4,     ///< dropped early by the race: slower beyond doubt
};
std::string_view to_string(TrialState state);
std::optional<TrialState> parse_trial_state(std::string_view text);

/// One candidate tried once.
struct Trial {
  std::string schedule;
  TrialState state = TrialState::timed;
  std::vector<float> batches_ns;  ///< time per call in each batch, in order; kept to 24 bits
  double median_ns = 0;           ///< 0 where nothing was timed
  double min_ns = 0;
  std::string check;             ///< what was checked, and the result
  std::string detail;            ///< why it was rejected, failed or abandoned
  std::string session;           ///< the tuning run that tried it
  std::int64_t recorded_us = 0;  ///< microseconds since 1970; set by the store when 0
};

/// The best schedule known for a key.
struct Winner {
  std::string schedule;
  double tuned_ns = 0;  ///< median
  double default_ns = 0;
  std::string runner_up;  ///< empty when there was only one candidate
  double runner_up_ns = 0;
  double speedup = 1;  ///< default_ns / tuned_ns
  double gflops = 0;
  double gbytes_per_s = 0;
  double roof_gflops = 0;
  double roof_gbytes_per_s = 0;
  double roofline_fraction = 0;
  std::string bound;      ///< "compute" | "memory"
  double confidence = 0;  ///< 0..1: how sure that it beats the runner-up
  std::string verified;   ///< what was checked; empty means unchecked
  std::string why;        ///< one sentence on why it was chosen
  std::int64_t trials = 0;
  std::string session;
  std::int64_t recorded_us = 0;  ///< microseconds since 1970; set by the store when 0
};

struct KeyedWinner {
  Key key;
  Winner winner;
};

struct KeyedTrial {
  Key key;
  Trial trial;
};

/// Why an exact look-up found nothing.
struct Miss {
  std::string reason;          ///< "nothing is recorded for this problem" or the differing fields
  std::optional<Key> closest;  ///< the record of the same problem that differs least
};

/// Result of a look-up: a winner, or a miss.
struct Lookup {
  std::optional<Winner> winner;
  Miss miss;  ///< set when there is no winner
};

}  // namespace lathe::store
