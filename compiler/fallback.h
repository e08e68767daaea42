// What to take where a family's default cannot be built: the nearest point of its space that can.
#pragma once

#include <functional>
#include <vector>

#include "compiler/search_space.h"

namespace lathe::compiler {

/// Every point of the space, by the number of knobs that differ from the default (itself first, if
/// it is a point), then by how many values they were moved along in all.
std::vector<Schedule> points_by_nearness(const SearchSpace& space);

/// Points that nearest_accepted() tries at most.
inline constexpr size_t kFallbackPoints = 256;

/// The default or, where `accept` answers `rejected` (a target with too few registers), the nearest
/// point that it accepts. Errors: any other answer at once; the default's own rejection where no
/// point within kFallbackPoints is accepted.
Result<Schedule> nearest_accepted(const SearchSpace& space,
                                  const std::function<Status(const Schedule&)>& accept);

}  // namespace lathe::compiler
