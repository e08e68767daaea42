// Kernels compute the same bits whatever rounding mode and flushing their caller has set.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lathe::runtime {

/// While it lives, this thread rounds to nearest, keeps subnormal numbers and traps nothing; what
/// was set before is put back, with the exception flags of then. Where nothing had been changed it
/// is one read of the control register, and the flags that kernels raise stay.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() : before_(read()) {
    if ((before_ & kControl) != kDefault) write((before_ & ~kControl) | kDefault);
  }
  ~DefaultFloatEnvironment() {
    if ((before_ & kControl) != kDefault) write(before_);
  }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  // MXCSR: flush to zero, rounding (2), six exception masks; denormals are zero. The flags are 0-5.
  static constexpr uint64_t kControl = 0xffc0, kDefault = 0x1f80;
  static uint64_t read() { return _mm_getcsr(); }
  static void write(uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
  // FPCR: alternative half precision, default NaN, flush to zero, rounding (2), flush of f16,
  // traps.
  static constexpr uint64_t kControl = 0x7f89f07, kDefault = 0;
  static uint64_t read() {
    uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
  static constexpr uint64_t kControl = 0, kDefault = 0;
  static uint64_t read() { return 0; }
  static void write(uint64_t) {}
#endif

  const uint64_t before_;
};

}  // namespace lathe::runtime
