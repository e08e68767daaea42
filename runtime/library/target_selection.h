// Which instruction path to run: what was asked for, what this CPU has, what was linked.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "codegen/backend.h"
#include "ir/target.h"
#include "runtime/launch/compiled_kernel.h"
#include "support/hardware.h"

namespace lathe::runtime {

using Backends = std::vector<std::shared_ptr<const codegen::Backend>>;

/// A target with the backend that emits it.
struct SelectedTarget {
  ir::Target target;
  std::shared_ptr<const codegen::Backend> backend;
  Execution execution = Execution::native;
};

/// Which of `backends` maps the artifact's object files; null where none that is linked does, or
/// there are none.
const codegen::Backend* object_loader(const Artifact& artifact, const Backends& backends);

/// Extensions that code for the x86 target may use; empty for `generic`.
support::IsaMask required_isa(const ir::Target& target);

/// The target to run on `hardware`: `name` if it is not empty, else LATHE_TARGET, else the widest
/// that the CPU runs and a backend emits. A forced target is obeyed or refused, never replaced:
/// not_found for an unknown name, unsupported (naming the missing extensions or backend) for one
/// that cannot run.
Result<SelectedTarget> select_target(const Backends& backends, std::string_view name,
                                     const support::Hardware& hardware = support::host());

/// The same for those who run kernels through a library, who may also name "interpret", or have
/// LATHE_TARGET name it: kernels as for the target that would otherwise be taken, run by the
/// interpreter, on a CPU that need not have its instructions.
Result<SelectedTarget> select_library_target(const Backends& backends, std::string_view name,
                                             const support::Hardware& hardware = support::host());

/// Every target that runs on `hardware`, widest first.
std::vector<SelectedTarget> runnable_targets(const Backends& backends,
                                             const support::Hardware& hardware = support::host());

}  // namespace lathe::runtime
