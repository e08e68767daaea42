// Building artifacts, and comparing them.
#include "runtime/artifact/artifact.h"

#include "compiler/version.h"

namespace lathe::runtime {

support::IsaMask Artifact::required_isa() const {
  support::IsaMask all;
  for (const codegen::KernelImage& image : images) all |= image.required_isa;
  return all;
}

bool Artifact::operator==(const Artifact& other) const {
  return problem == other.problem && schedule == other.schedule && target == other.target &&
         ir::plan::equal_but_for_code(plan, other.plan) && operands == other.operands &&
         inputs == other.inputs && images == other.images &&
         compiler_version == other.compiler_version && revision == other.revision;
}

Result<Artifact> build_artifact(const compiler::Problem& problem,
                                const compiler::Schedule& schedule, const ir::Target& target,
                                const codegen::Backend& backend) {
  const compiler::Family& family = problem.family();
  Artifact artifact;
  artifact.problem = problem;
  artifact.schedule = schedule;
  artifact.target = target;
  artifact.compiler_version = compiler::kVersion;
  artifact.revision = family.revision;
  LATHE_TRY(artifact.plan, family.build(problem, schedule, target));
  LATHE_CHECK(ir::plan::verify(artifact.plan));
  LATHE_TRY(artifact.operands, operand_rules(family.signature(problem), artifact.plan));
  artifact.inputs = count_inputs(artifact.operands);
  for (const ir::program::Program& program : artifact.plan.programs) {
    LATHE_TRY(artifact.images.emplace_back(), backend.compile(program));
  }
  return artifact;
}

}  // namespace lathe::runtime
