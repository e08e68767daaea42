// A static estimate of a plan's time: what orders candidates before any is timed.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "compiler/family.h"
#include "ir/plan/plan.h"

namespace lathe::compiler {

/// A core in a few numbers: how much of each kind of work it starts in a cycle. The defaults are
/// those of a recent x86 core; candidates of one machine are only compared with each other.
struct Machine {
  double issue = 4;  ///< instructions of any kind
  double loads = 2;
  double stores = 1;
  double arithmetic = 2;  ///< vector arithmetic and logic
  double shuffles = 1;
  double scalars = 3;
  double divide_cycles = 8;   ///< between two divisions or roots
  double latency = 4;         ///< of an addition or multiplication
  double call_cycles = 60;    ///< of a program call, with its share of handing out a task
  double task_cycles = 2000;  ///< of waking another thread

  /// A cache and the bytes a cycle that one core gets from it.
  struct Level {
    int64_t bytes = 0;
    double bytes_per_cycle = 0;
  };
  std::vector<Level> caches = {
      {32 << 10, 64}, {512 << 10, 32}, {8 << 20, 12}};  ///< innermost first
  double memory_bytes_per_cycle = 4;
};

struct Estimate {
  double cycles = 0;   ///< of the thread with the most work
  double compute = 0;  ///< by the core alone, data in its first cache
  double memory = 0;   ///< by the traffic alone
};

/// Walks the plan with its trip counts at `sizes`; the first iteration of a loop stands for all.
/// `work` is the problem's at those sizes. invalid_argument where a named dimension has no size.
Result<Estimate> estimate(const ir::plan::Plan& plan, const Sizes& sizes, const Work& work,
                          int threads, const Machine& machine = {});

}  // namespace lathe::compiler
