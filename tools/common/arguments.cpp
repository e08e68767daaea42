// Parsing and printing of option values.
#include "tools/common/arguments.h"

#include <charconv>
#include <cmath>

namespace lathe::tools {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 40;

bool read(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 1 &&
         value <= kMaxSize;
}

}  // namespace

Result<std::chrono::duration<double>> parse_duration(const std::string& text) {
  double value = 0, unit = 1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  bool good = error == std::errc() && std::isfinite(value) && value > 0;
  if (suffix == "m")
    unit = 60;
  else if (suffix == "h")
    unit = 3600;
  else if (!suffix.empty() && suffix != "s")
    good = false;
  if (!good || value * unit > 1e7)
    return fail(ErrorCode::invalid_argument,
                "found duration '{}', expected one such as 60s, 5m or 2h", text);
  return std::chrono::duration<double>(value * unit);
}

Result<std::vector<int64_t>> parse_sizes_list(const std::string& option, const std::string& text) {
  std::vector<int64_t> values;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    int64_t value = 0;
    if (!read(std::string_view(text).substr(begin, comma - begin), value)) {
      return fail(ErrorCode::invalid_argument,
                  "{}: found '{}', expected positive integers such as 1,16,512", option, text);
    }
    values.push_back(value);
    begin = comma + 1;
  }
  return values;
}

Result<std::pair<int64_t, int64_t>> parse_image(const std::string& text) {
  const size_t cross = text.find('x');
  int64_t width = 0, height = 0;
  if (cross == std::string::npos || !read(std::string_view(text).substr(0, cross), width) ||
      !read(std::string_view(text).substr(cross + 1), height)) {
    return fail(ErrorCode::invalid_argument,
                "--image: found '{}', expected WIDTHxHEIGHT such as 448x448", text);
  }
  return std::pair{width, height};
}

std::string format_ns(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f} ns", ns);
  if (ns < 1e6) return fmt::format("{:.2f} µs", ns * 1e-3);
  if (ns < 1e9) return fmt::format("{:.2f} ms", ns * 1e-6);
  return fmt::format("{:.2f} s", ns * 1e-9);
}

std::string format_seconds(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}h {:02}m", whole / 3600, whole % 3600 / 60);
}

}  // namespace lathe::tools
