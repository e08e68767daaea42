// Records: their names, differences, identities and checksums.
#include "store/records.h"

#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "store/fields.h"
#include "support/hash.h"

namespace lathe::store {
namespace {

constexpr std::array<std::string_view, 5> kStates = {"timed", "failed_check", "rejected", "failed",
                                                     "abandoned"};

void append_number(std::string& bytes, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(value >> shift & 0xff);
}

/// Appends a field so that no two records give the same bytes: lengths before text, little endian.
struct Canonical {
  std::string bytes;
  void operator()(const char*, const std::string& text) {
    append_number(bytes, text.size());
    bytes += text;
  }
  void operator()(const char*, double value) {
    append_number(bytes, std::bit_cast<std::uint64_t>(value + 0.0));  // -0 and 0 are one value
  }
  void operator()(const char*, std::int64_t value) {
    append_number(bytes, static_cast<std::uint64_t>(value));
  }
  void operator()(const char* name, int value) { (*this)(name, std::int64_t{value}); }
  void operator()(const char* name, bool value) { (*this)(name, std::int64_t{value}); }
  void operator()(const char* name, TrialState value) {
    (*this)(name, std::int64_t{static_cast<int>(value)});
  }
  void operator()(const char*, const std::vector<float>& values) {
    append_number(bytes, values.size());
    for (const float value : values) append_number(bytes, std::bit_cast<std::uint32_t>(value));
  }
};

std::string shown(const std::string& text) { return text.empty() ? "(none)" : text; }
std::string shown(int value) { return std::to_string(value); }
std::string shown(bool value) { return value ? "yes" : "no"; }

}  // namespace

std::string differences(const Key& found, const Key& wanted) {
  std::vector<std::string> of_found;
  for_each_field(found, [&](const char*, const auto& value) { of_found.push_back(shown(value)); });
  std::string text;
  std::size_t index = 0;
  for_each_field(wanted, [&](const char* name, const auto& value) {
    const std::string& other = of_found[index++];
    if (other == shown(value)) return;
    std::string words = name;
    for (char& c : words) {
      if (c == '_') c = ' ';
    }
    text += fmt::format("{}{} {} ≠ {}", text.empty() ? "" : ", ", words, other, shown(value));
  });
  return text;
}

int count_differences(const Key& a, const Key& b) {
  std::vector<std::string> of_a;
  for_each_field(a, [&](const char*, const auto& value) { of_a.push_back(shown(value)); });
  int count = 0;
  std::size_t index = 0;
  for_each_field(
      b, [&](const char*, const auto& value) { count += of_a[index++] == shown(value) ? 0 : 1; });
  return count;
}

std::string host_id(std::string_view device, std::string_view identity) {
  Canonical canonical;
  canonical("", std::string(device));
  canonical("", std::string(identity));
  return fmt::format("{:016x}", support::hash64(canonical.bytes));
}

std::string_view to_string(TrialState state) {
  const auto index = static_cast<std::size_t>(state);
  return index < kStates.size() ? kStates[index] : "unknown";
}

std::optional<TrialState> parse_trial_state(std::string_view text) {
  for (std::size_t index = 0; index < kStates.size(); ++index) {
    if (text == kStates[index]) return static_cast<TrialState>(index);
  }
  return std::nullopt;
}

template <typename Record>
std::int64_t checksum(const Key& key, const Record& record) {
  Canonical canonical;
  for_each_field(key, canonical);
  for_each_field(record, canonical);
  return static_cast<std::int64_t>(support::hash64(canonical.bytes));
}
template std::int64_t checksum<Trial>(const Key&, const Trial&);
template std::int64_t checksum<Winner>(const Key&, const Winner&);

}  // namespace lathe::store
