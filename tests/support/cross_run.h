// Runs an object for another machine: links it with a small C program, and that runs under
// emulation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "support/error.h"

namespace lathe::tests {

/// The compiler that links for a machine, and the emulator that runs it there.
struct CrossTools {
  std::string compiler = "aarch64-linux-gnu-gcc";
  std::string emulator = "qemu-aarch64";
};

/// Empty where both programs are in PATH; else the sentence to skip a test with.
std::string missing_cross_tools(const CrossTools& tools = {});

/// A kernel's symbol, and the object that defines it.
struct CrossKernel {
  std::string symbol;
  std::span<const std::byte> object;
};

/// One call of one kernel: which, its buffers as places in the job's memory, then its parameters.
struct CrossCall {
  struct Place {
    size_t memory = 0;   ///< index into CrossJob::memory
    int64_t offset = 0;  ///< in bytes
  };
  size_t kernel = 0;
  std::vector<Place> buffers;
  std::vector<int64_t> parameters;
};

/// Calls that are made in order on the same memory.
struct CrossJob {
  std::vector<std::vector<std::byte>> memory;
  std::vector<CrossCall> calls;
};

/// A job of one call, each buffer a memory of its own.
CrossJob one_call(size_t kernel, std::vector<std::vector<std::byte>> buffers,
                  std::vector<int64_t> parameters);

/// Links all objects into one static program, does the jobs in order, and returns the memory of
/// each afterwards. Symbols must differ. Every memory ends at a page that may not be touched, and
/// so is aligned as its size is; an access beyond it ends the program: mismatch, with what was
/// printed. io_error where linking fails. Files live in a temporary folder and are removed.
Result<std::vector<std::vector<std::vector<std::byte>>>> cross_run(
    std::span<const CrossKernel> kernels, std::span<const CrossJob> jobs,
    const CrossTools& tools = {});

}  // namespace lathe::tests
