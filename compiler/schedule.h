// A schedule: how a kernel computes its problem; named integer or enumerated knobs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/error.h"

namespace lathe::compiler {

/// Knob values in the search space's order. Enumerated knobs hold the index of their choice; text
/// shows the name.
class Schedule {
 public:
  int64_t operator[](std::string_view knob) const;  ///< asserts that the knob exists
  bool has(std::string_view knob) const;
  void set(std::string_view knob, int64_t value);
  const std::vector<std::pair<std::string, int64_t>>& knobs() const { return knobs_; }
  bool operator==(const Schedule&) const = default;
  auto operator<=>(const Schedule&) const = default;

 private:
  std::vector<std::pair<std::string, int64_t>> knobs_;
};

}  // namespace lathe::compiler
