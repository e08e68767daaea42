// JSON from elsewhere, before a document is made of it: text that every reader understands alike.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::support {

struct JsonRules {
  std::size_t most_bytes = 0;
  std::size_t most_depth = 0;  ///< of objects and lists within each other
  std::string_view expected;   ///< what the text should be, for errors: "a package's manifest"
};

/// parse_error, naming `origin`, for text that is no JSON (where, and why), that is larger or nests
/// deeper than the rules allow, or that gives one object the same key twice (readers differ in
/// which they take). Builds no document.
Status check_json(std::string_view text, const JsonRules& rules, const std::string& origin);

}  // namespace lathe::support
