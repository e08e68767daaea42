// The weights of a router as files.
#include <lathe/routing.h>

#include "runtime/attention/weight_files.h"
#include "support/error.h"

namespace lathe {

Status RouterWeights::save(const std::string& stem) const {
  LATHE_CHECK(runtime::write_weights(stem + ".wq.npy", wq, {heads, dim, rank}));
  return runtime::write_weights(stem + ".wk.npy", wk, {kv_heads, dim, rank});
}

Result<RouterWeights> RouterWeights::load(const std::string& stem) {
  const std::string k_path = stem + ".wk.npy";
  LATHE_TRY(const ir::Tensor wq, runtime::read_weights(stem + ".wq.npy"));
  LATHE_TRY(const ir::Tensor wk, runtime::read_weights(k_path));
  if (wq.shape()[0] % wk.shape()[0] != 0 || wq.shape()[1] != wk.shape()[1] ||
      wq.shape()[2] != wk.shape()[2]) {
    return fail(ErrorCode::invalid_argument,
                "{}: found [{}] beside wq of [{}], expected its dim and rank, and heads of which "
                "wq has a multiple",
                k_path, fmt::join(wk.shape(), ", "), fmt::join(wq.shape(), ", "));
  }
  return RouterWeights{.heads = wq.shape()[0],
                       .kv_heads = wk.shape()[0],
                       .dim = wq.shape()[1],
                       .rank = wq.shape()[2],
                       .wq = runtime::values_of(wq),
                       .wk = runtime::values_of(wk)};
}

}  // namespace lathe
