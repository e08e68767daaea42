// Keys from problems and this host's identity.
#include "runtime/library/record_key.h"

#include "compiler/version.h"
#include "support/hardware.h"

namespace lathe::runtime {

std::string target_identity(const ir::Target& target) {
  return target.cpu.empty() ? target.name : target.name + ":" + target.cpu;
}

store::Key host_key(const ir::Target& target, const RecordContext& context) {
  store::Key key;
  key.compiler_version = compiler::kVersion;
  key.host = store::host_id(context.device, support::host_identity());
  key.target = target_identity(target);
  key.threads = context.threads;
  key.cache = context.cache;
  key.deterministic = context.deterministic;
  key.objective = context.objective;
  return key;
}

store::Key record_key(const compiler::Problem& problem, const compiler::Sizes& sizes,
                      const ir::Target& target, const RecordContext& context) {
  store::Key key = host_key(target, context);
  key.problem = problem.line();
  key.family = problem.family().name;
  key.family_revision = problem.family().revision;
  key.at = compiler::print(sizes);
  return key;
}

}  // namespace lathe::runtime
