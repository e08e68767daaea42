// Knobs that older records call by another name.
#pragma once

#include <string>
#include <string_view>

#include "store/records.h"

namespace lathe::store {

/// The text of a family's schedule, such as "tile=4 next=on", with each knob under today's name.
/// Only names change: a family whose values have come to mean something else raises its revision.
std::string with_current_names(std::string_view family, std::string_view schedule);

/// The same for every schedule that a record holds, once its checksum has been compared.
void use_current_names(std::string_view family, Trial& trial);
void use_current_names(std::string_view family, Winner& winner);

}  // namespace lathe::store
