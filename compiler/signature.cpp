// Operands: where rows stand, what they take.
#include "compiler/signature.h"

#include <algorithm>

namespace lathe::compiler {

using ir::graph::Dim;

int64_t size_of(const Dim& dim, const Sizes& sizes) {
  if (dim.is_number()) return dim.number();
  const auto found = sizes.find(dim.symbol);
  return dim.factor * (found == sizes.end() ? 1 : found->second);
}

int Port::dimension(std::string_view dim) const {
  const auto found = std::find(shape.begin(), shape.end(), Dim(std::string(dim)));
  return found == shape.end() ? -1 : static_cast<int>(found - shape.begin());
}

int64_t Port::row_bytes(const Sizes& sizes) const {
  int64_t elements = 1;
  for (size_t k = updated() ? shape.size() - static_cast<size_t>(updated_entry) : 0;
       k < shape.size(); ++k) {
    if (shape[k] != Dim("rows")) elements *= size_of(shape[k], sizes);
  }
  return ir::bytes_of(type, elements);
}

std::vector<std::string> dimension_names(const Signature& signature) {
  std::vector<std::string> names;
  for (const Port& port : signature) {
    if (port.output && !port.updated()) continue;
    for (const Dim& dim : port.shape) {
      const bool is_new = std::find(names.begin(), names.end(), dim.symbol) == names.end();
      if (!dim.is_number() && is_new) names.push_back(dim.symbol);
    }
  }
  return names;
}

}  // namespace lathe::compiler
