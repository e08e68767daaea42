// The table of machines. A path may be asked for on a host that lacks it: only running needs it.
#include "codegen/x86/machines.h"

#include <algorithm>
#include <array>
#include <string>

#include "support/hardware.h"

namespace lathe::codegen::x86 {
namespace {

struct Machine {
  std::string_view name;
  ir::Isa widest;
  bool vnni;
};

constexpr std::array kMachines = {
    Machine{"penryn", ir::Isa::sse, false},
    Machine{"nehalem", ir::Isa::sse, false},
    Machine{"sandybridge", ir::Isa::sse, false},
    Machine{"ivybridge", ir::Isa::sse, false},
    Machine{"haswell", ir::Isa::avx2, false},
    Machine{"broadwell", ir::Isa::avx2, false},
    Machine{"skylake", ir::Isa::avx2, false},
    Machine{"alderlake", ir::Isa::avx2, false},
    Machine{"znver1", ir::Isa::avx2, false},
    Machine{"znver2", ir::Isa::avx2, false},
    Machine{"znver3", ir::Isa::avx2, false},
    Machine{"skylake-avx512", ir::Isa::avx512, false},
    Machine{"cascadelake", ir::Isa::avx512, true},
    Machine{"icelake-client", ir::Isa::avx512, true},
    Machine{"icelake-server", ir::Isa::avx512, true},
    Machine{"tigerlake", ir::Isa::avx512, true},
    Machine{"sapphirerapids", ir::Isa::avx512, true},
    Machine{"znver4", ir::Isa::avx512, true},
    Machine{"znver5", ir::Isa::avx512, true},
};

std::string names() {
  std::string list;
  for (const Machine& machine : kMachines) {
    if (!list.empty()) list += ", ";
    list += machine.name;
  }
  return list;
}

}  // namespace

Result<ir::Target> target_for(std::string_view name, std::string_view cpu) {
  LATHE_TRY(ir::Target target, ir::parse_target(name));
  const bool is_512 = target.isa == ir::Isa::avx512;
  if (cpu.empty()) {
    target.vnni = is_512 && support::host().isa.contains(support::Isa::avx512_vnni);
    return target;
  }
  const auto machine = std::find_if(kMachines.begin(), kMachines.end(),
                                    [&](const Machine& known) { return known.name == cpu; });
  if (machine == kMachines.end())
    return fail(ErrorCode::not_found, "unknown machine '{}'; the x86 backend knows {}", cpu,
                names());
  if (target.isa > machine->widest)
    return fail(ErrorCode::unsupported, "{} has no {}; choose a narrower target or another machine",
                cpu, name);
  target.cpu = cpu;
  target.vnni = is_512 && machine->vnni;
  return target;
}

}  // namespace lathe::codegen::x86
