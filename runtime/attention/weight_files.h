// Fitted weights as .npy files.
#pragma once

#include <string>
#include <vector>

#include <lathe/error.h>

#include "ir/tensor.h"

namespace lathe::runtime {

/// Writes them as f32 of that shape; invalid_argument where there are more or fewer.
Status write_weights(const std::string& path, const std::vector<float>& values,
                     std::vector<int64_t> shape);

/// Reads f32 [heads, rows, rank], all of them finite: invalid_argument for anything else, or as
/// ir::read_npy() says.
Result<ir::Tensor> read_weights(const std::string& path);

std::vector<float> values_of(const ir::Tensor& tensor);

}  // namespace lathe::runtime
