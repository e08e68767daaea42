// What both programs print: one JSON document or text on standard output, everything else on
// standard error, and the exit status that goes with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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
/// the right. The first row is the heading. Control characters are escaped: cells may come from
/// files.
std::string format_table(const std::vector<std::vector<std::string>>& cells);

/// The same within `columns` characters where these are not 0: of the columns named in `shrink`, in
/// this order, cells are cut with an ellipsis, and a column of which little would be left is left
/// out.
std::string fit_table(std::vector<std::vector<std::string>> rows, size_t columns,
                      const std::vector<size_t>& shrink);

/// The characters of a line of standard output where that is a terminal, at least 80; 0, for no
/// limit, where it is none, or after print_wide().
size_t output_columns();
void print_wide();

/// Text for a person, on standard error; whether it gets there changes nothing.
void print_note(std::string_view text);

/// Opens what of the standard descriptors is closed, so that no file of ours takes their place;
/// what is written to a closed standard output still fails. Before anything else.
void open_standard_descriptors();

/// To be called last: `status`, or where something of what was printed did not get through (a full
/// disk, a closed pipe) a message on standard error and the status of a failure.
int check_output(const std::string& program, int status);

/// Lets whole lines alone reach standard output, so that they stay whole beside those of standard
/// error in one file. Before anything is printed.
void print_whole_lines();

}  // namespace lathe::tools
