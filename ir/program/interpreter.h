// Runs kernel programs one instruction at a time, checking every access against its buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ir/program/program.h"

namespace lathe::ir::program {

/// What one interpretation did; the cost estimates and tests read it.
struct Trace {
  uint64_t instructions = 0;
  uint64_t bytes_read = 0, bytes_written = 0;
};

/// Notified of every byte range written, or read if it cares: the proof that threads' parts are
/// disjoint uses it. Offsets count from the start of the buffer's allocation.
class WriteObserver {
 public:
  virtual ~WriteObserver() = default;
  virtual void wrote(size_t buffer, int64_t offset, int64_t bytes) = 0;
  virtual void read(size_t /*buffer*/, int64_t /*offset*/, int64_t /*bytes*/) {}
};

/// A buffer as an argument: its whole allocation, and where in it the program's pointer starts.
struct BufferView {
  std::byte* data = nullptr;
  int64_t bytes = 0;
  int64_t start = 0;
};

struct InterpreterOptions {
  uint64_t instruction_limit = 2'000'000'000;  ///< then resource_exhausted
  WriteObserver* observer = nullptr;           ///< not owned
};

/// Runs `program` on the buffers and parameters, in their order. Results are those of every
/// emitter, bit for bit, except the low bits of frecip and frsqrt and the payloads of NaNs.
/// verify_error naming instruction, buffer and offset on: an access outside its buffer, a store to
/// a read-only buffer, a value outside the buffer's declared range, a misaligned store_stream,
/// division by zero. The program must have passed verify(). Thread-safe.
Result<Trace> interpret(const Program& program, std::span<const BufferView> buffers,
                        std::span<const int64_t> parameters,
                        const InterpreterOptions& options = {});

}  // namespace lathe::ir::program
