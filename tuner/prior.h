// What every session begins with: the experience of full searches on several machines.
#pragma once

#include <string_view>

namespace lathe::tuner {

/// tuner/prior/experience.txt, as Experience::read() takes it. `replay distill` writes it from the
/// records in bench/replay/records.
std::string_view prior_experience();

}  // namespace lathe::tuner
