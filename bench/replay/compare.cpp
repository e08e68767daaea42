// Made-up sessions on recorded times.
#include "bench/replay/compare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>

#include "compiler/family.h"
#include "tuner/candidates.h"
#include "tuner/statistics.h"

namespace lathe::bench {
namespace {

constexpr size_t kChunk = 4;
constexpr size_t kLeastRounds = 9;           ///< of a schedule that may win
constexpr double kBeyondDoubt = 0.985;       ///< below it, a schedule replaces the default
constexpr size_t kFastest = 6, kOthers = 4;  ///< of each kernel, in a distilled record

// The median of every third round, from `first` on; of all where there are too few.
double third(const tuner::TriedSchedule& tried, size_t first) {
  if (tried.relative.size() < 3) return tried.median;
  std::vector<double> rounds;
  for (size_t i = first; i < tried.relative.size(); i += 3) rounds.push_back(tried.relative[i]);
  return tuner::median(std::move(rounds));
}

// Those that fell out of their race were slower than its leader.
bool may_win(const tuner::TriedSchedule& tried) {
  return tried.state == store::TrialState::timed && tried.relative.size() >= kLeastRounds;
}

tuner::KernelName name_of(const RecordedKernel& kernel, const std::string& host) {
  return {kernel.problem, kernel.at, kernel.cache, kernel.target, host, kernel.threads};
}

// The fastest schedules, some of the others from fast to slow, and the default.
std::vector<std::pair<double, std::string>> worth_knowing(const RecordedKernel& kernel) {
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [schedule, tried] : kernel.schedules)
    if (tried.median > 0) sorted.emplace_back(tried.median, schedule);
  std::sort(sorted.begin(), sorted.end());
  const size_t rest = sorted.size() > kFastest ? sorted.size() - kFastest : 0;
  const size_t step = std::max<size_t>(rest / kOthers, 1);
  std::vector<std::pair<double, std::string>> kept;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i < kFastest || (i - kFastest) % step == 0 || sorted[i].second == kernel.default_schedule)
      kept.push_back(sorted[i]);
  }
  return kept;
}

// One kernel's search on recorded times.
struct Search {
  const RecordedKernel* kernel = nullptr;
  std::unique_ptr<tuner::Strategy> strategy;
  size_t tried = 0;
  double promise = 1;  ///< as last asked
  std::string chosen;
  double seen = 1;  ///< of the chosen

  // At most `count`; returns how many.
  size_t try_some(size_t count) {
    const auto schedules = strategy->propose(std::min(kChunk, count));
    tried += schedules.size();
    for (const std::string& schedule : schedules) {
      const tuner::TriedSchedule& tried = kernel->schedules.at(schedule);
      const double time = third(tried, 0);
      strategy->observe(schedule, time);
      if (may_win(tried) && time < seen && time < kBeyondDoubt) seen = time, chosen = schedule;
    }
    return schedules.size();
  }
};

// The search that promises most, of equals the one that tried least. A promise is asked for again
// only where it would decide.
Search* next_of(std::vector<Search>& searches) {
  std::set<Search*> fresh;
  for (;;) {
    Search* best = nullptr;
    for (Search& search : searches) {
      if (search.strategy->left() == 0) continue;
      const bool better = best == nullptr || search.promise > best->promise ||
                          (search.promise == best->promise && search.tried < best->tried);
      if (better) best = &search;
    }
    if (best == nullptr || !fresh.insert(best).second) return best;
    best->promise = best->strategy->promise();
  }
}

