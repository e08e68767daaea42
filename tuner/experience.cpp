// Features of kernels and schedules, and the distances between them.
//
// The weights below were chosen by `replay compare` on the records in bench/replay/records, each
// held out in turn; what they multiply are differences in powers of two, or 1 for texts that
// differ.
#include "tuner/experience.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace lathe::tuner {
namespace {

constexpr double kOtherHost = 0.6;
constexpr double kOtherTarget = 0.6;
constexpr double kOtherThreads = 0.3;
constexpr double kOtherCache = 0.3;
constexpr double kOtherText = 0.3;    ///< of a parameter
constexpr double kPowerOfSize = 0.1;  ///< of a parameter that is a number
constexpr double kPowerOfRows = 0.4;
constexpr double kMostPowers = 4;

constexpr double kOtherChoice = 0.4;  ///< of a knob
constexpr double kPowerOfKnob = 0.3;
constexpr double kMostKnobPowers = 3;

constexpr size_t kFastestOfNeighbour = 5;
constexpr size_t kOthersOfNeighbour = 5;

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// "rows=16" of "rows=16,vocabulary=1000".
double rows_of(std::string_view at) {
  const size_t found = at.find("rows=");
  double rows = 1;
  if (found != std::string_view::npos)
    std::from_chars(at.data() + found + 5, at.data() + at.size(), rows);
  return std::max(rows, 1.0);
}

// Sum over the names of both lists; a name that one lacks counts as another text.
template <typename Differ>
double sum_of_differences(const Experience::Features& a, const Experience::Features& b,
                          double missing, Differ&& differ) {
  double sum = 0;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].name < b[j].name)) {
      sum += missing;
      ++i;
    } else if (i == a.size() || b[j].name < a[i].name) {
      sum += missing;
      ++j;
    } else {
      if (a[i].value != b[j].value) sum += differ(a[i], b[j]);
      ++i;
      ++j;
    }
  }
  return sum;
}

double difference(const Experience::Feature& a, const Experience::Feature& b, double text,
                  double power, double most) {
  if (std::isnan(a.scale) || std::isnan(b.scale)) return text;
  return power * std::min<double>(std::fabs(a.scale - b.scale), most);
}

}  // namespace

int32_t Experience::number_of(std::string_view text) {
  const auto found = numbers_.find(text);
  if (found != numbers_.end()) return found->second;
  const auto number = static_cast<int32_t>(numbers_.size());
  numbers_.emplace(std::string(text), number);
  return number;
}

Experience::Feature Experience::feature(std::string_view name, std::string_view value) {
  Feature feature{number_of(name), number_of(value), std::numeric_limits<float>::quiet_NaN()};
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc{} && end == value.data() + value.size() && number >= 0)
    feature.scale = static_cast<float>(std::log2(1 + number));
  return feature;
}

Experience::Features Experience::features_of(std::string_view schedule) {
  Features features;
  for (const std::string_view word : words_of(schedule)) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    features.push_back(feature(word.substr(0, equals), word.substr(equals + 1)));
  }
  std::sort(features.begin(), features.end(),
            [](const Feature& a, const Feature& b) { return a.name < b.name; });
  return features;
}

int Experience::kernel(const KernelName& name) {
  const auto [entry, is_new] = by_name_.try_emplace(name, static_cast<int>(kernels_.size()));
  if (!is_new) return entry->second;
  Kernel kernel;
  kernel.name = name;
  const auto words = words_of(name.problem);
  if (!words.empty()) kernel.family = words.front();
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string_view::npos || words[i].starts_with("rows=")) continue;
    kernel.parameters.push_back(feature(words[i].substr(0, equals), words[i].substr(equals + 1)));
  }
  std::sort(kernel.parameters.begin(), kernel.parameters.end(),
            [](const Feature& a, const Feature& b) { return a.name < b.name; });
  kernel.log_rows = std::log2(rows_of(name.at));
  kernels_.push_back(std::move(kernel));
  return entry->second;
}

void Experience::add(int kernel, std::string_view schedule, double relative) {
  if (!(relative > 0) || !std::isfinite(relative)) return;
  Kernel& known = kernels_[static_cast<size_t>(kernel)];
  const int now = ++known.added;
  const auto found = known.by_schedule.find(schedule);
  if (found == known.by_schedule.end()) {
    known.by_schedule.emplace(std::string(schedule), known.observations.size());
    known.observations.push_back({features_of(schedule), std::log(relative), 1, now});
    return;
  }
  Observation& one = known.observations[found->second];
  one.log_time += (std::log(relative) - one.log_time) / ++one.races;
  one.newest = now;
}

