// Products with 8-bit weights of one scale a channel as machine code: odd sizes about a tile, a
// group of four and a unit of sixteen k, every number of rows about a tile and a block.
#include <gtest/gtest.h>

#include "tests/kernels_native/product_checks.h"

namespace lathe::tests {
namespace {

class NativeLinearInt8 : public ProductChecks {
 protected:
  NativeLinearInt8() : ProductChecks("linear") {}

  // Whether emitting takes long: a panel is sixteen columns of code, or goes through LLVM.
  static bool is_slow() {
    return GetParam() == std::string("scalar") || GetParam() == std::string("llvm");
  }
};

TEST_P(NativeLinearInt8, AgreesForEveryNumberOfRows) {
  for (const int64_t rows : {1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 31, 32, 33, 48, 129})
    check("n=37 k=67 weight=i8", rows);
}

TEST_P(NativeLinearInt8, AgreesForOddSizes) {
  for (const int64_t n : {1, 7, 16, 31, 64}) {
    for (const int64_t k : {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 100}) {
      for (const int64_t rows : {1, 2, 7, 8, 31, 33})
        check(fmt::format("n={} k={} weight=i8", n, k), rows);
    }
  }
}

TEST_P(NativeLinearInt8, AgreesForEveryTypeOfOperand) {
  for (const char* type : {"f32", "f16", "bf16"}) {
    for (const char* out : {"f32", "f16", "bf16"}) {
      for (const int64_t rows : {1, 9, 50})
        check(fmt::format("n=21 k=70 weight=i8 type={} out={}", type, out), rows);
    }
  }
}

TEST_P(NativeLinearInt8, AgreesWithEveryEpilogue) {
  for (const int64_t rows : {1, 7, 45}) {
    for (const char* epilogue : {"add(y,vec(b))", "add(y,r)", "gelu_tanh(add(y,vec(b)))", "silu(y)",
                                 "add(mul(y,col(s)),r)"})
      check(fmt::format("n=27 k=39 weight=i8 epilogue={}", epilogue), rows);
    check("n=27 k=39 pair=true weight=i8 epilogue=mul(silu(y),z)", rows);
    check("n=40 k=39 panel=32 out=bf16 weight=i8 epilogue=add(y,r)", rows);
  }
}

TEST_P(NativeLinearInt8, AgreesWithEveryKnobValue) {
  for (const int64_t rows : {1, 3, 11})
    check("n=150 k=100 weight=i8 epilogue=add(y,vec(b))", rows, true);
  check("n=40 k=50 weight=i8 epilogue=silu(y)", 3, true);
  if (!is_slow()) check("n=150 k=300 weight=i8 epilogue=add(y,vec(b))", 210, true);
}

// A row of x with a NaN or an infinity is NaN, and no other.
TEST_P(NativeLinearInt8, AgreesOnAdversarialInputs) {
  for (const int64_t rows : {1, 6, 37}) {
    for (const InputPattern& pattern : adversarial_patterns(rows))
      check("n=33 k=70 weight=i8", rows, false, pattern);
  }
}

TEST_P(NativeLinearInt8, AgreesOnPaddedRowsAndAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 16}) {
    for (const int64_t rows : {1, 6, 100}) {
      check("n=150 k=75 weight=i8 epilogue=add(y,r)", rows, false, InputKind::normal,
            {.padding = 3, .threads = threads});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, NativeLinearInt8,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
