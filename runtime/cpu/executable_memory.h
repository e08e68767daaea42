// Memory for generated code that is never writable and executable at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "support/error.h"

namespace lathe::runtime {

/// One mapping that holds one kernel image, readable and executable until it is destroyed.
/// Each image has pages of its own: sharing a page between images would mean making executable
/// bytes writable again. Move-only; safe to use from any thread, to destroy when nobody runs it.
class ExecutableMemory {
 public:
  ExecutableMemory() = default;
  ExecutableMemory(ExecutableMemory&& other) noexcept;
  ExecutableMemory& operator=(ExecutableMemory&& other) noexcept;
  ExecutableMemory(const ExecutableMemory&) = delete;
  ExecutableMemory& operator=(const ExecutableMemory&) = delete;
  ~ExecutableMemory();

  /// Maps writable pages, copies `code` to their start, then swaps writing for executing. Errors:
  /// invalid_argument for no code, resource_exhausted when there is no memory or no mapping left,
  /// unsupported where the system forbids executable pages (SELinux, PaX, a seccomp filter).
  static Result<ExecutableMemory> map(std::span<const std::byte> code);

  /// The code as mapped; empty after a move.
  std::span<const std::byte> code() const {
    return {static_cast<const std::byte*>(base_), code_bytes_};
  }
  bool empty() const { return base_ == nullptr; }

  /// The code's address as a function pointer: `memory.entry<void (*)(const void*)>()`. `offset`
  /// is in bytes from the start of the image.
  template <typename Function>
  Function entry(std::size_t offset = 0) const {
    return reinterpret_cast<Function>(reinterpret_cast<std::uintptr_t>(base_) + offset);
  }

 private:
  void* base_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::size_t code_bytes_ = 0;
};

}  // namespace lathe::runtime
