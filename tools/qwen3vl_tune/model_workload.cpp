// Models and their problems, for tuning and packing.
#include "tools/qwen3vl_tune/model_workload.h"

#include "compiler/family.h"
#include "compiler/shared_operand.h"
#include "runtime/library/layout_record.h"
#include "tools/common/arguments.h"

namespace lathe::tools {

namespace models = compiler::models;

Result<ModelWorkload> model_workload(const TuneOptions& options, const ir::Target& target) {
  models::Workload workload;
  LATHE_TRY(workload.tokens, parse_sizes_list("--tokens", options.tokens));
  LATHE_TRY(workload.context, parse_sizes_list("--context", options.context));
  LATHE_TRY(const auto image, parse_image(options.image));
  workload.image_width = image.first;
  workload.image_height = image.second;
  LATHE_TRY(models::ModelConfig model, models::load_model(options.model));
  workload.target = target;
  if (!model.weights.empty()) workload.weights = model.weights;
  if (!options.weights.empty()) workload.weights = options.weights;
  return ModelWorkload{std::move(model), std::move(workload)};
}

Result<std::set<std::string>> model_problems(const TuneOptions& options) {
  std::set<std::string> lines;
  for (const std::string& name : ir::target_names()) {
    const auto target = ir::parse_target(name);
    if (!target) continue;  // LLVM's has the lanes, and with them the layouts, of one of the others
    LATHE_TRY(const ModelWorkload asked, model_workload(options, *target));
    LATHE_TRY(const auto kernels, models::model_kernels(asked.model, asked.workload));
    for (const models::ModelKernel& kernel : kernels) {
      lines.insert(kernel.problem.line());
      const auto shared = compiler::shared_by(kernel.problem, *target);
      if (!shared) continue;
      lines.insert(runtime::layout_key(*shared, "", *target, {}).problem);
      for (const std::string& layout : shared->layouts)
        if (const auto other = compiler::with_layout(kernel.problem, layout))
          lines.insert(other->line());
    }
  }
  return lines;
}

}  // namespace lathe::tools
