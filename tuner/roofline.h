// The machine's roofs, measured by kernels of our own IR in the process that times the candidates.
#pragma once

#include <cstdint>

#include "runtime/target_selection.h"
#include "runtime/thread_pool.h"

namespace lathe::tuner {

/// Best of several loops, all threads of the pool at once.
struct Roofs {
  double gflops = 0;        ///< multiply-adds count two
  double gbytes_per_s = 0;  ///< reading plus writing in the proportion asked for
};

/// What the bandwidth roof is measured over.
struct Footprint {
  int64_t bytes = 0;           ///< working set; far above the last cache: memory
  double written_share = 0.5;  ///< of the traffic
};

/// Measures for about `seconds`. Prefetching readers of 1, 2, 4 and 8 streams, and copies with and
/// without streaming stores.
Result<Roofs> measure_roofs(const runtime::SelectedTarget& target, runtime::ThreadPool& pool,
                            const Footprint& footprint, double seconds);

}  // namespace lathe::tuner
