// Products with block-quantised weights as machine code.
#include <cstring>

#include <gtest/gtest.h>

#include "tests/kernels_native/product_checks.h"

namespace lathe::tests {
namespace {

class NativeLinearQuantised : public ProductChecks {
 protected:
  NativeLinearQuantised() : ProductChecks("linear") {}

  // Whether emitting takes long: a panel is sixteen columns of code, or goes through LLVM.
  static bool is_slow() {
    return GetParam() == std::string("scalar") || GetParam() == std::string("llvm");
  }

  // The last output, by the default schedule.
  ir::Tensor run(const KernelCase& kernel_case) {
    const ir::Target& target = executor_->target();
    const auto space = kernel_case.problem.family().space(kernel_case.problem, target);
    auto outputs = outputs_of(kernel_case, space.default_schedule(), target, executor_->executor());
    EXPECT_TRUE(outputs) << kernel_case.problem.line() << ": " << outputs.error().message;
    return outputs ? outputs->back() : ir::Tensor();
  }

  // x by the family quantize.
  ir::Tensor quantised(const ir::Tensor& x, int64_t rows, int64_t width) {
    auto quantize = make_case(
        fmt::format("quantize rows={} width={} type={}", rows, width, ir::name(x.type())), rows);
    EXPECT_TRUE(quantize) << quantize.error().message;
    quantize->inputs = {x};
    return run(*quantize);
  }

  static void expect_same_bits(const ir::Tensor& found, const ir::Tensor& expected,
                               const std::string& line) {
    ASSERT_EQ(found.bytes(), expected.bytes());
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), static_cast<size_t>(expected.bytes())), 0)
        << line;
  }
};

struct Weight {
  const char* name;
  int block;
};
constexpr Weight kWeights[] = {{"q8_0", 32}, {"q4_0", 32}, {"q4_K", 256}};

TEST_P(NativeLinearQuantised, AgreesForEveryNumberOfRows) {
  std::vector<int64_t> counts = {127, 128, 129};
  for (int64_t rows = 1; rows <= 33; rows += is_slow() ? 8 : 1) counts.push_back(rows);
  for (const Weight& weight : kWeights) {
    for (const int64_t rows : counts)
      check(fmt::format("n=37 k={} weight={}", 256, weight.name), rows);
  }
}

TEST_P(NativeLinearQuantised, AgreesForOddSizes) {
  for (const Weight& weight : kWeights) {
    for (const int64_t n : {1, 2, 7, 16, 31, 64}) {
      for (const int64_t blocks : {1, 2, 3, 5}) {
        if (is_slow() && (n + blocks) % 3 != 0) continue;
        for (const int64_t rows : {1, 5, 40})
          check(fmt::format("n={} k={} weight={}", n, blocks * weight.block, weight.name), rows);
      }
    }
  }
}

TEST_P(NativeLinearQuantised, AgreesForEveryTypeOfOperand) {
  for (const Weight& weight : kWeights) {
    for (const char* type : {"f32", "f16", "bf16", "q8_0"}) {
      for (const char* out : {"f32", "f16", "bf16"}) {
        for (const int64_t rows : {1, 9, 50}) {
          if (is_slow() && rows == 9) continue;
          check(fmt::format("n=21 k=256 type={} weight={} out={}", type, weight.name, out), rows);
        }
      }
    }
  }
}

TEST_P(NativeLinearQuantised, AgreesForRowsQuantisedBefore) {
  for (const Weight& weight : kWeights) {
    for (const int64_t blocks : {1, 2, 3, 5}) {
      for (const int64_t rows : {1, 2, 7, 33, 130})
        check(fmt::format("n=37 k={} type=q8_0 weight={}", blocks * weight.block, weight.name),
              rows);
    }
    for (const int64_t rows : {1, 9, 45}) {
      const std::string line = fmt::format("n=40 k=256 type=q8_0 weight={}", weight.name);
      check(line + " pair=true epilogue=mul(silu(y),z)", rows);
      check(line + " out=bf16 epilogue=add(mul(y,col(s)),r)", rows);
      check(line, rows, false, InputKind::special, {.padding = 3, .threads = 3});
    }
  }
}

// Whoever quantises x, the products are the same bits.
TEST_P(NativeLinearQuantised, RowsQuantisedBeforeGiveTheSameBits) {
  for (const Weight& weight : kWeights) {
    for (const char* type : {"f32", "bf16"}) {
      for (const int64_t rows : {1, 6, 40}) {
        if (is_slow() && rows == 6) continue;
        const std::string line =
            fmt::format("linear rows={} n=37 k=512 weight={} out=f32", rows, weight.name);
        const auto whole = make_case(fmt::format("{} type={}", line, type), rows);
        auto before = make_case(line + " type=q8_0", rows);
        ASSERT_TRUE(whole && before);
        before->inputs = whole->inputs;
        before->inputs.front() = quantised(whole->inputs.front(), rows, 512);
        expect_same_bits(run(*before), run(*whole), before->problem.line());
      }
    }
  }
}

