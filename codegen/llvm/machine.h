// What LLVM is told of a machine, and what we want to know of it; internal to codegen/llvm.
#pragma once

#include <string>
#include <string_view>

#include "ir/target.h"
#include "support/hardware.h"

namespace lathe::codegen::llvm {

enum class Architecture { x86_64, aarch64, other };

struct Machine {
  std::string triple, cpu;
  std::string features;  ///< as asked for: "+avx2,-fma", or empty
  Architecture architecture = Architecture::other;
  /// Extensions that emitted code may use. What x86 code could use beyond those that IsaMask can
  /// express is in `disabled`, so that this is an upper bound.
  support::IsaMask isa;
  std::string disabled;  ///< further features, switched off: "-gfni,-avx512vbmi"

  bool has(support::IsaMask extensions) const { return isa.contains(extensions); }
  std::string all_features() const;  ///< features and disabled, for LLVM
  std::string text() const;          ///< "triple:cpu[:features]", read by find_machine
};

/// Registers LLVM's targets; called by everything that looks one up. Thread-safe.
void initialize_llvm();

/// The grammar and errors of target_for(); empty text is the host.
Result<Machine> find_machine(std::string_view text);

/// The machine that a program's target names; unsupported where the target is not `generic`.
Result<Machine> machine_of(const ir::Target& target);

}  // namespace lathe::codegen::llvm
