// What a command line says of a model: its sizes and the workloads to tune or to pack for.
#pragma once

#include <set>
#include <string>

#include "compiler/models/model_kernels.h"
#include "support/error.h"
#include "tools/qwen3vl_tune/commands.h"

namespace lathe::tools {

struct ModelWorkload {
  compiler::models::ModelConfig model;
  compiler::models::Workload workload;  ///< for the target given
};

/// By --model, --weights, --tokens, --context and --image.
Result<ModelWorkload> model_workload(const TuneOptions& options, const ir::Target& target);

/// The problem lines under which a store may have records for the model, for any instruction path:
/// its kernels in every layout of their weights, and the weights.
Result<std::set<std::string>> model_problems(const TuneOptions& options);

}  // namespace lathe::tools
