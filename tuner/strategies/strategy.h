// Which of a kernel's schedules to time next: one interface, a file for each way to answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "tuner/experience.h"

namespace lathe::tuner {

/// The schedules of one kernel's search.
struct SearchPoints {
  std::vector<std::string> schedules;  ///< the default first
  std::vector<double> estimates;       ///< of each, in cycles; infinity where it cannot be judged
};

/// The state of one kernel's search. Not thread-safe.
class Strategy {
 public:
  explicit Strategy(SearchPoints points);
  virtual ~Strategy() = default;
  Strategy(const Strategy&) = delete;
  Strategy& operator=(const Strategy&) = delete;

  /// Up to `count` schedules that are worth timing next, the best first; they count as tried.
  std::vector<std::string> propose(size_t count);
  /// By how much the best schedule is expected to become faster by what propose() would name, as a
  /// share of its time: how searches compare that share a budget.
  virtual double promise() = 0;

  /// What a schedule took over the default. Any number of times, of any schedule of the space.
  void observe(std::string_view schedule, double relative);
  /// The same of an earlier session: where the experience to begin with has it already.
  void recall(std::string_view schedule, double relative);
  /// A schedule that needs no time any more: known from before, refused, or wrong.
  void leave_out(std::string_view schedule);

  size_t left() const { return left_; }

 protected:
  struct Point {
    std::string schedule;
    double estimate = 0;
    bool tried = false;
    std::optional<double> relative{};  ///< of the last race
  };
  /// Places of up to `count` points that are not tried, the best first.
  virtual std::vector<size_t> choose(size_t count) = 0;
  /// Something was observed.
  virtual void learn(size_t place) { (void)place; }

  const std::vector<Point>& points() const { return points_; }
  /// Of the fastest observed; 1, the default's, where nothing is.
  double best() const;

 private:
  std::optional<size_t> place_of(std::string_view schedule) const;

  std::vector<Point> points_;
  size_t left_ = 0;
};

/// exhaustive: by the static estimate, cheapest first. random: in a random order. local: neighbours
/// of the fastest so far. model: by a Gaussian process over all that is known of kernels like it.
enum class StrategyKind { exhaustive, random, local, model };
inline constexpr StrategyKind kStrategies[] = {StrategyKind::exhaustive, StrategyKind::random,
                                               StrategyKind::local, StrategyKind::model};
std::string_view to_string(StrategyKind kind);
/// invalid_argument that names the choices.
Result<StrategyKind> parse_strategy(std::string_view text);

/// `experience` must outlive it and gets what it observes; `kernel` is the search's place there.
std::unique_ptr<Strategy> make_strategy(StrategyKind kind, SearchPoints points,
                                        Experience& experience, int kernel);

std::unique_ptr<Strategy> make_exhaustive(SearchPoints points);
std::unique_ptr<Strategy> make_random(SearchPoints points);
std::unique_ptr<Strategy> make_local_search(SearchPoints points);
std::unique_ptr<Strategy> make_model_guided(SearchPoints points, Experience& experience,
                                            int kernel);

}  // namespace lathe::tuner
