// clflushopt, clflush and dc civac over a range.
#include "support/evict.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace lathe::support {
namespace {

#if defined(__x86_64__)

// No x86-64 CPU has shorter lines; of longer ones each is asked for more than once.
constexpr uintptr_t kLine = 64;

bool has_clflushopt() {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx >> 23 & 1) != 0;
}

__attribute__((target("clflushopt"))) void flush_overlapped(uintptr_t line, uintptr_t end) {
  for (; line < end; line += kLine) _mm_clflushopt(reinterpret_cast<void*>(line));
}

void flush_in_order(uintptr_t line, uintptr_t end) {
  for (; line < end; line += kLine) _mm_clflush(reinterpret_cast<void*>(line));
}

void flush(uintptr_t begin, uintptr_t end) {
  static const bool overlapped = has_clflushopt();
  _mm_mfence();  // stores before it are evicted, too
  (overlapped ? flush_overlapped : flush_in_order)(begin / kLine * kLine, end);
  _mm_mfence();  // and what follows finds the lines gone
}

#elif defined(__aarch64__)

void flush(uintptr_t begin, uintptr_t end) {
  uint64_t type = 0;
  __asm__("mrs %0, ctr_el0" : "=r"(type));
  const uintptr_t line_bytes = uintptr_t{4} << (type >> 16 & 15);  // of the smallest data cache
  __asm__ volatile("dsb sy" ::: "memory");
  for (uintptr_t line = begin / line_bytes * line_bytes; line < end; line += line_bytes)
    __asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
  __asm__ volatile("dsb sy" ::: "memory");
}

#endif

}  // namespace

#if defined(__x86_64__) || defined(__aarch64__)
bool can_evict() { return true; }

void evict(const void* memory, size_t bytes) {
  if (bytes == 0) return;
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  flush(begin, begin + bytes);
}
#else
bool can_evict() { return false; }

void evict(const void*, size_t) {}
#endif

}  // namespace lathe::support
