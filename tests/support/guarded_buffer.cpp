// Guarded buffers: pages without access rights around the usable ones.
#include "tests/support/guarded_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace lathe::tests {
namespace {

constexpr std::byte kFiller{0xA5};

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// An emulator may read all of a masked load's bytes, which no CPU does (qemu 7.2 with vmaskmovps):
// LATHE_READABLE_GUARDS=1 lets it read the guard pages; writes to them fault all the same.
int guard_protection() {
  const char* readable = std::getenv("LATHE_READABLE_GUARDS");
  return readable != nullptr && std::strcmp(readable, "1") == 0 ? PROT_READ : PROT_NONE;
}

}  // namespace

GuardedBuffer::GuardedBuffer(size_t bytes, Side side, size_t alignment) : bytes_(bytes) {
  const size_t page = page_bytes();
  usable_ = std::max(page, (bytes + page - 1) / page * page);
  mapped_ = usable_ + 2 * page;
  void* mapping = mmap(nullptr, mapped_, guard_protection(), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) std::abort();  // a test without memory cannot go on
  mapping_ = static_cast<std::byte*>(mapping);
  std::byte* usable = mapping_ + page;
  if (mprotect(usable, usable_, PROT_READ | PROT_WRITE) != 0) std::abort();
  const size_t room = usable_ - bytes;
  data_ = side == Side::before ? usable : usable + room / alignment * alignment;
  std::memset(usable, static_cast<int>(kFiller), usable_);
  if (bytes > 0) std::memset(data_, 0, bytes);
}

GuardedBuffer::GuardedBuffer(GuardedBuffer&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(other.mapped_),
      usable_(other.usable_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

bool GuardedBuffer::intact() const {
  const std::byte* usable = mapping_ + page_bytes();
  const auto filler = [](std::byte b) { return b == kFiller; };
  return std::all_of(usable, static_cast<const std::byte*>(data_), filler) &&
         std::all_of(static_cast<const std::byte*>(data_) + bytes_, usable + usable_, filler);
}

}  // namespace lathe::tests
