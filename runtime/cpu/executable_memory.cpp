// Mapping code: writable first, executable afterwards, never both.
#include "runtime/cpu/executable_memory.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace lathe::runtime {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

ExecutableMemory::ExecutableMemory(ExecutableMemory&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      code_bytes_(std::exchange(other.code_bytes_, 0)) {}

ExecutableMemory& ExecutableMemory::operator=(ExecutableMemory&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(code_bytes_, other.code_bytes_);
  return *this;
}

ExecutableMemory::~ExecutableMemory() {
  if (base_ != nullptr) ::munmap(base_, mapped_bytes_);
}

Result<ExecutableMemory> ExecutableMemory::map(std::span<const std::byte> code) {
  if (code.empty()) return fail(ErrorCode::invalid_argument, "no code to map: the image is empty");
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t bytes = (code.size() + page - 1) / page * page;
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    return fail(ErrorCode::resource_exhausted,
                "cannot map {} bytes for a kernel: {}; free memory, or raise the limit "
                "(ulimit -v, sysctl vm.max_map_count)",
                bytes, reason(errno));
  }
  ExecutableMemory memory;
  memory.base_ = base;
  memory.mapped_bytes_ = bytes;
  memory.code_bytes_ = code.size();
  std::memcpy(base, code.data(), code.size());
#if defined(__x86_64__)
  std::memset(static_cast<char*>(base) + code.size(), 0xcc, bytes - code.size());  // int3
#endif
  if (::mprotect(base, bytes, PROT_READ | PROT_EXEC) != 0) {
    const int error = errno;
    if (error == ENOMEM) {
      return fail(ErrorCode::resource_exhausted,
                  "cannot make a kernel executable: {}; raise sysctl vm.max_map_count, each kernel "
                  "takes one mapping",
                  reason(error));
    }
    return fail(
        ErrorCode::unsupported,
        "this system does not let the process make memory executable: {}; allow it (SELinux: "
        "setsebool -P allow_execmem 1; systemd: MemoryDenyWriteExecute=no; PaX: paxctl -m), "
        "or do without machine code, much slower: LATHE_TARGET=interpret for libraries "
        "and lathe run, or lathe run --target interpret",
        reason(error));
  }
  // Needed where instruction caches do not watch stores (aarch64); nothing on x86.
  __builtin___clear_cache(static_cast<char*>(base), static_cast<char*>(base) + code.size());
  return memory;
}

}  // namespace lathe::runtime
