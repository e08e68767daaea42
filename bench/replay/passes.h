// Which of a model's forward passes a file of records has.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "bench/replay/records.h"
#include "compiler/models/model_kernels.h"
#include "tuner/session.h"

namespace lathe::bench {

struct RecordedPasses {
  std::vector<tuner::Task> tasks;          ///< the kernels of the passes that are there
  std::set<std::string> missing_passes;    ///< a file may hold some only, or an image's of a size
  std::set<std::string> missing_families;  ///< younger than the records: left out of every pass
  std::string missing_kernel;              ///< by which a pass is missing, for example
};

RecordedPasses recorded_passes(const std::vector<compiler::models::ModelKernel>& kernels,
                               const Records& records);

}  // namespace lathe::bench
