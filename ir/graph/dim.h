// Dimensions that are numbers or names, and the shapes and tensor types made of them.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/types.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// One dimension: a number (`symbol` empty, the number is `factor`) or `factor` times a size that
/// is known only when the graph runs, such as `tokens` or `4*patches`. Two dimensions are equal
/// only if factor and name are; different names are never assumed to be equal.
struct Dim {
  int64_t factor = 0;
  std::string symbol;

  Dim() = default;
  template <std::integral T>
  Dim(T number)
      : factor(static_cast<int64_t>(number)) {}       // NOLINT: shapes read as {"tokens", 2048}
  Dim(const char* name) : factor(1), symbol(name) {}  // NOLINT
  Dim(std::string name) : factor(1), symbol(std::move(name)) {}  // NOLINT

  bool is_number() const { return symbol.empty(); }
  /// The number; meaningful only if is_number().
  int64_t number() const { return factor; }
  bool operator==(const Dim&) const = default;
};

inline Dim operator*(int64_t factor, Dim dim) {
  dim.factor *= factor;
  return dim;
}

using Shape = std::vector<Dim>;

/// Sizes of named dimensions, by name.
using DimBindings = std::map<std::string, int64_t>;

/// Limits that keep hostile text from exhausting memory or overflowing 64-bit arithmetic.
inline constexpr int kMaxRank = 8;
inline constexpr int64_t kMaxDim = int64_t{1} << 40;
inline constexpr int64_t kMaxElements = int64_t{1} << 48;

/// What a value is: element type and shape.
struct TensorType {
  Type element = Type::f32;
  Shape shape;

  int rank() const { return static_cast<int>(shape.size()); }
  bool operator==(const TensorType&) const = default;
};

std::string to_string(const Dim& dim);  ///< "2048", "tokens", "4*patches"
std::string to_string(std::span<const Dim> shape);
std::string to_string(const Shape& shape);      ///< "[tokens, 2048]"
std::string to_string(const TensorType& type);  ///< "f32[tokens, 2048]"

/// Replaces names that `bindings` knows by their numbers; other names stay. A size outside
/// 0..kMaxDim is an invalid_argument naming the dimension.
Result<Shape> bind_shape(std::span<const Dim> shape, const DimBindings& bindings);

/// The shape as plain numbers; invalid_argument naming the first dimension that has none.
Result<std::vector<int64_t>> numbers(std::span<const Dim> shape);

/// A product of dimensions: a number times a sorted list of names.
struct DimProduct {
  int64_t factor = 1;
  std::vector<std::string> symbols;
  bool operator==(const DimProduct&) const = default;
};

/// Elements of a shape; invalid_argument above kMaxElements.
Result<DimProduct> product(std::span<const Dim> shape);

/// total / part as one dimension, as reshape needs it for -1; invalid_argument when it is not a
/// whole number times at most one name.
Result<Dim> divide(const DimProduct& total, const DimProduct& part);

/// `axis` counted from the front; negative counts from the back. invalid_argument outside the rank.
Result<int> resolve_axis(int64_t axis, int rank);

/// NumPy broadcasting of two shapes; invalid_argument naming the two dimensions that disagree.
Result<Shape> broadcast(std::span<const Dim> a, std::span<const Dim> b);

/// Checks that `from` broadcasts to exactly `to`; `what` names the operand in the error.
Status check_broadcasts_to(std::string_view what, std::span<const Dim> from,
                           std::span<const Dim> to);

}  // namespace lathe::ir::graph
