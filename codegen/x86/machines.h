// The x86-64 machines that can be named as an emission target, and what each can run.
#pragma once

#include <string_view>

#include "ir/target.h"

namespace lathe::codegen::x86 {

/// The target `name` on the machine `cpu` ("haswell", "znver4", …; empty: this host). not_found for
/// an unknown path or machine; unsupported where a named machine lacks the path.
Result<ir::Target> target_for(std::string_view name, std::string_view cpu);

}  // namespace lathe::codegen::x86
