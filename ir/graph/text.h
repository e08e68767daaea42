// The text form of graphs (.lir): parser and printer, inverse to each other.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph/graph.h"
#include "support/error.h"

namespace lathe::ir::graph {

/// Parses, infers and verifies one graph. parse_error or verify_error whose message starts with
/// "line:column: " and ends with the source line and a caret under the place. Text of any content
/// is safe: nesting is bounded by the grammar, sizes by kMaxText, kMaxRank and kMaxDim.
Result<Graph> parse(std::string_view text);

/// Larger texts are refused (bytes).
inline constexpr size_t kMaxText = size_t{16} << 20;

enum class PrintTypes { no, yes };

/// Text that parses to the same graph; attributes that have their default are left out. With types,
/// each statement ends with the types of its results.
std::string print(const Graph& graph, PrintTypes types = PrintTypes::no);

}  // namespace lathe::ir::graph
