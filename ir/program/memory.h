// A program's buffers as the interpreter sees them: every access is checked before it happens.
#pragma once

#include <span>

#include "ir/program/decoded.h"

namespace lathe::ir::program {

/// Hands out the memory behind an access, or notes why it cannot. Not thread-safe.
class Memory {
 public:
  Memory(const Program& program, std::span<const BufferView> views, WriteObserver* observer)
      : program_(program), views_(views), observer_(observer) {}

  /// The `bytes` at `offset` of a buffer; null, with error() set, where the program may not read
  /// them.
  const std::byte* read(const Code& code, int64_t offset, int64_t bytes) {
    const BufferView& view = views_[static_cast<size_t>(code.buffer)];
    if (offset < 0 || offset > view.bytes - bytes) return outside("reads", code, offset, bytes);
    if (program_.buffers[static_cast<size_t>(code.buffer)].range && !in_range(code, offset, bytes))
      return nullptr;
    trace.bytes_read += static_cast<uint64_t>(bytes);
    if (observer_ != nullptr) observer_->read(static_cast<size_t>(code.buffer), offset, bytes);
    return view.data + offset;
  }

  /// Likewise for writing.
  std::byte* write(const Code& code, int64_t offset, int64_t bytes) {
    const BufferView& view = views_[static_cast<size_t>(code.buffer)];
    if (offset < 0 || offset > view.bytes - bytes) return outside("writes", code, offset, bytes);
    trace.bytes_written += static_cast<uint64_t>(bytes);
    if (observer_ != nullptr) observer_->wrote(static_cast<size_t>(code.buffer), offset, bytes);
    return view.data + offset;
  }

  /// The address of an offset as a number, as the hardware would see it.
  uint64_t address(const Code& code, int64_t offset) const {
    return reinterpret_cast<uintptr_t>(views_[static_cast<size_t>(code.buffer)].data) +
           static_cast<uint64_t>(offset);
  }

  const std::string& error() const { return error_; }

  Trace trace;

 private:
  std::byte* outside(const char* verb, const Code& code, int64_t offset, int64_t bytes);
  bool in_range(const Code& code, int64_t offset, int64_t bytes);

  const Program& program_;
  std::span<const BufferView> views_;
  WriteObserver* observer_;
  std::string error_;
};

}  // namespace lathe::ir::program
