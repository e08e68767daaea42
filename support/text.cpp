// Control characters, byte by byte.
#include "support/text.h"

#include <fmt/format.h>

namespace lathe::support {
namespace {

// Bytes of the control character that `text` begins with; 0 where it begins with none.
size_t control_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  if (text.size() > 1 && byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) < 0xa0) return 2;
  return 0;
}

}  // namespace

bool is_printable(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i)
    if (control_length(text.substr(i)) > 0) return false;
  return true;
}

std::string printable(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const size_t control = control_length(text.substr(i));
    for (size_t k = 0; k < control; ++k)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i + k]));
    if (control == 0) result += text[i];
    i += control == 0 ? 1 : control;
  }
  return result;
}

}  // namespace lathe::support
