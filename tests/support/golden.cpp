// Compares with golden files, and rewrites them when asked.
#include "tests/support/golden.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace lathe::tests {
namespace {

bool update_asked() {
  const char* value = std::getenv("LATHE_UPDATE_GOLDENS");
  return value != nullptr && std::string_view(value) == "1";
}

// The file's bytes, or nothing.
std::optional<std::string> read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string first_difference(std::string_view expected, std::string_view actual) {
  std::istringstream left{std::string(expected)}, right{std::string(actual)};
  for (int line = 1;; ++line) {
    std::string a, b;
    const bool more_left = static_cast<bool>(std::getline(left, a));
    const bool more_right = static_cast<bool>(std::getline(right, b));
    if (!more_left && !more_right) return "they differ in the last line's end";
    if (a != b || more_left != more_right)
      return "line " + std::to_string(line) + "\n  golden: " + (more_left ? a : "(end)") +
             "\n  found:  " + (more_right ? b : "(end)");
  }
}

// Compares the whole of a file.
testing::AssertionResult compare(const std::filesystem::path& file, std::string_view text) {
  const std::optional<std::string> golden = read(file);
  if (golden == text) return testing::AssertionSuccess();
  if (update_asked()) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return testing::AssertionFailure() << "rewrote " << file.string() << "; run again without "
                                       << "LATHE_UPDATE_GOLDENS";
  }
  if (!golden)
    return testing::AssertionFailure()
           << file.string() << " does not exist; LATHE_UPDATE_GOLDENS=1 writes it:\n"
           << text;
  return testing::AssertionFailure()
         << file.string() << " differs in " << first_difference(*golden, text)
         << "\nLATHE_UPDATE_GOLDENS=1 rewrites it. The whole text found:\n"
         << text;
}

// Where the lines that begin with '|' end, from `begin` on.
size_t end_of_table(std::string_view text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && text[end] == '|') {
    const size_t line_end = text.find('\n', end);
    end = line_end == std::string_view::npos ? text.size() : line_end + 1;
  }
  return end;
}

const std::filesystem::path& repository() {
  static const std::filesystem::path root = std::filesystem::path(LATHE_GOLDEN_DIR) / "../..";
  return root;
}

}  // namespace

testing::AssertionResult matches_golden(std::string_view path, std::string_view text) {
  return compare(std::filesystem::path(LATHE_GOLDEN_DIR) / path, text);
}

testing::AssertionResult document_has_table(std::string_view path, std::string_view table) {
  const std::string document = read_source(path);
  const std::string_view first_line = table.substr(0, table.find('\n') + 1);
  const size_t begin = document.find(first_line);
  if (begin == std::string::npos) {
    return testing::AssertionFailure()
           << path << " has no table that begins with " << first_line << "put it there:\n"
           << table;
  }
  const size_t end = end_of_table(document, begin);
  return compare(repository() / path,
                 document.substr(0, begin) + std::string(table) + document.substr(end));
}

testing::AssertionResult document_is(std::string_view path, std::string_view text) {
  return compare(repository() / path, text);
}

std::string read_source(std::string_view path) { return read(repository() / path).value_or(""); }

}  // namespace lathe::tests
