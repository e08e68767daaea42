// Names of generated code for gdb: a tiny ELF file per kernel through GDB's JIT interface.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace lathe::runtime {

/// True when LATHE_GDB is 1 in the environment. Read once.
bool gdb_jit_enabled();

/// An ELF64 image without relocations, with one .text section (NOBITS, at the code's address and of
/// its size) and one function symbol: all that a debugger needs to name a frame.
std::vector<std::byte> make_symbol_file(std::string_view name, std::span<const std::byte> code);

/// One kernel known to the debugger from construction to destruction. Thread-safe: the interface's
/// one global list is changed under a lock. Keeps the symbol file alive.
/// Interface: "JIT Compilation Interface" in the GDB manual.
class GdbRegistration {
 public:
  GdbRegistration();
  GdbRegistration(GdbRegistration&&) noexcept;
  GdbRegistration& operator=(GdbRegistration&&) noexcept;
  ~GdbRegistration();

  /// Registers always, whatever LATHE_GDB says: callers ask gdb_jit_enabled() first.
  static GdbRegistration add(std::string_view name, std::span<const std::byte> code);

 private:
  struct Entry;
  std::unique_ptr<Entry> entry_;
};

}  // namespace lathe::runtime
