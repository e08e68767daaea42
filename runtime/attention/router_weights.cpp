// The weights of a router as files.
#include <cmath>

#include <lathe/routing.h>

#include "ir/npy.h"
#include "support/error.h"

namespace lathe {
namespace {

Status check_weights(const std::string& path, const ir::Tensor& tensor) {
  if (tensor.type() != ir::Type::f32 || tensor.rank() != 3 || tensor.elements() == 0) {
    return fail(ErrorCode::invalid_argument,
                "{}: found {} of rank {} with {} elements, expected f32 [heads, dim, rank]", path,
                ir::name(tensor.type()), tensor.rank(), tensor.elements());
  }
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (!std::isfinite(tensor.at(i))) {
      return fail(ErrorCode::invalid_argument, "{}: found {} at [{}], expected finite numbers",
                  path, tensor.at(i), i);
    }
  }
  return {};
}

Status write_weights(const std::string& path, const std::vector<float>& values,
                     std::vector<int64_t> shape) {
  ir::Tensor tensor(ir::Type::f32, std::move(shape));
  if (static_cast<size_t>(tensor.elements()) != values.size()) {
    return fail(ErrorCode::invalid_argument, "{}: found {} weights, expected {}", path,
                values.size(), tensor.elements());
  }
  std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  return ir::write_npy(path, tensor);
}

std::vector<float> values_of(const ir::Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

}  // namespace

Status RouterWeights::save(const std::string& stem) const {
  LATHE_CHECK(write_weights(stem + ".wq.npy", wq, {heads, dim, rank}));
  return write_weights(stem + ".wk.npy", wk, {kv_heads, dim, rank});
}

Result<RouterWeights> RouterWeights::load(const std::string& stem) {
  const std::string q_path = stem + ".wq.npy", k_path = stem + ".wk.npy";
  LATHE_TRY(const ir::Tensor wq, ir::read_npy(q_path));
  LATHE_TRY(const ir::Tensor wk, ir::read_npy(k_path));
  LATHE_CHECK(check_weights(q_path, wq));
  LATHE_CHECK(check_weights(k_path, wk));
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
                       .wq = values_of(wq),
                       .wk = values_of(wk)};
}

}  // namespace lathe
