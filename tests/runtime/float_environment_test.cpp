// Kernels compute the same bits whatever rounding and flushing their caller, or the thread that
// made the library, had set; and they leave it as it was.
#include "runtime/cpu/float_environment.h"

#include <cfenv>
#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <lathe/lathe.h>

namespace lathe {
namespace {

#if defined(__x86_64__)

constexpr unsigned kUsual = 0x1f80, kFlush = 0x8040, kDown = 0x2000, kUp = 0x4000, kCut = 0x6000,
                   kInexact = 0x1000;  // all traps but that one
const std::vector<unsigned> kModes = {kUsual | kFlush, kUsual | kDown, kUsual | kUp,
                                      kUsual | kCut | kFlush, kInexact | kDown};

class Mode {
 public:
  explicit Mode(unsigned mode) : before_(_mm_getcsr()) { _mm_setcsr(mode); }
  ~Mode() { _mm_setcsr(before_); }

 private:
  unsigned before_;
};

// Values among which are subnormal ones, and results that rounding changes.
std::vector<float> values(size_t count) {
  std::vector<float> result(count);
  for (size_t i = 0; i < count; ++i)
    result[i] = i % 7 == 0 ? 1e-39F * static_cast<float>(i) : std::sin(static_cast<float>(i)) * 3;
  return result;
}

std::vector<float> run(const Kernel& kernel) {
  constexpr int64_t kRows = 64, kWidth = 96;
  static const std::vector<float> x = values(kRows * kWidth), w = values(kWidth);
  std::vector<float> y(kRows * kWidth, -1);
  const TensorView in_x(x.data(), {kRows, kWidth}), in_w(w.data(), {kWidth}),
      out(y.data(), {kRows, kWidth});
  const bool norm = kernel.problem().find("rms_norm") == 0;
  const Status status = norm ? kernel({in_x, in_w}, {out}) : kernel({in_x}, {out});
  EXPECT_TRUE(status) << status.error().message;
  return y;
}

TEST(FloatEnvironment, ResultsAreTheSameBitsInEveryMode) {
  for (const char* target : {"scalar", "sse", "avx2", "avx512", "llvm"}) {
    for (const int threads : {1, 3}) {
      const auto usual = Library::open({.target = target, .threads = threads, .store = "none"});
      if (!usual) continue;  // this CPU or build has no such target
      for (const char* problem : {"rms_norm rows=64 width=96", "softmax rows=64 width=96",
                                  "silu rows=64 width=96", "relu rows=64 width=96"}) {
        const auto kernel = usual->fetch_problem(problem);
        ASSERT_TRUE(kernel) << kernel.error().message;
        const std::vector<float> expected = run(*kernel);
        for (const unsigned mode : kModes) {
          std::vector<float> found, elsewhere;
          unsigned after = 0;
          {
            const Mode set(mode);
            // A library whose threads begin in this mode, too.
            const auto own = Library::open({.target = target, .threads = threads, .store = "none"});
            found = run(*kernel);
            elsewhere = run(*own->fetch_problem(problem));
            after = _mm_getcsr();
          }
          EXPECT_EQ(after & ~0x3fU, mode & ~0x3fU) << "the mode is as it was";
          const auto same = [&](const std::vector<float>& bits) {
            return std::memcmp(bits.data(), expected.data(), expected.size() * 4) == 0;
          };
          EXPECT_TRUE(same(found))
              << target << ", " << threads << " threads, " << problem << ", mode " << mode;
          EXPECT_TRUE(same(elsewhere)) << target << ", " << threads << " threads, " << problem
                                       << ", library made in mode " << mode;
        }
      }
    }
  }
}

#endif

TEST(FloatEnvironment, IsPutBack) {
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  {
    const runtime::DefaultFloatEnvironment environment;
    volatile float one = 1, tiny = 1e-30F;
    EXPECT_EQ(one + tiny, 1);
  }
  volatile float one = 1, tiny = 1e-30F;
  EXPECT_GT(one + tiny, 1);
  ASSERT_EQ(std::fesetround(FE_TONEAREST), 0);
}

}  // namespace
}  // namespace lathe
