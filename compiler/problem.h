// A problem: what one kernel computes, as one canonical line that is its key everywhere.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/bucket.h"
#include "ir/types.h"
#include "support/error.h"
#include "support/variant_guard.h"

namespace lathe::compiler {

struct Family;

/// A parameter's value.
using Value =
    std::variant<int64_t, double, bool, std::string, ir::Type, Bucket, support::VariantGuard>;

/// One parameter of a family's problems; its default's alternative is its kind. Text parameters
/// with `choices` take only those.
struct ParameterSpec {
  std::string name;
  Value default_value;
  std::string meaning;
  bool required = false;                      ///< no default: the line must give it
  std::vector<std::string> choices{};         ///< of a text parameter or the names of types
  int64_t low = INT64_MIN, high = INT64_MAX;  ///< of an integer parameter
  /// The default is the value of this earlier parameter, unless that is a block-quantised type.
  std::string default_of{};
  bool fragment = false;  ///< a text parameter that holds a fragment (compiler/fragment.h)
};

/// `family key=value key=value …`: read in any order, printed in the family's order with defaults
/// left out. Holds every parameter, defaults included. A plain value; immutable by habit.
class Problem {
 public:
  const Family& family() const { return *family_; }

  int64_t integer(std::string_view name) const { return get<int64_t>(name); }
  double number(std::string_view name) const { return get<double>(name); }
  bool flag(std::string_view name) const { return get<bool>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  ir::Type type(std::string_view name) const { return get<ir::Type>(name); }
  const Bucket& bucket(std::string_view name) const { return get<Bucket>(name); }
  const Value& value(std::string_view name) const { return values_.find(name)->second; }
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }

  /// The canonical line.
  const std::string& line() const { return line_; }
  bool operator==(const Problem& other) const { return line_ == other.line_; }

 private:
  friend class ProblemBuilder;
  template <typename T>
  const T& get(std::string_view name) const;  ///< asserts that the family has it, of that kind

  const Family* family_ = nullptr;
  std::map<std::string, Value, std::less<>> values_;
  std::string line_;
};

/// Fills in a problem parameter by parameter; build() checks it against the family's specification
/// and its own validate().
class ProblemBuilder {
 public:
  explicit ProblemBuilder(const Family& family);
  ProblemBuilder& set(std::string_view name, Value value);
  /// Reads one `key=value`; keeps the first error for build().
  ProblemBuilder& set_text(std::string_view name, std::string_view text);
  /// invalid_argument or not_found naming parameter, found and expected.
  Result<Problem> build();

 private:
  const Family* family_;
  std::map<std::string, Value, std::less<>> values_;
  Status status_;
};

/// not_found for an unknown family (naming the nearest), invalid_argument for a bad parameter.
/// Needs the catalogue: defined beside it, in compiler/kernels.
Result<Problem> parse_problem(std::string_view line);

/// Run-time sizes by dimension name, e.g. {rows: 512}; `--at rows=512,positions=4096`.
using Sizes = std::map<std::string, int64_t, std::less<>>;
Result<Sizes> parse_sizes(std::string_view text);
std::string print(const Sizes& sizes);

template <typename T>
const T& Problem::get(std::string_view name) const {
  return std::get<T>(values_.find(name)->second);
}

}  // namespace lathe::compiler
