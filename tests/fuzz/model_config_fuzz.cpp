// Any config.json is refused with a message, or describes a model whose kernels can all be listed.
#include <cstdint>
#include <string>
#include <string_view>

#include "compiler/models/model_config.h"
#include "compiler/models/model_kernels.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace models = lathe::compiler::models;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto model = models::parse_model_config(json, "config.json");
  if (!model) {
    require(!model.error().message.empty(), "an error says what was found", json);
    return 0;
  }
  models::Workload workload;
  workload.tokens = {1, 16};
  workload.image_height = workload.image_width =
      model->vision.patch_size * model->vision.spatial_merge_size * 2;
  const auto kernels = models::model_kernels(*model, workload);
  require(kernels.has_value(), "a model that is accepted has kernels", json);
  for (const models::ModelKernel& kernel : *kernels) {
    const auto again = lathe::compiler::parse_problem(kernel.problem.line());
    require(again.has_value() && *again == kernel.problem, "a model's problems are valid lines",
            kernel.problem.line());
  }
  return 0;
}
