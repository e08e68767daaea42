// The parser of listings, the table of machines, and the bound.
#include "bench/listings/listing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <iterator>
#include <sstream>

namespace lathe::bench {
namespace {

constexpr std::array<std::string_view, 8> kClasses = {"fma",   "mul",  "add",    "minmax",
                                                      "shift", "ialu", "lookup", "div"};
constexpr size_t kDiv = 7;

// Where the uops of one instruction of a class may go: `uops` of them, each to a port of the mask.
struct Use {
  unsigned ports = 0;
  int uops = 1;
};

// For 256-bit registers. `divider`: cycles between two divisions.
struct Machine {
  std::array<Use, kClasses.size()> use;  // in the order of kClasses
  double divider;
};

// Sources: Intel's optimisation manual and uops.info for Intel; AMD's software optimisation guides
// for zen2 and zen3; zen4 and zen5 as measured by loops of pairs of instructions (a division with
// four multiplications takes 3 cycles, with six 4: it takes two turns of their ports).
constexpr unsigned p0 = 1, p1 = 2, p2 = 4, p3 = 8, p5 = 32;
constexpr unsigned p01 = p0 | p1, p23 = p2 | p3, p12 = p1 | p2, p0123 = p01 | p23;
constexpr unsigned p15 = p1 | p5, p015 = p01 | p5;
constexpr Machine kHaswell = {{{{p01}, {p01}, {p1}, {p1}, {p0}, {p15}, {p5}, {p0, 2}}}, 14};
constexpr Machine kBroadwell = {{{{p01}, {p01}, {p1}, {p1}, {p0}, {p15}, {p5}, {p0, 2}}}, 10};
constexpr Machine kSkylake = {{{{p01}, {p01}, {p01}, {p01}, {p01}, {p015}, {p5}, {p0}}}, 5};
constexpr Machine kAlderlake = {{{{p01}, {p01}, {p15}, {p01}, {p01}, {p015}, {p5}, {p0}}}, 5};
constexpr Machine kZen2 = {{{{p01}, {p01}, {p23}, {p01}, {p2}, {p01 | p3}, {p12, 2}, {p01}}}, 6};
constexpr Machine kZen3 = {{{{p01}, {p01}, {p23}, {p23}, {p12}, {p0123}, {p12, 2}, {p01}}}, 5};
constexpr Machine kZen4 = {{{{p01}, {p01}, {p23}, {p23}, {p23}, {p0123}, {p12}, {p01, 2}}}, 3};
constexpr Machine kZen5 = {kZen4.use, 2.5};

struct Named {
  std::string_view name;
  const Machine& machine;
};
constexpr std::array kMachines = {
    Named{"haswell", kHaswell},
    Named{"broadwell", kBroadwell},
    Named{"skylake", kSkylake},
    Named{"kabylake", kSkylake},
    Named{"cometlake", kSkylake},
    Named{"skylake-avx512", kSkylake},
    Named{"cascadelake", kSkylake},
    Named{"cooperlake", kSkylake},
    Named{"icelake", kSkylake},
    Named{"icelake-server", kSkylake},
    Named{"tigerlake", kSkylake},
    Named{"rocketlake", kSkylake},
    Named{"alderlake", kAlderlake},
    Named{"raptorlake", kAlderlake},
    Named{"sapphirerapids", kAlderlake},
    Named{"emeraldrapids", kAlderlake},
    Named{"zen2", kZen2},
    Named{"zen3", kZen3},
    Named{"zen4", kZen4},
    Named{"zen5", kZen5},
};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

double bound_of(const ListingPart& part, const Machine& machine) {
  std::array<int, kClasses.size()> counts{};
  for (const std::string& name : part.classes) {
    const auto* found = std::find(kClasses.begin(), kClasses.end(), name);
    if (found != kClasses.end()) ++counts[static_cast<size_t>(found - kClasses.begin())];
  }
  double bound = counts[kDiv] * machine.divider;
  for (unsigned set = 1; set < 64; ++set) {
    int uops = 0;
    for (size_t i = 0; i < counts.size(); ++i)
      if ((machine.use[i].ports & ~set) == 0) uops += counts[i] * machine.use[i].uops;
    bound = std::max(bound, static_cast<double>(uops) / std::popcount(set));
  }
  return bound;
}

}  // namespace

Result<std::vector<ListingPart>> parse_listing(std::string_view text) {
  std::vector<ListingPart> parts;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#') continue;
    if (content.starts_with("loop ")) {
      parts.push_back({std::string(trimmed(content.substr(5))), {}});
      continue;
    }
    const size_t semicolon = content.rfind(';');
    if (semicolon == std::string_view::npos)
      return fail(ErrorCode::parse_error, "line {}: '{}' has no class; write `instruction ; class`",
                  number, content);
    const std::string_view name = trimmed(content.substr(semicolon + 1));
    const bool known = name == "load" || name == "store" || name == "move" ||
                       std::find(kClasses.begin(), kClasses.end(), name) != kClasses.end();
    if (!known)
      return fail(
          ErrorCode::parse_error,
          "line {}: unknown class '{}'; known: load store move fma mul add minmax shift ialu "
          "lookup div",
          number, name);
    if (parts.empty()) parts.emplace_back();
    parts.back().classes.emplace_back(name);
  }
  if (parts.empty()) return fail(ErrorCode::parse_error, "line 1: a listing without instructions");
  return parts;
}

Result<double> bound_cycles(std::span<const ListingPart> parts,
                            std::string_view microarchitecture) {
  const auto* found = std::find_if(kMachines.begin(), kMachines.end(), [&](const Named& named) {
    return named.name == microarchitecture;
  });
  if (found == kMachines.end()) {
    std::string known;
    for (const Named& named : kMachines) known += " " + std::string(named.name);
    return fail(ErrorCode::not_found, "no port table for '{}'; known:{}", microarchitecture, known);
  }
  double cycles = 0;
  for (const ListingPart& part : parts) cycles += bound_of(part, found->machine);
  return cycles;
}

Result<double> listing_cycles(const std::string& path, std::string_view microarchitecture) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::io_error, "{}: cannot be read", path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto parts = parse_listing(text);
  if (!parts) return fail_with_context(path, std::move(parts).error());
  return bound_cycles(*parts, microarchitecture);
}

std::vector<std::string_view> known_microarchitectures() {
  std::vector<std::string_view> names;
  for (const Named& named : kMachines) names.push_back(named.name);
  return names;
}

}  // namespace lathe::bench
