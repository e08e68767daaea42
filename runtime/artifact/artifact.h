// What a build makes and a load needs: one kernel with its machine code, as a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/backend.h"
#include "compiler/family.h"
#include "ir/plan/plan.h"
#include "runtime/artifact/operand_rule.h"

namespace lathe::runtime {

/// A kernel for one target, ready to be mapped: kept, compared, written to bytes and read back.
struct Artifact {
  compiler::Problem problem;
  compiler::Schedule schedule;
  ir::Target target;
  ir::plan::Plan plan;
  std::vector<OperandRule> operands;  ///< inputs, then outputs; an updated one stands among these
  int inputs = 0;                     ///< how many of them are inputs alone
  std::vector<codegen::KernelImage> images;  ///< as plan.programs
  std::string compiler_version;              ///< compiler::kVersion of the Lathe that made it
  int revision = 0;                          ///< of the family, likewise
  /// Whether the plan's programs have bodies, as the interpreter needs them. Bytes do not carry
  /// them: of an artifact that was read back they are signatures alone.
  bool has_programs = true;

  /// What the images need of a CPU.
  support::IsaMask required_isa() const;
  /// All but the programs' bodies and has_programs: what programs do is what the images are.
  bool operator==(const Artifact& other) const;
};

/// Builds the family's plan and emits its programs; maps nothing, so that the target may be that of
/// another machine. Errors: rejected (constraints, registers), unsupported (not a target of this
/// backend).
Result<Artifact> build_artifact(const compiler::Problem& problem,
                                const compiler::Schedule& schedule, const ir::Target& target,
                                const codegen::Backend& backend);

/// Of the bytes that write_artifact() makes and read_artifact() takes.
inline constexpr int kArtifactFormat = 1;
inline constexpr int64_t kMostHeaderBytes = int64_t{4} << 20;
inline constexpr int64_t kMostArtifactBytes = int64_t{64} << 20;

/// One line `lathe-artifact FORMAT BYTES CHECKSUM`, a header of that many bytes in JSON, and the
/// images one after the other; docs/artifacts.md describes them. Equal artifacts give equal bytes.
/// invalid_argument where the artifact is larger than what is read back, or an image has a format
/// without a name.
Result<std::string> write_artifact(const Artifact& artifact);

/// The header alone, for people.
std::string print(const Artifact& artifact);

/// Reads what write_artifact() wrote, whoever wrote it: every size is bounded, every field checked,
/// the plan verified, operands compared with the plan's and the family's, every checksum compared.
/// Schedule and target say how the code was made; nothing that runs rests on them.
/// Checksums find damage, not malice: code from a stranger wants a signature over the bytes.
/// parse_error naming the field, what was found and what was expected; corrupt where bytes are
/// missing or a checksum does not fit; verify_error as the plan's rules say; unsupported for a
/// format, an image format or an instruction-set extension that this Lathe does not know; not_found
/// or invalid_argument for a problem that its families do not have. Thread-safe.
Result<Artifact> read_artifact(std::string_view bytes);

}  // namespace lathe::runtime
