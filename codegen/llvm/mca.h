// How fast a loop runs on a CPU that is not here, by LLVM's scheduling models.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace lathe::codegen::llvm {

struct McaPort {
  std::string name;   ///< the model's own: "SKLPort01"
  double cycles = 0;  ///< that an iteration keeps one unit of it busy
};

/// The steady state of a loop whose loads all hit the first cache and whose branches are predicted.
struct McaReport {
  double cycles_per_iteration = 0;
  double uops_per_iteration = 0;
  int dispatch_width = 0;      ///< micro-operations a cycle
  std::vector<McaPort> ports;  ///< those in use, busiest first
};

/// Simulates `loop` (the machine code of one iteration with the branch back) on `cpu`, for example
/// "skylake" of x86_64-linux-gnu. What it leaves out: caches, front end, store forwarding. Errors:
/// not_found for an unknown CPU, unsupported for one without a scheduling model, corrupt for code
/// that does not decode, invalid_argument for no code. Thread-safe.
Result<McaReport> throughput(std::span<const std::byte> loop, std::string_view cpu,
                             std::string_view triple = "x86_64-linux-gnu");

}  // namespace lathe::codegen::llvm
