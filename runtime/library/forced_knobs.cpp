// Reading LATHE_FORCE and narrowing search spaces by it.
#include "runtime/library/forced_knobs.h"

#include <algorithm>
#include <cstdlib>

#include "compiler/family.h"
#include "support/log.h"

namespace lathe::runtime {

Result<std::vector<ForcedKnob>> parse_forced_knobs(std::string_view text) {
  std::vector<ForcedKnob> forced;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t dot = item.find('.');
    const size_t equals = item.find('=', dot == std::string_view::npos ? 0 : dot);
    if (dot == std::string_view::npos || dot == 0 || equals == std::string_view::npos ||
        equals == dot + 1 || equals + 1 == item.size()) {
      return fail(ErrorCode::invalid_argument,
                  "{}: found '{}', expected family.knob=value, such as linear.next=off",
                  kForceVariable, item);
    }
    ForcedKnob knob{std::string(item.substr(0, dot)),
                    std::string(item.substr(dot + 1, equals - dot - 1)),
                    std::string(item.substr(equals + 1))};
    if (auto family = compiler::find_family(knob.family); !family)
      return fail_with_context(kForceVariable, std::move(family).error());
    forced.push_back(std::move(knob));
  }
  return forced;
}

Result<std::vector<ForcedKnob>> forced_knobs() {
  const char* const text = std::getenv(kForceVariable);
  return parse_forced_knobs(text == nullptr ? "" : text);
}

Result<compiler::SearchSpace> search_space(const compiler::Problem& problem,
                                           const ir::Target& target) {
  compiler::SearchSpace space = problem.family().space(problem, target);
  LATHE_TRY(const std::vector<ForcedKnob> forced, forced_knobs());
  for (const ForcedKnob& one : forced) {
    if (one.family != problem.family().name) continue;
    Status fixed = space.fix(one.knob, one.value);
    if (fixed) continue;
    Error error = std::move(fixed).error();
    error.message = fmt::format("{}: {}: {}", kForceVariable, problem.line(), error.message);
    if (error.code != ErrorCode::not_found) return tl::unexpected(std::move(error));
    support::log_warn("{}; it is left out here", error.message);
  }
  return space;
}

}  // namespace lathe::runtime
