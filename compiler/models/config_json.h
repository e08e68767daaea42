// A config.json as JSON without doubts, and its fields read by type, with errors that name them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace lathe::compiler::models {

using Json = nlohmann::json;

/// Published files have 3 KiB and three levels; with lists of modules that are not quantised, 100
/// KiB.
inline constexpr int64_t kMaxConfigBytes = int64_t{4} << 20;
inline constexpr size_t kMaxConfigDepth = 32;

/// The file's object. parse_error, naming `origin`, for text that is no JSON (where, and why), that
/// is larger or nests deeper than the limits above, that is anything but an object, or that gives
/// one object the same key twice (readers differ in which they take).
Result<Json> parse_config_json(std::string_view text, const std::string& origin);

/// An object in which fields are looked for. Null: it has none.
struct ConfigScope {
  const Json* object = nullptr;
  std::string path;  ///< before a field's name in errors: "text_config."; "" for the file's object
};

/// Reads the fields of some objects that belong together; the first problem is kept and named. A
/// field that is missing or null leaves the caller's value, which is its default. A field has one
/// or several names; where two of these, or two of the objects, disagree about it, that is an
/// error. Not thread-safe.
class ConfigReader {
 public:
  using Names = std::initializer_list<const char*>;
  struct Field {
    const Json* value = nullptr;  ///< null: missing
    std::string path;             ///< "text_config.hidden_size"; of a missing field, its first name
    explicit operator bool() const { return value != nullptr; }
  };

  ConfigReader(std::string origin, std::vector<ConfigScope> scopes);

  /// Looks a field up; what is null is missing.
  Field find(Names names);
  /// Whether a field is there as null, and nowhere as a value.
  bool is_null(Names names);

  void integer(Names names, int64_t& value, int64_t low, int64_t high);
  /// A number above 0 and up to `high`.
  void number(Names names, double& value, double high);
  void flag(Names names, bool& value);
  /// A field that may say only what Lathe does anyway: unsupported for any value but these, with
  /// `advice` as what to do.
  void only(Names names, const std::vector<Json>& allowed, std::string_view advice);
  /// An object within the objects, one scope for each place where it stands.
  std::vector<ConfigScope> objects(Names names);

  /// "text_config.head_dim is 128", and where that is the default, that the file does not say.
  std::string describe(Names names, std::string_view value);

  /// Keeps an error about a field that was found: "<path> is <found>, expected <expected>;
  /// <advice>".
  void refuse(const Field& field, std::string_view expected, std::string_view advice,
              ErrorCode code = ErrorCode::invalid_argument);
  /// Keeps an error of these words.
  void refuse(std::string_view message, ErrorCode code = ErrorCode::invalid_argument);

  /// The first error, naming the file.
  const Status& status() const { return status_; }

 private:
  std::string origin_;
  std::vector<ConfigScope> scopes_;
  Status status_;
};

/// JSON for an error message: one line, ASCII, cut after 60 characters.
std::string abridged(const Json& value);

}  // namespace lathe::compiler::models
