// The conditions of a fetch, in the order in which a person would want to know of them.
#include "runtime/packages/usability.h"

#include <algorithm>

#include "compiler/family.h"
#include "compiler/shared_operand.h"
#include "compiler/version.h"
#include "runtime/library/record_key.h"
#include "runtime/library/record_trust.h"
#include "runtime/packages/recipes.h"
#include "support/text.h"

namespace lathe::runtime::packages {
namespace {

/// Why the record's schedule would not be taken; empty where it would. A layout has no schedule.
std::string not_taken_because(const store::KeyedWinner& record, const ir::Target& target) {
  if (compiler::find_shared_operand(record.key.family) != nullptr) return {};
  const auto problem = compiler::parse_problem(record.key.problem);
  if (!problem) return problem.error().message;
  if (problem->line() != record.key.problem)
    return "its problem is not written as a fetch asks for it";
  const auto schedule = usable_schedule(record.winner, problem->family().space(*problem, target));
  return schedule ? std::string() : schedule.error().message;
}

}  // namespace

UsabilityHere::UsabilityHere(const Backends& backends, const support::Hardware& hardware)
    : hardware_(hardware),
      host_id_(store::host_id("cpu", support::identity(hardware))),
      targets_(runnable_targets(backends, hardware)) {}

Usability UsabilityHere::of(const store::KeyedWinner& record, const store::Host& host) const {
  const store::Key& key = record.key;
  const auto because = [](std::string why) { return Usability{Use::none, std::move(why)}; };
  if (host.device != "cpu")
    return because(fmt::format("is for the device {}", support::printable(host.device)));
  const support::IsaMask missing = needs_of(key.target).without(hardware_.isa);
  if (!missing.empty()) {
    return because(fmt::format("needs {}, which this CPU ({}) does not have",
                               support::to_string(missing), hardware_.name));
  }
  const auto target =
      std::find_if(targets_.begin(), targets_.end(), [&](const SelectedTarget& runnable) {
        return target_identity(runnable.target) == key.target;
      });
  if (target == targets_.end()) {
    return because(
        fmt::format("is for the target '{}', which no code generator of this program "
                    "makes here",
                    support::printable(key.target)));
  }
  if (key.compiler_version != compiler::kVersion) {
    return because(fmt::format("was made by code generator version {}, this is version {}",
                               support::printable(key.compiler_version), compiler::kVersion));
  }
  const Result<int> revision = compiler::current_revision(key.family);
  if (!revision)
    return because(fmt::format("is of the unknown family '{}'", support::printable(key.family)));
  if (*revision != key.family_revision) {
    return because(fmt::format("is of revision {} of its family, this is revision {}",
                               key.family_revision, *revision));
  }
  if (std::string why = not_taken_because(record, target->target); !why.empty())
    return because(std::move(why));
  if (key.host == host_id_) return {Use::exact, {}};
  if (compiler::find_shared_operand(key.family) != nullptr)
    return because(
        fmt::format("is the layout of a {}, which counts on the host that chose it", key.family));
  return {Use::other_host, {}};
}

}  // namespace lathe::runtime::packages
