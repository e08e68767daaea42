// Errors, JSON and tables.
#include "tools/common/output.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <vector>

namespace lathe::tools {
namespace {

// Width in characters of UTF-8 text.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

int exit_status(const Error& error) {
  switch (error.code) {
    case ErrorCode::mismatch: return kMismatch;
    case ErrorCode::interrupted: return kInterrupted;
    default: return kMisuse;
  }
}

int report_error(const std::string& program, const Error& error, bool json) {
  if (json) {
    print_json({{"error", {{"code", to_string(error.code)}, {"message", error.message}}}});
  } else {
    fmt::print(stderr, "{}: {}\n", program, error.message);
  }
  return exit_status(error);
}

void print_json(const nlohmann::json& document) {
  const std::string text =
      document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - width(row[c]), ' ');
      const bool number =
          !row[c].empty() && std::isdigit(static_cast<unsigned char>(row[c][0])) != 0;
      line += c == 0 ? "" : "  ";
      line += number ? padding + row[c] : row[c] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace lathe::tools
