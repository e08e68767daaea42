// Search strategies on recorded times: which schedule each would have chosen after so many trials.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/replay/records.h"
#include "runtime/library/target_selection.h"
#include "tuner/strategies/strategy.h"

namespace lathe::bench {

/// The records of one machine and instruction path.
struct RecordFile {
  std::string label;  ///< "avx2 zen5"
  std::string host;   ///< "zen5": files of one machine share it
  Records records;
};

/// Reads `…_<target>_<host>[_<part>].tsv`. parse_error as load(), invalid_argument for another
/// name.
Result<RecordFile> load_file(const std::filesystem::path& path);

/// Of one strategy on one file, geometric means over its kernels.
struct Comparison {
  double chosen = 1;      ///< time of the schedule chosen over that of the best
  double of_default = 1;  ///< of the default over the best
  size_t trials = 0;
};

/// Lets the strategy try `fraction` of all kernels' schedules, a few at a time, of the kernel that
/// promises most. The model begins with the experience of the files of other hosts. Of a
/// schedule's rounds every third is what the strategy sees, another decides which schedule is the
/// best, and the rest judge both.
Result<Comparison> compare(tuner::StrategyKind kind, const RecordFile& judged,
                           const std::vector<RecordFile>& all, double fraction,
                           const runtime::Backends& backends);

/// What of these records every session begins with, as Experience::read() takes it.
std::string distill(const std::vector<RecordFile>& files);

}  // namespace lathe::bench
