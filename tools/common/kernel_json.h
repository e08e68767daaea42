// Records as JSON and as sentences: the one form that tune, explain, export and bench share.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "compiler/problem.h"
#include "store/records.h"
#include "support/hardware.h"

namespace lathe::tools {

/// The machine: name, micro-architecture, ISA, caches, cores, memory (docs/json.md).
nlohmann::json host_json(const support::Hardware& hardware);

/// A problem's parts: problem, family, dims, types, epilogue.
nlohmann::json problem_json(const compiler::Problem& problem, const compiler::Sizes& at);

/// One entry of `kernels`.
nlohmann::json kernel_json(const compiler::Problem& problem, const compiler::Sizes& at,
                           const store::Key& key, const store::Winner& winner,
                           const std::string& match);

/// What bounds the kernel, the runner-up, how sure, and why: a few lines for a person.
std::string explain_text(const store::Key& key, const store::Winner& winner);

}  // namespace lathe::tools
