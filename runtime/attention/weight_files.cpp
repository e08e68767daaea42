// Reading, checking and writing of fitted weights.
#include "runtime/attention/weight_files.h"

#include <algorithm>
#include <cmath>

#include "ir/npy.h"
#include "support/error.h"

namespace lathe::runtime {

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

Result<ir::Tensor> read_weights(const std::string& path) {
  LATHE_TRY(ir::Tensor tensor, ir::read_npy(path));
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
  return tensor;
}

std::vector<float> values_of(const ir::Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

}  // namespace lathe::runtime
