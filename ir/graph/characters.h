// The characters of names in graph text, whatever the locale.
#pragma once

namespace lathe::ir::graph {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
inline bool is_name_character(char c) { return is_letter(c) || is_digit(c) || c == '.'; }

}  // namespace lathe::ir::graph
