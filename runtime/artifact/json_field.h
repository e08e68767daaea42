// Reading JSON that anybody may have written: each value by its path, type and bounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace lathe::runtime {

/// A value within a document, which must outlive it. Errors are parse_error and name the path, what
/// was found and what was expected.
class JsonField {
 public:
  explicit JsonField(const nlohmann::ordered_json& value, std::string path = "header")
      : value_(&value), path_(std::move(path)) {}

  /// A member of an object.
  Result<JsonField> operator[](std::string_view key) const;
  /// The elements of an array of at most `most`.
  Result<std::vector<JsonField>> list(size_t most) const;
  /// Of at most `most` bytes.
  Result<std::string> text(size_t most) const;
  Result<int64_t> integer(int64_t low, int64_t high) const;
  Result<bool> flag() const;
  bool is_text() const { return value_->is_string(); }

  /// An error at this place.
  tl::unexpected<Error> wrong(std::string_view message,
                              ErrorCode code = ErrorCode::parse_error) const;
  /// `error` with this place before its message.
  tl::unexpected<Error> within(Error error) const { return fail_with_context(where(), error); }

 private:
  std::string where() const { return "artifact: " + path_; }
  tl::unexpected<Error> expected(std::string_view what) const;

  const nlohmann::ordered_json* value_;
  std::string path_;
};

}  // namespace lathe::runtime
