// A tuning session's progress: a bar that redraws itself on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "tuner/session.h"

namespace lathe::tools {

/// Writes to standard error. Call show() as often as you like; it paces itself (ten redraws a
/// second on a terminal, a line every two seconds elsewhere).
class ProgressDisplay {
 public:
  ProgressDisplay();
  ~ProgressDisplay();  ///< leaves the bar's line
  void show(const tuner::Progress& progress);

 private:
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

/// "[####----] 12/40 kernels, 130 trials, 31s left  rms_norm rows=512..2047 width=2048  1.31x".
std::string progress_line(const tuner::Progress& progress, bool bar);

}  // namespace lathe::tools