Result<tuner::SearchPoints> points_of(const RecordedKernel& kernel,
                                      const runtime::Backends& backends) {
  LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(kernel.problem));
  LATHE_TRY(const compiler::Sizes at, compiler::parse_sizes(kernel.at));
  LATHE_TRY(ir::Target target, backends.front()->target(kernel.target, ""));
  const runtime::SelectedTarget selected{std::move(target), backends.front()};
  LATHE_TRY(
      const tuner::SearchPoints judged,
      tuner::candidates(problem, at, kernel.cache, selected, kernel.threads, tuner::Effort::full));
  tuner::SearchPoints points;
  points.schedules.push_back(kernel.default_schedule);
  points.estimates.push_back(std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < judged.schedules.size(); ++i) {
    const auto tried = kernel.schedules.find(judged.schedules[i]);
    if (judged.schedules[i] == kernel.default_schedule) {
      points.estimates.front() = judged.estimates[i];
    } else if (tried != kernel.schedules.end() && tried->second.median > 0) {
      points.schedules.push_back(judged.schedules[i]);
      points.estimates.push_back(judged.estimates[i]);
    }
  }
  return points;
}

}  // namespace

Result<RecordFile> load_file(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  for (const std::string target : {"avx512", "avx2", "sse", "scalar"}) {
    const size_t found = stem.find("_" + target + "_");
    if (found == std::string::npos) continue;
    RecordFile file;
    file.host = stem.substr(found + target.size() + 2);
    file.label = target + " " + file.host;
    file.host = file.host.substr(0, file.host.find('_'));
    LATHE_TRY(file.records, load(path));
    return file;
  }
  return fail(ErrorCode::invalid_argument,
              "{}: found no instruction path in the name, expected …_avx2_<host>.tsv",
              path.string());
}

Result<Comparison> compare(tuner::StrategyKind kind, const RecordFile& judged,
                           const std::vector<RecordFile>& all, double fraction,
                           const runtime::Backends& backends) {
  tuner::Experience experience;
  for (const RecordFile& file : all) {
    if (file.host == judged.host) continue;
    for (const auto& [name, kernel] : file.records) {
      const int number = experience.kernel(name_of(kernel, file.host));
      for (const auto& [time, schedule] : worth_knowing(kernel))
        experience.add(number, schedule, time);
    }
  }
  std::vector<Search> searches;
  Comparison comparison;
  for (const auto& [name, kernel] : judged.records) {
    LATHE_TRY(tuner::SearchPoints points, points_of(kernel, backends));
    Search search;
    search.kernel = &kernel;
    search.chosen = kernel.default_schedule;
    comparison.trials += points.schedules.size();
    search.strategy = make_strategy(kind, std::move(points), experience,
                                    experience.kernel(name_of(kernel, judged.host)));
    searches.push_back(std::move(search));
  }
  comparison.trials =
      static_cast<size_t>(std::ceil(fraction * static_cast<double>(comparison.trials)));
  for (size_t left = comparison.trials; left > 0;) {
    Search* next = next_of(searches);
    if (next == nullptr) break;
    left -= next->try_some(left);
  }
  double chosen = 0, of_default = 0;
  for (const Search& search : searches) {
    const auto& schedules = search.kernel->schedules;
    const tuner::TriedSchedule* best = &schedules.at(search.kernel->default_schedule);
    for (const auto& [schedule, tried] : schedules) {
      if (may_win(tried) && third(tried, 1) < third(*best, 1)) best = &tried;
    }
    const double least = third(*best, 2);
    chosen += std::log(third(schedules.at(search.chosen), 2) / least);
    of_default += std::log(third(schedules.at(search.kernel->default_schedule), 2) / least);
  }
  const auto kernels = static_cast<double>(std::max<size_t>(searches.size(), 1));
  comparison.chosen = std::exp(chosen / kernels);
  comparison.of_default = std::exp(of_default / kernels);
  return comparison;
}

std::string distill(const std::vector<RecordFile>& files) {
  std::string text =
      "# What full searches found: of each kernel the fastest schedules and some others, with "
      "their\n"
      "# times over the default's. Written by `replay distill`; read by tuner/experience.h.\n";
  for (const RecordFile& file : files) {
    for (const auto& [name, kernel] : file.records) {
      text += fmt::format("kernel\t{}\t{}\t{}\t{}\t{}\t{}\n", kernel.problem, kernel.at,
                          kernel.cache, kernel.target, kernel.threads, file.host);
      for (const auto& [time, schedule] : worth_knowing(kernel))
        text += fmt::format("{:.3f}\t{}\n", time, schedule);
    }
  }
  return text;
}

}  // namespace lathe::bench
