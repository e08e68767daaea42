// Instruction bounds: how many cycles a vector a listing needs at least on a CPU's vector ports.
//
// A listing is AVX2 assembly, one instruction a line, `mnemonic operands ; class`, the work on one
// vector of eight lanes. `#` starts a comment line. `loop NAME` starts a part that runs for itself
// (softmax has three passes); bounds of parts add up. Classes: fma mul add minmax shift ialu lookup
// div use the vector ports; load, store and move (renamed, not executed) do not.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace lathe::bench {

struct ListingPart {
  std::string name;
  std::vector<std::string> classes;  ///< of its instructions, in order
};

/// parse_error naming the line for an instruction without a class or with an unknown one.
Result<std::vector<ListingPart>> parse_listing(std::string_view text);

/// Cycles a vector of all parts together on `microarchitecture` (support::Hardware's names): the
/// largest, over all sets of ports, of the uops that can go nowhere else divided by the set's size,
/// or the divider's occupation where that is more. not_found for a machine that is not in the
/// table.
Result<double> bound_cycles(std::span<const ListingPart> parts, std::string_view microarchitecture);

/// The same for a file. io_error where it cannot be read.
Result<double> listing_cycles(const std::string& path, std::string_view microarchitecture);

/// The machines of the table, by name.
std::vector<std::string_view> known_microarchitectures();

}  // namespace lathe::bench
