// What a session means to a person: how long a forward pass takes with the kernels found, what it
// is made of, what bounds it, and where most was gained.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tuner/session.h"

namespace lathe::tools {

/// A part of a pass: all its kernels of one kind.
struct PassPart {
  std::string kind;  ///< the family
  double share = 0;  ///< of the pass's time
};

/// One forward pass through every kernel that was tuned, all launches counted. Attention is not
/// among them yet.
struct PassSummary {
  std::string pass;    ///< "16 tokens", "image"
  int64_t tokens = 0;  ///< 0 for an image
  double default_ns = 0, tuned_ns = 0;
  double memory_share = 0;          ///< of the time: in kernels that are bound by memory
  std::vector<PassPart> parts;      ///< the largest first
  size_t kernels = 0, missing = 0;  ///< missing: without a time

  double per_second() const {
    return (tokens > 0 ? static_cast<double>(tokens) : 1) * 1e9 / tuned_ns;
  }
};

/// Of every pass of the tasks, in their order.
std::vector<PassSummary> summarise(const std::vector<tuner::TaskResult>& tasks);

/// Lines for a person: the passes, the kernels that gained most, and a note where a fraction lies
/// above 100 % of a roof. Empty where no task belongs to a pass and none gained.
std::string summary_text(const std::vector<tuner::TaskResult>& tasks);

nlohmann::json summary_json(const std::vector<PassSummary>& passes);

}  // namespace lathe::tools
