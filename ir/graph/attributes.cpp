// Conversion, comparison and printing of attribute values.
#include "ir/graph/attributes.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace lathe::ir::graph {
namespace {

bool same_real(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

std::string print_real(double value) {
  return std::isnan(value) ? "nan" : fmt::format("{}", value);
}

template <typename T, typename Print>
std::string join(const std::vector<T>& list, Print print) {
  std::string text = "[";
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) text += ", ";
    text += print(list[i]);
  }
  return text + "]";
}

// Whether a double holds the integer without loss.
bool is_exact(int64_t value) {
  constexpr int64_t kLimit = int64_t{1} << 62;  // the cast back stays in range
  return value >= -kLimit && value <= kLimit &&
         static_cast<int64_t>(static_cast<double>(value)) == value;
}

}  // namespace

std::string_view to_string(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::integer: return "integer";
    case AttributeKind::real: return "real";
    case AttributeKind::flag: return "true or false";
    case AttributeKind::word: return "word";
    case AttributeKind::type: return "type";
    case AttributeKind::integers: return "list of integers";
    case AttributeKind::reals: return "list of reals";
    case AttributeKind::dims: return "list of dimensions";
  }
  return "unknown";
}

AttributeKind AttributeValue::kind() const {
  constexpr AttributeKind kKinds[] = {
      AttributeKind::flag, AttributeKind::integer,  AttributeKind::real,  AttributeKind::word,
      AttributeKind::type, AttributeKind::integers, AttributeKind::reals, AttributeKind::dims};
  return kKinds[value_.index()];
}

Result<AttributeValue> AttributeValue::as(AttributeKind wanted) const {
  const AttributeKind found = kind();
  if (found == wanted) return *this;
  if (wanted == AttributeKind::real && found == AttributeKind::integer && is_exact(integer())) {
    return AttributeValue(static_cast<double>(integer()));
  }
  if (wanted == AttributeKind::type && found == AttributeKind::word) {
    if (auto type = parse_type(word())) return AttributeValue(*type);
  }
  if (found == AttributeKind::dims &&
      (wanted == AttributeKind::integers || wanted == AttributeKind::reals) &&
      std::all_of(dims().begin(), dims().end(), [](const Dim& d) { return d.is_number(); })) {
    Integers list;
    for (const Dim& dim : dims()) list.push_back(dim.number());
    return AttributeValue(std::move(list)).as(wanted);
  }
  if (found == AttributeKind::integers && wanted == AttributeKind::dims) {
    return AttributeValue(Shape(integers().begin(), integers().end()));
  }
  if (found == AttributeKind::integers && wanted == AttributeKind::reals &&
      std::all_of(integers().begin(), integers().end(), is_exact)) {
    return AttributeValue(Reals(integers().begin(), integers().end()));
  }
  return fail(ErrorCode::parse_error, "found {} '{}', expected {}", to_string(found),
              to_string(*this), to_string(wanted));
}

bool AttributeValue::operator==(const AttributeValue& other) const {
  if (kind() != other.kind()) return false;
  if (kind() == AttributeKind::real) return same_real(real(), other.real());
  if (kind() == AttributeKind::reals) {
    return std::equal(reals().begin(), reals().end(), other.reals().begin(), other.reals().end(),
                      same_real);
  }
  return value_ == other.value_;
}

std::string to_string(const AttributeValue& value) {
  const auto print = [](const auto& item) { return fmt::format("{}", item); };
  switch (value.kind()) {
    case AttributeKind::integer: return print(value.integer());
    case AttributeKind::real: return print_real(value.real());
    case AttributeKind::flag: return value.flag() ? "true" : "false";
    case AttributeKind::word: return value.word();
    case AttributeKind::type: return std::string(name(value.type()));
    case AttributeKind::integers: return join(value.integers(), print);
    case AttributeKind::reals: return join(value.reals(), print_real);
    case AttributeKind::dims: return to_string(std::span<const Dim>(value.dims()));
  }
  return {};
}

const AttributeValue* Attributes::find(std::string_view name) const {
  for (const NamedAttribute& attribute : list_) {
    if (attribute.name == name) return &attribute.value;
  }
  return nullptr;
}

void Attributes::set(std::string name, AttributeValue value) {
  for (NamedAttribute& attribute : list_) {
    if (attribute.name == name) {
      attribute.value = std::move(value);
      return;
    }
  }
  list_.push_back({std::move(name), std::move(value)});
}

const AttributeValue& Attributes::get(std::string_view name) const {
  const AttributeValue* value = find(name);
  assert(value != nullptr && "an attribute that the op does not declare");
  return *value;
}

}  // namespace lathe::ir::graph
