// How a fuzz target says that a promise was broken, in every build type.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

namespace lathe::fuzz {

/// Ends the process, which is what both libFuzzer and a test run take for a failure.
inline void require(bool holds, std::string_view promise, std::string_view found) {
  if (!holds) {
    fmt::print(stderr, "broken promise: {}\nfound: {}\n", promise, found);
    std::abort();
  }
}

}  // namespace lathe::fuzz
