// Strict JSON in two passes (rules first, then the document), and typed fields.
#include "compiler/models/config_json.h"

#include <algorithm>

#include "support/strict_json.h"

namespace lathe::compiler::models {
namespace {

// Null where the scope has no such field.
const Json* entry(const ConfigScope& scope, const char* name) {
  if (scope.object == nullptr || !scope.object->is_object()) return nullptr;
  const auto found = scope.object->find(name);
  return found == scope.object->end() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_config_json(std::string_view text, const std::string& origin) {
  const support::JsonRules rules{static_cast<size_t>(kMaxConfigBytes), kMaxConfigDepth,
                                 "a Hugging Face config.json"};
  LATHE_CHECK(support::check_json(text, rules, origin));
  Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return fail(ErrorCode::parse_error, "{} is a JSON {}, expected an object: {}", origin,
                document.type_name(), rules.expected);
  }
  return document;
}

std::string abridged(const Json& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

ConfigReader::ConfigReader(std::string origin, std::vector<ConfigScope> scopes)
    : origin_(std::move(origin)), scopes_(std::move(scopes)) {}

ConfigReader::Field ConfigReader::find(Names names) {
  Field first{nullptr, (scopes_.empty() ? "" : scopes_.front().path) + *names.begin()};
  for (const ConfigScope& scope : scopes_) {
    for (const char* name : names) {
      const Json* found = entry(scope, name);
      if (found == nullptr || found->is_null()) continue;
      if (!first) {
        first = {found, scope.path + name};
      } else if (*first.value != *found) {
        refuse(fmt::format("{} is {}, but {}{} is {}; expected them to agree: remove one",
                           first.path, abridged(*first.value), scope.path, name, abridged(*found)));
      }
    }
  }
  return first;
}

bool ConfigReader::is_null(Names names) {
  if (find(names)) return false;
  return std::any_of(scopes_.begin(), scopes_.end(), [&](const ConfigScope& scope) {
    return std::any_of(names.begin(), names.end(),
                       [&](const char* name) { return entry(scope, name) != nullptr; });
  });
}

void ConfigReader::integer(Names names, int64_t& value, int64_t low, int64_t high) {
  const Field field = find(names);
  if (!field) return;
  // Whatever does not fit 64 bits with a sign is out of any range.
  const bool fits =
      field.value->is_number_integer() &&
      (!field.value->is_number_unsigned() || field.value->get<uint64_t>() <= uint64_t{INT64_MAX});
  const int64_t found = fits ? field.value->get<int64_t>() : 0;
  if (!fits || found < low || found > high) {
    return refuse(field, fmt::format("an integer in {}..{}", low, high),
                  fmt::format("correct it, or leave it out for the default {}", value));
  }
  value = found;
}

void ConfigReader::number(Names names, double& value, double high) {
  const Field field = find(names);
  if (!field) return;
  const double found = field.value->is_number() ? field.value->get<double>() : 0;
  if (!(found > 0) || found > high) {
    return refuse(field, fmt::format("a positive number up to {}", high),
                  fmt::format("correct it, or leave it out for the default {}", value));
  }
  value = found;
}

void ConfigReader::flag(Names names, bool& value) {
  const Field field = find(names);
  if (!field) return;
  if (!field.value->is_boolean()) {
    return refuse(field, "true or false",
                  fmt::format("correct it, or leave it out for the default {}", value));
  }
  value = field.value->get<bool>();
}

void ConfigReader::only(Names names, const std::vector<Json>& allowed, std::string_view advice) {
  const Field field = find(names);
  if (!field) return;
  // As text: 3.0 is no integer, and true no number.
  const std::string found = field.value->dump();
  std::vector<std::string> texts;
  for (const Json& value : allowed) texts.push_back(value.dump());
  if (std::find(texts.begin(), texts.end(), found) != texts.end()) return;
  refuse(field, fmt::format("{}", fmt::join(texts, " or ")), advice, ErrorCode::unsupported);
}

std::vector<ConfigScope> ConfigReader::objects(Names names) {
  std::vector<ConfigScope> found;
  for (const ConfigScope& scope : scopes_) {
    for (const char* name : names) {
      const Json* object = entry(scope, name);
      if (object == nullptr || object->is_null()) continue;
      if (!object->is_object())
        refuse({object, scope.path + name}, "an object", "correct it, or leave it out");
      found.push_back({object, scope.path + name + "."});
    }
  }
  return found;
}

std::string ConfigReader::describe(Names names, std::string_view value) {
  const Field field = find(names);
  return fmt::format("{} is {}{}", field.path, value,
                     field ? "" : " (the default, as the file does not say)");
}

void ConfigReader::refuse(const Field& field, std::string_view expected, std::string_view advice,
                          ErrorCode code) {
  refuse(fmt::format("{} is {}, expected {}; {}", field.path, abridged(*field.value), expected,
                     advice),
         code);
}

void ConfigReader::refuse(std::string_view message, ErrorCode code) {
  if (status_) status_ = fail(code, "{}: {}", origin_, message);
}

}  // namespace lathe::compiler::models
