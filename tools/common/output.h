// What both programs print: one JSON document or text on standard output, everything else on
// standard error, and the exit status that goes with it.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace lathe::tools {

/// Exit statuses of both programs.
enum Exit : int {
  kSuccess = 0,
  kMismatch = 1,  ///< a result or a signature that does not match
  kMisuse = 2,    ///< wrong command line, and every bad input
  kInterrupted = 130,
};

int exit_status(const Error& error);

/// Reports a failure: with json `{"error": {"code", "message"}}` on standard output, else
/// "PROGRAM: message" on standard error. Returns the exit status.
int report_error(const std::string& program, const Error& error, bool json);

/// One document, indented, with a final newline.
void print_json(const nlohmann::json& document);

/// A text table: columns as wide as their widest cell, numbers (cells that start with a digit) to
/// the right. The first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace lathe::tools
