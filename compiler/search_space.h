// A kernel family's search space: knobs, their values, and the constraints between them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/schedule.h"
#include "support/error.h"

namespace lathe::compiler {

struct Knob {
  std::string name;
  std::vector<int64_t> values;       ///< in the order in which they are tried
  std::vector<std::string> choices;  ///< names of values 0 … n-1; empty for integer knobs
  int64_t default_value = 0;
  std::string meaning;
};

struct Constraint {
  std::function<bool(const Schedule&)> holds;
  std::string reason;  ///< a sentence: "a kept row must fit the vector registers"
};

class SearchSpace {
 public:
  /// An integer knob. The default must be one of the values.
  void knob(std::string name, std::vector<int64_t> values, int64_t default_value,
            std::string meaning);
  /// An enumerated knob: value i is choices[i].
  void choice(std::string name, std::vector<std::string> choices, std::string_view default_choice,
              std::string meaning);
  /// Leaves a knob the one value, which becomes its default. Errors: not_found where there is no
  /// such knob; rejected, naming its values, where the value is none of them.
  Status fix(std::string_view knob, std::string_view value);
  void require(std::function<bool(const Schedule&)> holds, std::string reason);

  const std::vector<Knob>& knobs() const { return knobs_; }

  /// Good without tuning. Meets the constraints on every named target (a test asks each family);
  /// with fewer registers than those have it may not: see compiler/fallback.h.
  Schedule default_schedule() const;
  /// Every point that meets the constraints, the default first if it does.
  std::vector<Schedule> points() const;
  /// rejected with the constraint's reason, or naming the knob whose value is not in the space.
  Status check(const Schedule& schedule) const;
  /// Whether check() would pass, without the advice that an error gives.
  bool holds(const Schedule& schedule) const;

  /// `unroll=2 division=exact`; knobs at their default included.
  std::string print(const Schedule& schedule) const;
  /// Reads `k=v,k=v` or `k=v k=v`; knobs not named keep their default.
  Result<Schedule> parse(std::string_view text) const;

 private:
  std::vector<Knob> knobs_;
  std::vector<Constraint> constraints_;
};

}  // namespace lathe::compiler
