// Which of a session's tasks read one operand.
#pragma once

#include <string>
#include <vector>

#include "compiler/shared_operand.h"
#include "ir/target.h"
#include "tuner/session.h"

namespace lathe::tuner {

/// The tasks of one operand that kernels share.
struct SharedTasks {
  compiler::LayoutCandidates candidates;
  std::vector<size_t> tasks{};  ///< their places in the session, ascending
  std::string at{};             ///< the sizes at which they are timed: "rows=1,16,128"
};

/// One for each operand, in the order in which tasks name them.
std::vector<SharedTasks> shared_tasks(const std::vector<Task>& tasks, const ir::Target& target);

}  // namespace lathe::tuner
