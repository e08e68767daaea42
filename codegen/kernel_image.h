// Emitted machine code with what is needed to load it safely: the unit that runtimes map and
// packages carry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/program/program.h"
#include "support/isa.h"

namespace lathe::codegen {

struct KernelImage {
  enum class Format : uint8_t {
    flat,    ///< position-independent code and constants; the entry is at `entry`
    object,  ///< a relocatable ELF object; symbol `name` is the entry
  };
  std::string name;  ///< a valid C identifier; what debuggers and profilers show
  Format format = Format::flat;
  std::string backend;            ///< the Backend::name() that made it and may load it
  support::IsaMask required_isa;  ///< of the instructions emitted; of LLVM's all its machine has
  std::vector<std::byte> code;
  size_t code_bytes = 0;  ///< of instructions: from `entry` on in flat code, before the constants;
                          ///< of the function in an object
  size_t entry = 0;
  int vector_registers_used = 0, general_registers_used = 0;
  bool operator==(const KernelImage&) const = default;
};

/// A kernel ready to be called; owns its mapping. Immutable, so callable from any thread.
class LoadedKernel {
 public:
  virtual ~LoadedKernel() = default;
  ir::program::KernelFunction function() const { return function_; }

 protected:
  ir::program::KernelFunction function_ = nullptr;
};

}  // namespace lathe::codegen
