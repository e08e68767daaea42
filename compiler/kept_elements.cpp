// Block by block: kept by the oracle, kept by the kernel.
#include "compiler/kept_elements.h"

#include <cstring>

namespace lathe::compiler {

int64_t changed_element(const ir::Tensor& found, const ir::Tensor& before,
                        const ir::graph::DoubleTensor& expected) {
  const ir::TypeInfo& info = ir::info(found.type());
  const int64_t block = info.block_elements;
  for (int64_t i = 0; i < found.elements(); i += block) {
    bool is_kept = true;
    for (int64_t j = i; is_kept && j < i + block; ++j)
      is_kept = expected.values[static_cast<size_t>(j)] == before.at(j);
    const int64_t at = i / block * info.block_bytes;
    if (is_kept && std::memcmp(found.data() + at, before.data() + at,
                               static_cast<size_t>(info.block_bytes)) != 0)
      return i;
  }
  return -1;
}

}  // namespace lathe::compiler
