// The code generator's version: part of every stored record's identity.
#pragma once

#include <string_view>

namespace lathe::compiler {

/// Raised whenever the same problem and schedule may become different machine code: a new
/// instruction selection, register allocation or legalisation. Records of another version are
/// misses.
inline constexpr std::string_view kVersion = "5";

}  // namespace lathe::compiler
