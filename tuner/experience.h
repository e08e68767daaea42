// What trials have taught: how long schedules took beside their kernel's default, here and on other
// hosts, and which kernels are alike enough to learn from each other.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace lathe::tuner {

/// What tells kernels apart, as records do. `host` is any text that differs between machines.
struct KernelName {
  std::string problem, at, cache, target, host;
  int threads = 1;
  friend auto operator<=>(const KernelName&, const KernelName&) = default;
};

/// Schedules with their times, of many kernels. A plain container; not thread-safe.
class Experience {
 public:
  /// A knob or parameter as it is compared: texts are equal or not, numbers near or far.
  struct Feature {
    int32_t name = 0, value = 0;
    float scale = 0;  ///< log2(1 + number); NaN for a text
  };
  using Features = std::vector<Feature>;  ///< by name

  struct Observation {
    Features knobs;
    double log_time = 0;  ///< logarithm of its time over the default's, mean of what was added
    int races = 1;        ///< how often it was added
    int newest = 0;       ///< when it was added last, among the kernel's
  };

  /// The kernel's number; the same for the same name.
  int kernel(const KernelName& name);
  /// Adds to what is known of a kernel. `relative`: its time over the default's, above 0.
  void add(int kernel, std::string_view schedule, double relative);
  /// Reads lines of kernels and their schedules (tuner/prior/experience.txt); parse_error with the
  /// line.
  Status read(std::string_view text, std::string_view source);

  Features features_of(std::string_view schedule);

  size_t kernels() const { return kernels_.size(); }
  const std::vector<Observation>& observations(int kernel) const {
    return kernels_[static_cast<size_t>(kernel)].observations;
  }

  /// How unlike two kernels are: 0 for the same, infinity for those of other families.
  double distance(int a, int b) const;
  /// How unlike two schedules are: 0 for the same.
  static double distance(const Features& a, const Features& b);

  /// An observation of a kernel that is near to another.
  struct Near {
    int kernel = 0;
    const Observation* observation = nullptr;
    double distance = 0;  ///< of the kernels
  };
  /// What is most worth knowing about `kernel`, `count` in all at most: its own (where these are
  /// more than two thirds of that, the fastest and the newest), then of its neighbours the fastest
  /// and some others, nearest first. Valid until the next add().
  std::vector<Near> nearest(int kernel, size_t count) const;

 private:
  struct Kernel {
    KernelName name;
    std::string family;
    Features parameters;  ///< without rows
    double log_rows = 0;
    std::vector<Observation> observations;
    std::map<std::string, size_t, std::less<>> by_schedule{};  ///< their places
    int added = 0;
  };
  static std::vector<const Observation*> own_worth_knowing(const Kernel& kernel, size_t most);
  int32_t number_of(std::string_view text);
  Feature feature(std::string_view name, std::string_view value);

  std::map<std::string, int32_t, std::less<>> numbers_;
  std::map<KernelName, int> by_name_;
  std::vector<Kernel> kernels_;
};

}  // namespace lathe::tuner
