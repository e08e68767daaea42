// When each register holds a value that is still needed.
#pragma once

#include <vector>

#include "codegen/x86/flat_program.h"

namespace lathe::codegen::x86 {

/// Positions: item i reads its sources at 2i and writes its result at 2i + 1; both ends inclusive.
struct Segment {
  int begin = 0, end = 0;
};

/// By register key: the segments in which it is live, ascending and apart; none where it is unused.
/// A value that is live around a loop's back edge is live in the whole loop.
std::vector<std::vector<Segment>> live_segments(const FlatProgram& flat);

}  // namespace lathe::codegen::x86
