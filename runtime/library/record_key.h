// How a problem is looked up in the store: the one place where keys are made.
#pragma once

#include <string>

#include "compiler/family.h"
#include "ir/target.h"
#include "store/records.h"

namespace lathe::runtime {

/// What besides the problem identifies a record.
struct RecordContext {
  std::string device = "cpu";
  int threads = 1;
  std::string cache = "cold";
  bool deterministic = false;
  std::string objective = "time";
};

/// The name of an instruction path in records: "avx2"; for LLVM with the machine it is emitted for.
std::string target_identity(const ir::Target& target);

/// What this host's record keys have in common: all but problem, family and sizes.
store::Key host_key(const ir::Target& target, const RecordContext& context);

/// This host's record key for the problem timed at `sizes`.
store::Key record_key(const compiler::Problem& problem, const compiler::Sizes& sizes,
                      const ir::Target& target, const RecordContext& context);

}  // namespace lathe::runtime
