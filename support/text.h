// Text from elsewhere, on its way to a terminal.
#pragma once

#include <string>
#include <string_view>

namespace lathe::support {

/// Whether the text has no control characters, by which a terminal could be made to show something
/// else: bytes below 32, 127, and U+0080 to U+009F in UTF-8.
bool is_printable(std::string_view text);

/// The same text with each such character as \xNN.
std::string printable(std::string_view text);

}  // namespace lathe::support