TEST_P(NativeLinearQuantised, AgreesWhereItQuantisesWhatItMakes) {
  for (const Weight& weight : kWeights) {
    const std::string line = fmt::format("k=256 out=q8_0 type=q8_0 weight={}", weight.name);
    for (const int64_t n : {32, 64, 96, 608}) {
      for (const int64_t rows : {1, 7, 45})
        check(fmt::format("{} n={} epilogue=add(y,vec(b))", line, n), rows, false,
              InputKind::normal, {.padding = 3, .threads = 3});
    }
    for (const int64_t rows : {1, 6, 210}) {
      check(line + " n=96 panel=32 pair=true epilogue=mul(silu(y),z)", rows);
      check(line + " n=96 panel=64 epilogue=add(y,r)", rows);
    }
    check(line + " n=160 epilogue=silu(y)", 5, true);
    if (!is_slow()) check(line + " n=160 pair=true epilogue=mul(silu(y),z)", 70, true);
    check(line + " n=64", 6, false, InputKind::special);
  }
  for (const char* weight : {"f32", "bf16", "i8"}) {
    for (const int64_t rows : {1, 6, 45})
      check(fmt::format("k=75 n=96 out=q8_0 weight={}", weight), rows);
  }
}

// The bits that the product and the family quantize write one after the other.
TEST_P(NativeLinearQuantised, QuantisesAsQuantizeDoes) {
  for (const Weight& weight : kWeights) {
    for (const char* more : {"", " epilogue=add(y,vec(b))", " pair=true epilogue=mul(silu(y),z)"}) {
      for (const int64_t rows : {1, 6, 40}) {
        if (is_slow() && rows == 6) continue;
        const std::string line =
            fmt::format("linear rows={} n=608 k=256 weight={}{}", rows, weight.name, more);
        const auto found = make_case(line + " out=q8_0", rows);
        auto plain = make_case(line, rows);
        ASSERT_TRUE(found && plain);
        plain->inputs = found->inputs;
        expect_same_bits(run(*found), quantised(run(*plain), rows, 608), line);
      }
    }
  }
}

TEST_P(NativeLinearQuantised, AgreesWithEveryEpilogue) {
  for (const Weight& weight : kWeights) {
    for (const char* epilogue : {"add(y,vec(b))", "add(y,r)", "gelu_tanh(add(y,vec(b)))", "silu(y)",
                                 "add(mul(y,col(s)),r)"}) {
      for (const int64_t rows : {1, 7, 45})
        check(fmt::format("n=27 k=256 weight={} epilogue={}", weight.name, epilogue), rows);
    }
    for (const int64_t rows : {1, 7, 45}) {
      check(fmt::format("n=27 k=256 pair=true weight={} epilogue=mul(silu(y),z)", weight.name),
            rows);
      check(fmt::format("n=40 k=256 panel=32 out=bf16 weight={} epilogue=add(y,r)", weight.name),
            rows);
    }
  }
}

TEST_P(NativeLinearQuantised, AgreesWithEveryKnobValue) {
  for (const Weight& weight : kWeights) {
    const std::string wide =
        fmt::format("n=150 k=512 weight={} epilogue=add(y,vec(b))", weight.name);
    for (const int64_t rows : {1, 3, 11}) check(wide, rows, true);
    check(fmt::format("n=40 k=256 weight={} epilogue=silu(y)", weight.name), 3, true);
    if (!is_slow()) check(wide, 210, true);
  }
}

// A block of x with a NaN or an infinity makes its whole row NaN, and no other.
TEST_P(NativeLinearQuantised, AgreesOnAdversarialInputs) {
  for (const Weight& weight : kWeights) {
    for (const int64_t rows : {1, 6, 37}) {
      for (const InputPattern& pattern : adversarial_patterns(rows))
        check(fmt::format("n=33 k=256 weight={}", weight.name), rows, false, pattern);
    }
  }
}

TEST_P(NativeLinearQuantised, AgreesOnPaddedRowsAndAnyNumberOfThreads) {
  for (const Weight& weight : kWeights) {
    for (const int threads : {1, 2, 3, 16}) {
      for (const int64_t rows : {1, 6, 100}) {
        check(fmt::format("n=150 k=512 weight={} epilogue=add(y,r)", weight.name), rows, false,
              InputKind::normal, {.padding = 3, .threads = threads});
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, NativeLinearQuantised,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
