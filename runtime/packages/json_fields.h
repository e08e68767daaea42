// Fields of JSON objects by type, with errors that say where; records by their field lists.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "store/fields.h"
#include "support/error.h"
#include "support/strict_json.h"

namespace lathe::runtime::packages {

/// For reading. An ordered one looks through all keys of an object for each that it reads.
using Json = nlohmann::json;
/// For printing: fields as they were put in.
using PrintedJson = nlohmann::ordered_json;

/// An object's fields; the first problem is kept and named. Not thread-safe.
class Fields {
 public:
  /// `where`: the object, for errors: "x.lathe: kernel 3".
  Fields(const Json& object, std::string where) : where_(std::move(where)) {
    if (object.is_object()) {
      object_ = &object;
    } else {
      refuse(fmt::format("is a JSON {}, expected an object", object.type_name()));
    }
  }

  void read(const char* name, std::string& value) {
    if (const Json* found = find(name, "a text", &Json::is_string))
      value = found->get<std::string>();
  }
  void read(const char* name, bool& value) {
    if (const Json* found = find(name, "true or false", &Json::is_boolean))
      value = found->get<bool>();
  }
  void read(const char* name, double& value) {
    if (const Json* found = find(name, "a number", &Json::is_number)) value = found->get<double>();
    if (!std::isfinite(value)) refuse(fmt::format("has a {} that is not finite", name));
  }
  void read(const char* name, std::int64_t& value) {
    const Json* const found = find(name, "an integer", &Json::is_number_integer);
    if (found == nullptr) return;
    if (found->is_number_unsigned() && found->get<std::uint64_t>() > std::uint64_t{INT64_MAX})
      return refuse(fmt::format("has a {} that does not fit 64 bits", name));
    value = found->get<std::int64_t>();
  }
  void read(const char* name, int& value) {
    std::int64_t wide = value;
    read(name, wide);
    if (wide < INT32_MIN || wide > INT32_MAX)
      return refuse(fmt::format("has a {} that does not fit 32 bits", name));
    value = static_cast<int>(wide);
  }
  void read(const char* name, std::uint64_t& value) {
    std::int64_t wide = 0;
    read(name, wide);
    if (wide < 0) return refuse(fmt::format("has a negative {}", name));
    value = static_cast<std::uint64_t>(wide);
  }
  /// All fields of a record of the store, under the names of its columns.
  template <typename Record>
  void read_record(Record& record) {
    store::for_each_field(record, [&](const char* name, auto& value) { read(name, value); });
  }
  /// A list; nullptr where there is none, which is kept as a problem.
  const Json* list(const char* name) { return find(name, "a list", &Json::is_array); }
  const Json* object(const char* name) { return find(name, "an object", &Json::is_object); }

  void refuse(std::string_view what) {
    if (status_) status_ = fail(ErrorCode::parse_error, "{} {}", where_, what);
  }
  const Status& status() const { return status_; }

 private:
  const Json* find(const char* name, std::string_view expected, bool (Json::*is)() const noexcept) {
    if (object_ == nullptr) return nullptr;
    const auto found = object_->find(name);
    if (found == object_->end()) {
      refuse(fmt::format("has no {}, expected {}", name, expected));
      return nullptr;
    }
    if (!((*found).*is)()) {
      refuse(fmt::format("has a {} that is a JSON {}, expected {}", name, found->type_name(),
                         expected));
      return nullptr;
    }
    return &*found;
  }

  const Json* object_ = nullptr;
  std::string where_;
  Status status_;
};

/// A record's fields, added to an object under the names of its columns.
template <typename Record>
void add_fields(PrintedJson& object, const Record& record) {
  store::for_each_field(record, [&](const char* name, const auto& value) { object[name] = value; });
}

/// A document of a package: strict JSON, an object.
inline Result<Json> parse_document(std::string_view text, const support::JsonRules& rules,
                                   const std::string& origin) {
  LATHE_CHECK(support::check_json(text, rules, origin));
  Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return fail(ErrorCode::parse_error, "{} is a JSON {}, expected an object: {}", origin,
                document.type_name(), rules.expected);
  }
  return document;
}

}  // namespace lathe::runtime::packages
