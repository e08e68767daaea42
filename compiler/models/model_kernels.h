// The kernels that one forward pass of a model launches: what a tuning run has to tune.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compiler/models/model_config.h"
#include "compiler/problem.h"
#include "ir/target.h"

namespace lathe::compiler::models {

/// Which of a model's workloads to tune for.
struct Workload {
  std::string weights = "bf16";  ///< f32 f16 bf16 i8 q8_0 q4_0 q4_K
  std::vector<int64_t> tokens = {1, 16, 128, 512};
  std::vector<int64_t> context = {512, 4096};  ///< position tables are as long as the longest
  int64_t image_height = 448, image_width = 448;
  ir::Target target;  ///< for which weights are laid out
};

/// A problem with the sizes at which to time it, and what it is for.
struct ModelKernel {
  Problem problem;
  Sizes at;
  std::string cache;  ///< "warm": its input was just written by the kernel before; "cold" otherwise
  std::string where;  ///< "text: residual + input norm"
  std::string pass;   ///< the forward pass that launches it first: "16 tokens", "image"
  /// The pass that this one is a part of by itself: attention over a shorter context. Empty: whole.
  std::string part_of;
  int64_t launches = 1;  ///< in that pass, or in another where those are more
  std::vector<std::pair<std::string, int64_t>> launches_in{};  ///< of every pass that launches it
};

/// Every norm, activation, position, data, linear and attention kernel, text before vision, each
/// problem at each size once. The matrices of a quantised model whose rows hold no whole blocks
/// stay bf16. Activations are f32 whatever the weights' type. invalid_argument for an image that is
/// not a multiple of patch size times merge size, or an unknown weight type.
Result<std::vector<ModelKernel>> model_kernels(const ModelConfig& model, const Workload& workload);

}  // namespace lathe::compiler::models
