// What to change about a schedule that is refused, for the message that refuses it.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "compiler/search_space.h"

namespace lathe::compiler {

/// Schedules that remedy() asks for at most: beyond all pairs of any family's knobs.
inline constexpr size_t kRemedyTries = 10000;

/// An advice for a schedule with the space's knobs that `accepts` refuses. First the knobs of which
/// any one set to another value is accepted: "set unroll=2 or 4, or division=exact". Where these
/// are all in `wanted`, the fewest others (two or three) that let them stay: "set passes=three, or
/// hold=reread and ahead=off". Empty where there is nothing of the kind, or not among `tries`.
std::string remedy(const SearchSpace& space, const Schedule& schedule,
                   const std::function<bool(const Schedule&)>& accepts,
                   const std::set<std::string, std::less<>>& wanted = {},
                   size_t tries = kRemedyTries);

/// A knob's value as schedules show it: its name where it has one.
std::string value_name(const Knob& knob, int64_t value);

}  // namespace lathe::compiler
