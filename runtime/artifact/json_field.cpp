// Checked access to JSON values.
#include "runtime/artifact/json_field.h"

#include <limits>

namespace lathe::runtime {

tl::unexpected<Error> JsonField::wrong(std::string_view message, ErrorCode code) const {
  return fail(code, "{}: {}", where(), message);
}

tl::unexpected<Error> JsonField::expected(std::string_view what) const {
  using Json = nlohmann::ordered_json;
  constexpr size_t kMostShown = 60;
  std::string found = value_->type_name();
  if (value_->is_primitive()) found = value_->dump(-1, ' ', true, Json::error_handler_t::replace);
  if (found.size() > kMostShown) found = found.substr(0, kMostShown) + "...";
  return wrong(fmt::format("found {}, expected {}", found, what));
}

Result<JsonField> JsonField::operator[](std::string_view key) const {
  if (!value_->is_object()) return expected("an object");
  const auto found = value_->find(std::string(key));
  if (found == value_->end()) return wrong(fmt::format("found no '{}'", key));
  return JsonField(*found, fmt::format("{}.{}", path_, key));
}

Result<std::vector<JsonField>> JsonField::list(size_t most) const {
  if (!value_->is_array()) return expected("a list");
  if (value_->size() > most)
    return wrong(fmt::format("found {} entries, expected at most {}", value_->size(), most));
  std::vector<JsonField> fields;
  for (size_t i = 0; i < value_->size(); ++i)
    fields.emplace_back((*value_)[i], fmt::format("{}[{}]", path_, i));
  return fields;
}

Result<std::string> JsonField::text(size_t most) const {
  if (!value_->is_string()) return expected("a text");
  auto text = value_->get<std::string>();
  if (text.size() > most)
    return wrong(fmt::format("found {} bytes, expected at most {}", text.size(), most));
  return text;
}

Result<int64_t> JsonField::integer(int64_t low, int64_t high) const {
  const std::string range = fmt::format("a number in {} .. {}", low, high);
  if (!value_->is_number_integer()) return expected(range);
  if (value_->is_number_unsigned() &&
      value_->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return expected(range);
  const auto number = value_->get<int64_t>();
  if (number < low || number > high) return expected(range);
  return number;
}

Result<bool> JsonField::flag() const {
  if (!value_->is_boolean()) return expected("true or false");
  return value_->get<bool>();
}

}  // namespace lathe::runtime
