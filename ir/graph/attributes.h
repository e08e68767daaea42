// Values of op attributes and the small ordered set a node carries.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/graph/dim.h"
#include "ir/types.h"
#include "support/variant_guard.h"

namespace lathe::ir::graph {

/// What an attribute holds. The op table says which kind each attribute has.
enum class AttributeKind { integer, real, flag, word, type, integers, reals, dims };

std::string_view to_string(AttributeKind kind);

/// One attribute's value. Implicit conversions let node descriptions read as {{"eps", 1e-6}}.
class AttributeValue {
 public:
  using Integers = std::vector<int64_t>;
  using Reals = std::vector<double>;

  AttributeValue() : value_(int64_t{0}) {}
  AttributeValue(bool flag) : value_(flag) {}  // NOLINT
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  AttributeValue(T integer) : value_(static_cast<int64_t>(integer)) {}      // NOLINT
  AttributeValue(double real) : value_(real) {}                             // NOLINT
  AttributeValue(const char* word) : value_(std::string(word)) {}           // NOLINT
  AttributeValue(std::string word) : value_(std::move(word)) {}             // NOLINT
  AttributeValue(Type type) : value_(type) {}                               // NOLINT
  AttributeValue(Integers integers) : value_(std::move(integers)) {}        // NOLINT
  AttributeValue(Reals reals) : value_(std::move(reals)) {}                 // NOLINT
  AttributeValue(Shape dims) : value_(std::move(dims)) {}                   // NOLINT
  AttributeValue(std::initializer_list<Dim> dims) : value_(Shape(dims)) {}  // NOLINT

  AttributeKind kind() const;
  int64_t integer() const { return std::get<int64_t>(value_); }
  double real() const { return std::get<double>(value_); }
  bool flag() const { return std::get<bool>(value_); }
  const std::string& word() const { return std::get<std::string>(value_); }
  Type type() const { return std::get<Type>(value_); }
  const Integers& integers() const { return std::get<Integers>(value_); }
  const Reals& reals() const { return std::get<Reals>(value_); }
  const Shape& dims() const { return std::get<Shape>(value_); }

  /// The same value as `kind` where nothing is lost: integer to real, integers to reals or dims,
  /// dims that are all numbers to integers, a word that names a type to that type. parse_error
  /// ("found ..., expected ...") otherwise.
  Result<AttributeValue> as(AttributeKind kind) const;

  /// Identical values; reals compare by their bits, so that NaN equals itself and -0 differs from
  /// 0.
  bool operator==(const AttributeValue& other) const;

 private:
  std::variant<bool, int64_t, double, std::string, Type, Integers, Reals, Shape,
               support::VariantGuard>
      value_;
};

/// As in .lir text; reals print the shortest text that reads back to the same bits.
std::string to_string(const AttributeValue& value);

struct NamedAttribute {
  std::string name;
  AttributeValue value;
  bool operator==(const NamedAttribute&) const = default;
};

/// A node's attributes. Complete nodes hold every attribute of their op, in the op's order, so the
/// typed readers below need no fallback: asking for an absent one is a bug and asserts.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<NamedAttribute> list) : list_(list) {}

  const AttributeValue* find(std::string_view name) const;
  /// Adds or replaces.
  void set(std::string name, AttributeValue value);

  int64_t integer(std::string_view name) const { return get(name).integer(); }
  double real(std::string_view name) const { return get(name).real(); }
  bool flag(std::string_view name) const { return get(name).flag(); }
  const std::string& word(std::string_view name) const { return get(name).word(); }
  Type type(std::string_view name) const { return get(name).type(); }
  const std::vector<int64_t>& integers(std::string_view name) const { return get(name).integers(); }
  const std::vector<double>& reals(std::string_view name) const { return get(name).reals(); }
  const Shape& dims(std::string_view name) const { return get(name).dims(); }

  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  size_t size() const { return list_.size(); }
  bool operator==(const Attributes&) const = default;

 private:
  const AttributeValue& get(std::string_view name) const;
  std::vector<NamedAttribute> list_;
};

}  // namespace lathe::ir::graph
