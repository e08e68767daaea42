// Errors, JSON and tables.
#include "tools/common/output.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/text.h"

namespace lathe::tools {
namespace {

// Width in characters of UTF-8 text.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

constexpr size_t kLeastColumns = 80;
constexpr size_t kLeastCell = 12;  ///< of a column that is cut; less tells nothing
bool wide = false;

std::string cut(const std::string& text, size_t most) {
  if (width(text) <= most) return text;
  std::string part;
  size_t characters = 0;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins && ++characters == most) break;
    part += c;
  }
  return part + "\u2026";
}

std::vector<size_t> widths_of(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width(row[c]));
  }
  return widths;
}

}  // namespace

size_t output_columns() {
  if (wide || ::isatty(STDOUT_FILENO) != 1) return 0;
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kLeastColumns;
  return std::max<size_t>(size.ws_col, kLeastColumns);
}

void print_wide() { wide = true; }

void print_whole_lines() { (void)std::setvbuf(stdout, nullptr, _IOLBF, size_t{1} << 16); }

std::string fit_table(std::vector<std::vector<std::string>> rows, size_t columns,
                      const std::vector<size_t>& shrink) {
  std::vector<size_t> left_out;
  for (const size_t column : shrink) {
    if (columns == 0) break;
    const std::vector<size_t> widths = widths_of(rows);
    size_t all = 0, shown = 0;
    for (size_t c = 0; c < widths.size(); ++c) {
      const bool gone = std::find(left_out.begin(), left_out.end(), c) != left_out.end();
      all += gone ? 0 : widths[c];
      shown += gone ? 0 : 1;
    }
    all += 2 * (shown - 1);
    if (all <= columns || column >= widths.size()) continue;
    const size_t excess = all - columns;
    if (widths[column] < excess + kLeastCell) {
      left_out.push_back(column);
      continue;
    }
    for (auto& row : rows)
      if (column < row.size()) row[column] = cut(row[column], widths[column] - excess);
  }
  std::sort(left_out.rbegin(), left_out.rend());
  for (auto& row : rows)
    for (const size_t column : left_out)
      if (column < row.size()) row.erase(row.begin() + static_cast<ptrdiff_t>(column));
  return format_table(rows);
}

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
    print_note(fmt::format("{}: {}\n", program, error.message));
  }
  return exit_status(error);
}

void print_note(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void open_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest that is free is this one.
    (void)::open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY);
  }
}

int check_output(const std::string& program, int status) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  print_note(fmt::format("{}: standard output: not all could be written{}{}\n", program,
                         errno != 0 ? ": " : "", errno != 0 ? std::strerror(errno) : ""));
  return status == kSuccess ? kMisuse : status;
}

void print_json(const nlohmann::json& document) {
  const std::string text =
      document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::string format_table(const std::vector<std::vector<std::string>>& cells) {
  std::vector<std::vector<std::string>> rows = cells;
  for (auto& row : rows)
    for (std::string& cell : row)
      if (!support::is_printable(cell)) cell = support::printable(cell);
  const std::vector<size_t> widths = widths_of(rows);
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
