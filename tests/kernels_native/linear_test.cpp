// Matrix products as machine code: every number of rows about a tile and a block, odd sizes, every
// weight type, every epilogue.
#include <gtest/gtest.h>

#include "tests/kernels_native/product_checks.h"

namespace lathe::tests {
namespace {

class NativeLinear : public ProductChecks {
 protected:
  NativeLinear() : ProductChecks("linear") {}
};

TEST_P(NativeLinear, AgreesForEveryNumberOfRows) {
  std::vector<int64_t> counts = {127, 128, 129};
  for (int64_t rows = 1; rows <= 33; ++rows) counts.push_back(rows);
  for (const int64_t rows : counts) {
    check("n=37 k=67", rows);
    check("n=35 k=66 weight=bf16 epilogue=add(y,vec(b))", rows);
  }
}

TEST_P(NativeLinear, AgreesForOddSizes) {
  for (const int64_t n : {1, 2, 7, 16, 31, 64}) {
    for (const int64_t k : {1, 2, 5, 63, 256}) {
      for (const int64_t rows : {1, 5, 40}) check(fmt::format("n={} k={}", n, k), rows);
    }
  }
}

TEST_P(NativeLinear, AgreesForEveryTypeOfOperand) {
  for (const char* type : {"f32", "f16", "bf16"}) {
    for (const char* weight : {"f32", "f16", "bf16"}) {
      for (const char* out : {"f32", "f16", "bf16"}) {
        for (const int64_t rows : {1, 9, 50}) {
          check(fmt::format("n=21 k=70 type={} weight={} out={}", type, weight, out), rows);
        }
      }
    }
  }
}

TEST_P(NativeLinear, AgreesWithEveryEpilogue) {
  for (const char* epilogue :
       {"add(y,vec(b))", "add(y,r)", "gelu_tanh(add(y,vec(b)))", "gelu_erf(y)", "silu(y)",
        "mul(y,0.125)", "add(mul(y,col(s)),r)", "relu(y)"}) {
    for (const int64_t rows : {1, 7, 45}) {
      check(fmt::format("n=27 k=39 epilogue={}", epilogue), rows);
      check(fmt::format("n=24 k=600 out=bf16 epilogue={}", epilogue), rows);
    }
  }
  for (const int64_t rows : {1, 7, 45}) {
    check("n=27 k=39 pair=true epilogue=mul(silu(y),z)", rows);
    check("n=24 k=600 pair=true panel=32 weight=f16 epilogue=mul(silu(y),z)", rows);
  }
}

// Several blocks of rows, columns and k; each value of each knob.
TEST_P(NativeLinear, AgreesWithEveryKnobValue) {
  const bool slow = GetParam() == std::string("scalar") || GetParam() == std::string("llvm");
  for (const char* parameters :
       {"n=150 k=600 epilogue=add(y,vec(b))", "n=40 k=512 weight=bf16",
        "n=48 k=257 weight=f16 type=f16", "n=33 k=300 pair=true epilogue=mul(silu(y),z)"}) {
    for (const int64_t rows : {1, 3, 11}) check(parameters, rows, true);
    if (!slow) check(parameters, 70, true);
  }
  // The last block of k ends with fewer steps than a trip has.
  if (!slow) check("n=150 k=603 epilogue=silu(y)", 210, true);
}

TEST_P(NativeLinear, AgreesOnAdversarialInputs) {
  for (const int64_t rows : {1, 6, 37}) {
    for (const InputPattern& pattern : adversarial_patterns(rows)) {
      check("n=33 k=70", rows, false, pattern);
      check("n=33 k=70 weight=bf16 epilogue=add(silu(y),r)", rows, false, pattern);
    }
  }
}

TEST_P(NativeLinear, AgreesOnPaddedRowsAndAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 16}) {
    for (const int64_t rows : {1, 6, 100}) {
      for (const int64_t padding : {0, 3})
        check("n=150 k=530 epilogue=add(y,r)", rows, false, InputKind::normal,
              {.padding = padding, .threads = threads});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, NativeLinear,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
