// Arithmetic on shapes whose dimensions may be names.
#include "ir/graph/dim.h"

#include <algorithm>
#include <iterator>

namespace lathe::ir::graph {

std::string to_string(const Dim& dim) {
  if (dim.is_number()) return std::to_string(dim.factor);
  if (dim.factor == 1) return dim.symbol;
  return fmt::format("{}*{}", dim.factor, dim.symbol);
}

std::string to_string(std::span<const Dim> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += i == 0 ? "" : ", ";
    text += to_string(shape[i]);
  }
  return text + "]";
}

std::string to_string(const Shape& shape) { return to_string(std::span<const Dim>(shape)); }

std::string to_string(const TensorType& type) {
  return std::string(name(type.element)) + to_string(type.shape);
}

Result<Shape> bind_shape(std::span<const Dim> shape, const DimBindings& bindings) {
  Shape bound(shape.begin(), shape.end());
  for (Dim& dim : bound) {
    const auto found = dim.is_number() ? bindings.end() : bindings.find(dim.symbol);
    if (found == bindings.end()) continue;
    if (found->second < 0 || found->second > kMaxDim / std::max<int64_t>(dim.factor, 1)) {
      return fail(ErrorCode::invalid_argument, "dimension {}: found size {}, expected 0 to {}",
                  dim.symbol, found->second, kMaxDim / std::max<int64_t>(dim.factor, 1));
    }
    dim = Dim(dim.factor * found->second);
  }
  return bound;
}

Result<std::vector<int64_t>> numbers(std::span<const Dim> shape) {
  std::vector<int64_t> result;
  for (const Dim& dim : shape) {
    if (!dim.is_number()) {
      return fail(ErrorCode::invalid_argument,
                  "dimension {} of shape {} has no size: expected a number", to_string(dim),
                  to_string(shape));
    }
    result.push_back(dim.number());
  }
  return result;
}

Result<DimProduct> product(std::span<const Dim> shape) {
  DimProduct result;
  // A zero anywhere makes the product zero, whatever the others are.
  const bool empty =
      std::any_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.factor == 0; });
  if (empty) return DimProduct{0, {}};
  for (const Dim& dim : shape) {
    if (dim.factor > kMaxElements / result.factor) {
      return fail(ErrorCode::invalid_argument, "shape {} has more than {} elements",
                  to_string(shape), kMaxElements);
    }
    result.factor *= dim.factor;
    if (!dim.is_number()) result.symbols.push_back(dim.symbol);
  }
  std::sort(result.symbols.begin(), result.symbols.end());
  return result;
}

Result<Dim> divide(const DimProduct& total, const DimProduct& part) {
  std::vector<std::string> rest;
  std::set_difference(total.symbols.begin(), total.symbols.end(), part.symbols.begin(),
                      part.symbols.end(), std::back_inserter(rest));
  const bool divides = part.factor != 0 && total.factor % part.factor == 0 &&
                       rest.size() + part.symbols.size() == total.symbols.size();
  if (!divides || rest.size() > 1) {
    return fail(ErrorCode::invalid_argument,
                "the elements left for -1 are not a whole number times at most one name");
  }
  const int64_t factor = total.factor / part.factor;
  return rest.empty() ? Dim(factor) : factor * Dim(rest.front());
}

Result<int> resolve_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return fail(ErrorCode::invalid_argument, "found axis {}, expected {} to {} for rank {}", axis,
                -rank, rank - 1, rank);
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Result<Shape> broadcast(std::span<const Dim> a, std::span<const Dim> b) {
  const size_t rank = std::max(a.size(), b.size());
  const Dim one(1);
  Shape result(rank);
  for (size_t i = 0; i < rank; ++i) {  // from the last dimension
    const Dim& da = i < a.size() ? a[a.size() - 1 - i] : one;
    const Dim& db = i < b.size() ? b[b.size() - 1 - i] : one;
    if (da != db && da != one && db != one) {
      return fail(ErrorCode::invalid_argument,
                  "shapes {} and {} do not broadcast: found {} against {}, expected equal or 1",
                  to_string(a), to_string(b), to_string(da), to_string(db));
    }
    result[rank - 1 - i] = da == one ? db : da;
  }
  return result;
}

Status check_broadcasts_to(std::string_view what, std::span<const Dim> from,
                           std::span<const Dim> to) {
  const auto result = broadcast(from, to);
  if (!result || !std::equal(result->begin(), result->end(), to.begin(), to.end())) {
    return fail(ErrorCode::invalid_argument,
                "{}: found shape {}, expected one that broadcasts to {}", what, to_string(from),
                to_string(to));
  }
  return {};
}

}  // namespace lathe::ir::graph
