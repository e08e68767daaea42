// Obeys a forced target, otherwise takes the widest one that host and backends share.
#include "runtime/library/target_selection.h"

#include <cstdlib>
#include <string>

namespace lathe::runtime {
namespace {

using support::Isa;
using support::IsaMask;

constexpr std::string_view kInterpret = "interpret";

/// LATHE_TARGET, or "".
std::string_view forced_target() {
  const char* const forced = std::getenv("LATHE_TARGET");
  return forced == nullptr ? std::string_view() : std::string_view(forced);
}

// The backend that makes the target of this name, or null.
Result<SelectedTarget> find_target(const Backends& backends, std::string_view name) {
  for (const auto& backend : backends) {
    auto target = backend->target(name, "");
    if (target) return SelectedTarget{std::move(*target), backend};
    if (target.error().code != ErrorCode::not_found) return tl::unexpected(target.error());
  }
  if (name != "llvm") {
    if (auto known = ir::parse_target(name); !known) return tl::unexpected(known.error());
  }
  return fail(ErrorCode::unsupported,
              "no code generator for target '{}' is linked into this program; link its backend, or "
              "choose another target",
              name);
}

}  // namespace

const codegen::Backend* object_loader(const Artifact& artifact, const Backends& backends) {
  for (const codegen::KernelImage& image : artifact.images)
    for (const auto& backend : backends)
      if (image.backend == backend->name()) return backend.get();
  return nullptr;
}

IsaMask required_isa(const ir::Target& target) {
  switch (target.isa) {
    case ir::Isa::scalar:
    case ir::Isa::sse: return Isa::sse3 | Isa::ssse3 | Isa::sse4_1;
    case ir::Isa::avx2:
      return Isa::sse3 | Isa::ssse3 | Isa::sse4_1 | Isa::avx | Isa::avx2 | Isa::fma | Isa::f16c;
    case ir::Isa::avx512: {
      IsaMask mask = Isa::sse3 | Isa::ssse3 | Isa::sse4_1 | Isa::avx | Isa::avx2 | Isa::fma |
                     Isa::f16c | Isa::avx512f | Isa::avx512bw | Isa::avx512dq | Isa::avx512vl;
      if (target.vnni) mask |= Isa::avx512_vnni;
      return mask;
    }
    case ir::Isa::generic: return {};
  }
  return {};
}

Result<SelectedTarget> select_target(const Backends& backends, std::string_view name,
                                     const support::Hardware& hardware) {
  std::string_view origin = "asked for";
  if (name.empty() && !forced_target().empty()) {
    name = forced_target();
    origin = "forced by LATHE_TARGET";
  }
  if (name == kInterpret) {
    return fail(
        ErrorCode::unsupported,
        "target '{}' ({}) makes no machine code: it is for running graphs and for libraries; "
        "choose another target here",
        name, origin);
  }
  if (name.empty()) {
    auto targets = runnable_targets(backends, hardware);
    if (targets.empty()) {
      return fail(ErrorCode::unsupported,
                  "this CPU ({}) runs none of the linked targets; x86-64 with SSE4.1 is the least, "
                  "or link the LLVM backend",
                  hardware.name);
    }
    return std::move(targets.front());
  }
  LATHE_TRY(SelectedTarget selected, find_target(backends, name));
  const IsaMask missing = required_isa(selected.target).without(hardware.isa);
  if (!missing.empty()) {
    return fail(
        ErrorCode::unsupported,
        "target '{}' ({}) needs {}, which this CPU ({}) does not have; choose another target", name,
        origin, support::to_string(missing), hardware.name);
  }
  return selected;
}

Result<SelectedTarget> select_library_target(const Backends& backends, std::string_view name,
                                             const support::Hardware& hardware) {
  const std::string_view forced = forced_target();
  if (name != kInterpret && !(name.empty() && forced == kInterpret))
    return select_target(backends, name, hardware);
  Result<SelectedTarget> selected = fail(ErrorCode::unsupported, "no code generator is linked");
  if (!forced.empty() && forced != kInterpret) {
    selected = find_target(backends, forced);
  } else if (auto runnable = runnable_targets(backends, hardware); !runnable.empty()) {
    selected = std::move(runnable.front());
  } else {
    for (const std::string& any : ir::target_names())
      if (!selected) selected = find_target(backends, any);
  }
  if (selected) selected->execution = Execution::interpreted;
  return selected;
}

std::vector<SelectedTarget> runnable_targets(const Backends& backends,
                                             const support::Hardware& hardware) {
  std::vector<SelectedTarget> targets;
  for (const std::string& name : ir::target_names()) {
    auto selected = find_target(backends, name);
    if (selected && required_isa(selected->target).without(hardware.isa).empty())
      targets.push_back(std::move(*selected));
  }
  return targets;
}

}  // namespace lathe::runtime
