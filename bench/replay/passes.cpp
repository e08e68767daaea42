// A pass is there where all of its kernels are, but for families that the whole file has none of.
#include "bench/replay/passes.h"

#include "compiler/family.h"
#include "compiler/sizes.h"

namespace lathe::bench {

RecordedPasses recorded_passes(const std::vector<compiler::models::ModelKernel>& kernels,
                               const Records& records) {
  std::set<std::string> families;
  for (const auto& [name, kernel] : records) families.emplace(kernel.family());
  RecordedPasses passes;
  for (const compiler::models::ModelKernel& kernel : kernels) {
    const std::string& family = kernel.problem.family().name;
    if (families.count(family) == 0) {
      passes.missing_families.insert(family);
      continue;
    }
    std::string name = record_name(kernel.problem.line(), compiler::print(kernel.at), kernel.cache);
    if (records.count(name) == 0) {
      passes.missing_passes.insert(kernel.pass);
      passes.missing_kernel = std::move(name);
    }
    passes.tasks.push_back({kernel.problem, kernel.at, kernel.cache, kernel.where,
                            static_cast<double>(kernel.launches), kernel.pass, kernel.part_of});
  }
  std::erase_if(passes.tasks, [&](const tuner::Task& task) {
    return passes.missing_passes.count(task.pass) > 0;
  });
  return passes;
}

}  // namespace lathe::bench
