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
  const auto run = [&](const KernelCase& kernel_case) {
    const ir::Target& target = executor_->target();
    const auto space = kernel_case.problem.family().space(kernel_case.problem, target);
    return outputs_of(kernel_case, space.default_schedule(), target, executor_->executor());
  };
  for (const Weight& weight : kWeights) {
    for (const char* type : {"f32", "bf16"}) {
      for (const int64_t rows : {1, 6, 40}) {
        if (is_slow() && rows == 6) continue;
        const std::string line =
            fmt::format("linear rows={} n=37 k=512 weight={} out=f32", rows, weight.name);
        const auto whole = make_case(fmt::format("{} type={}", line, type), rows);
        ASSERT_TRUE(whole) << whole.error().message;
        auto quantize =
            make_case(fmt::format("quantize rows={} width=512 type={}", rows, type), rows);
        ASSERT_TRUE(quantize) << quantize.error().message;
        quantize->inputs = {whole->inputs.front()};
        const auto blocks = run(*quantize);
        ASSERT_TRUE(blocks) << blocks.error().message;
        auto before = make_case(line + " type=q8_0", rows);
        ASSERT_TRUE(before) << before.error().message;
        before->inputs = whole->inputs;
        before->inputs.front() = blocks->front();
        const auto expected = run(*whole), found = run(*before);
        ASSERT_TRUE(expected && found);
        EXPECT_EQ(std::memcmp(found->front().data(), expected->front().data(),
                              static_cast<size_t>(expected->front().bytes())),
                  0)
            << line << " type=" << type << ", " << rows << " rows";
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
    for (const InputKind kind : {InputKind::offset, InputKind::large, InputKind::tiny,
                                 InputKind::special, InputKind::masked}) {
      for (const int64_t rows : {1, 6, 37})
        check(fmt::format("n=33 k=256 weight={}", weight.name), rows, false, kind);
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
