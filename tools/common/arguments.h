// Values of command-line options: durations, lists of sizes, image sizes.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/error.h"

namespace lathe::tools {

/// "90", "90s", "1.5m", "2h"; more than 0. invalid_argument otherwise.
Result<std::chrono::duration<double>> parse_duration(const std::string& text);

/// "1,16,128": positive integers up to 2^40. invalid_argument naming `option`.
Result<std::vector<int64_t>> parse_sizes_list(const std::string& option, const std::string& text);

/// "448x448": width x height.
Result<std::pair<int64_t, int64_t>> parse_image(const std::string& text);

/// "350 ns", "12.3 µs", "4.56 ms", "1.2 s".
std::string format_ns(double ns);
/// "3m 20s", "45s".
std::string format_seconds(double seconds);

}  // namespace lathe::tools
