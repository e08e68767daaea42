// One pass over the text that keeps nothing but the keys of the objects that are open.
#include "support/strict_json.h"

#include <algorithm>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

namespace lathe::support {
namespace {

using Json = nlohmann::json;

/// A key for an error message: one line, ASCII, cut after 60 characters.
std::string quoted_key(const std::string& key) {
  std::string text = Json(key).dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

/// Accepts a text whose document can be built and read without doubt; keeps why not.
class Checker : public nlohmann::json_sax<Json> {
 public:
  explicit Checker(const JsonRules& rules) : rules_(rules) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    why_ = fmt::format("gives {} twice in one object; expected every key once: remove one",
                       quoted_key(name));
    return false;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line …; last read: '…'": the part about the
    // place and the reason. What was read last may be anything.
    std::string what = error.what();
    what.erase(0, what.find("] ") + 2);
    what.erase(std::min(what.find("; last read"), what.size()));
    why_ = fmt::format("is not JSON: {}; expected {}", what.substr(0, 200), rules_.expected);
    return false;
  }

  const std::string& why() const { return why_; }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() <= rules_.most_depth) return true;
    why_ =
        fmt::format("nests deeper than {} levels; expected {}", rules_.most_depth, rules_.expected);
    return false;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }

  const JsonRules& rules_;
  std::vector<std::set<std::string>> keys_;  // of each open object; none of a list
  std::string why_;
};

}  // namespace

Status check_json(std::string_view text, const JsonRules& rules, const std::string& origin) {
  if (text.size() > rules.most_bytes) {
    return fail(ErrorCode::parse_error, "{} has {} bytes, expected at most {}: {}", origin,
                text.size(), rules.most_bytes, rules.expected);
  }
  Checker checker(rules);
  if (!Json::sax_parse(text, &checker))
    return fail(ErrorCode::parse_error, "{} {}", origin, checker.why());
  return {};
}

}  // namespace lathe::support