std::vector<const Experience::Observation*> Experience::own_worth_knowing(const Kernel& kernel,
                                                                          size_t most) {
  std::vector<const Observation*> all;
  for (const Observation& one : kernel.observations) all.push_back(&one);
  if (all.size() <= most) return all;
  std::stable_sort(all.begin(), all.end(),
                   [](const auto* a, const auto* b) { return a->log_time < b->log_time; });
  const auto fastest = static_cast<ptrdiff_t>(most / 2);
  std::stable_sort(all.begin() + fastest, all.end(),
                   [](const auto* a, const auto* b) { return a->newest > b->newest; });
  all.resize(most);
  return all;
}

Status Experience::read(std::string_view text, std::string_view source) {
  int current = -1, line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string_view> parts;
    for (size_t at = 0; at <= line.size();) {
      const size_t tab = std::min(line.find('\t', at), line.size());
      parts.push_back(line.substr(at, tab - at));
      at = tab + 1;
    }
    const auto number = [&](std::string_view digits, auto& value) {
      const auto [last, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), value);
      return error == std::errc{} && last == digits.data() + digits.size();
    };
    double relative = 0;
    KernelName name;
    if (parts.size() == 7 && parts[0] == "kernel" && number(parts[5], name.threads)) {
      name.problem = parts[1];
      name.at = parts[2];
      name.cache = parts[3];
      name.target = parts[4];
      name.host = parts[6];
      current = kernel(name);
    } else if (parts.size() == 2 && current >= 0 && number(parts[0], relative) && relative > 0) {
      add(current, parts[1], relative);
    } else {
      return fail(ErrorCode::parse_error,
                  "{}:{}: found '{}', expected 'kernel' with six columns, or a time and a schedule",
                  source, line_number, line.substr(0, 60));
    }
  }
  return {};
}

double Experience::distance(int a, int b) const {
  const Kernel& one = kernels_[static_cast<size_t>(a)];
  const Kernel& other = kernels_[static_cast<size_t>(b)];
  if (one.family != other.family) return std::numeric_limits<double>::infinity();
  double sum = 0;
  if (one.name.host != other.name.host) sum += kOtherHost;
  if (one.name.target != other.name.target) sum += kOtherTarget;
  if (one.name.threads != other.name.threads) sum += kOtherThreads;
  if (one.name.cache != other.name.cache) sum += kOtherCache;
  sum += kPowerOfRows * std::min(std::fabs(one.log_rows - other.log_rows), kMostPowers);
  return sum + sum_of_differences(one.parameters, other.parameters, kOtherText,
                                  [](const Feature& x, const Feature& y) {
                                    return difference(x, y, kOtherText, kPowerOfSize, kMostPowers);
                                  });
}

double Experience::distance(const Features& a, const Features& b) {
  return sum_of_differences(a, b, kOtherChoice, [](const Feature& x, const Feature& y) {
    return difference(x, y, kOtherChoice, kPowerOfKnob, kMostKnobPowers);
  });
}

std::vector<Experience::Near> Experience::nearest(int kernel, size_t count) const {
  std::vector<std::pair<double, int>> order;
  for (int other = 0; other < static_cast<int>(kernels_.size()); ++other) {
    const double away = distance(kernel, other);
    if (std::isfinite(away) && !observations(other).empty()) order.emplace_back(away, other);
  }
  std::sort(order.begin(), order.end());
  std::vector<Near> near;
  for (const auto& [away, other] : order) {
    if (near.size() >= count) break;
    if (other == kernel) {
      for (const Observation* one :
           own_worth_knowing(kernels_[static_cast<size_t>(kernel)], count * 2 / 3))
        near.push_back({kernel, one, 0});
      continue;
    }
    std::vector<const Observation*> sorted;
    for (const Observation& one : observations(other)) sorted.push_back(&one);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto* x, const auto* y) { return x->log_time < y->log_time; });
    const size_t fastest = std::min(sorted.size(), kFastestOfNeighbour);
    const size_t step = std::max<size_t>((sorted.size() - fastest) / kOthersOfNeighbour, 1);
    for (size_t i = 0; i < sorted.size() && near.size() < count; ++i)
      if (i < fastest || (i - fastest) % step == 0) near.push_back({other, sorted[i], away});
  }
  return near;
}

}  // namespace lathe::tuner
