// Products of two variable sides as machine code: every number of rows about a tile, odd sizes,
// every type, transpose and epilogue.
#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "tests/kernels_native/product_checks.h"

namespace lathe::tests {
namespace {

constexpr const char* kTransposes[] = {"", "transpose_a=true ", "transpose_b=true ",
                                       "transpose_a=true transpose_b=true "};

class NativeBatchedMatmul : public ProductChecks {
 protected:
  NativeBatchedMatmul() : ProductChecks("batched_matmul batch=3") {}

  // The four ways the sides can lie, the outermost loop: a sample of the checks has all of them.
  void each_way(const std::function<void(const std::string&)>& visit) {
    for (const char* transposes : kTransposes) visit(transposes);
  }
};

TEST_P(NativeBatchedMatmul, AgreesForEveryNumberOfRows) {
  std::vector<int64_t> counts = {127, 128, 129};
  for (int64_t rows = 1; rows <= 33; ++rows) counts.push_back(rows);
  each_way([&](const std::string& way) {
    for (const int64_t rows : counts) check(way + "n=37 k=35", rows);
  });
}

TEST_P(NativeBatchedMatmul, AgreesForOddSizes) {
  each_way([&](const std::string& way) {
    for (const int64_t n : {1, 7, 16, 31, 129}) {
      for (const int64_t k : {1, 5, 33, 127}) {
        for (const int64_t rows : {1, 5, 23}) check(fmt::format("{}n={} k={}", way, n, k), rows);
      }
    }
  });
}

TEST_P(NativeBatchedMatmul, AgreesForEveryTypeOfOperand) {
  each_way([&](const std::string& way) {
    for (const char* type : {"f32", "f16", "bf16"}) {
      for (const char* b_type : {"f32", "f16", "bf16"}) {
        for (const char* out : {"f32", "f16", "bf16"}) {
          for (const int64_t rows : {1, 9, 40}) {
            check(fmt::format("{}n=21 k=30 type={} b_type={} out={}", way, type, b_type, out),
                  rows);
          }
        }
      }
    }
  });
}

TEST_P(NativeBatchedMatmul, AgreesWithEveryEpilogue) {
  for (const char* epilogue : {"mul(y,0.125)", "add(y,vec(c))", "add(y,r)", "gelu_erf(y)",
                               "add(mul(y,col(s)),x)", "silu(add(y,vec(w)))"}) {
    for (const int64_t rows : {1, 7, 45}) {
      check(fmt::format("n=27 k=39 epilogue={}", epilogue), rows);
      check(fmt::format("n=24 k=40 group=2 out=bf16 epilogue={}", epilogue), rows);
    }
  }
}

// Several blocks of rows, columns and k; matrices of b that groups share; each value of each knob.
TEST_P(NativeBatchedMatmul, AgreesWithEveryKnobValue) {
  for (const char* parameters :
       {"n=150 k=530 epilogue=add(y,vec(c))", "n=48 k=70 type=f16 group=2 transpose_b=true",
        "n=140 k=525 transpose_a=true"}) {
    for (const int64_t rows : {1, 11}) check(parameters, rows, true);
  }
  const bool slow = GetParam() == std::string("scalar") || GetParam() == std::string("llvm");
  if (!slow) check("n=150 k=530 epilogue=silu(y)", 210, true);
}

TEST_P(NativeBatchedMatmul, AgreesOnAdversarialInputs) {
  each_way([&](const std::string& way) {
    for (const int64_t rows : {1, 6, 37}) {
      for (const InputPattern& pattern : adversarial_patterns(rows))
        check(way + "n=33 k=20", rows, false, pattern);
    }
  });
}

// NaN and infinities of b stay in their columns.
TEST_P(NativeBatchedMatmul, CarriesWhatIsNotFinite) {
  const auto with_special_columns = [](const std::string& line) -> Result<KernelCase> {
    LATHE_TRY(KernelCase kernel_case, make_case(line, 5));
    ir::Tensor& b = kernel_case.inputs[1];
    b.set(3, std::nan(""));
    b.set(b.elements() - 2, HUGE_VAL);
    b.set(b.elements() / 2, -HUGE_VAL);
    LATHE_TRY(const ir::graph::Graph graph,
              kernel_case.problem.family().reference(kernel_case.problem));
    LATHE_TRY(kernel_case.expected, ir::graph::evaluate_double(graph, kernel_case.inputs));
    return kernel_case;
  };
  each_way([&](const std::string& way) {
    const auto kernel_case = with_special_columns("batched_matmul batch=3 rows=5 n=19 k=6 " + way);
    ASSERT_TRUE(kernel_case) << kernel_case.error().message;
    const auto& problem = kernel_case->problem;
    const ir::Target& target = executor_->target();
    const Status status =
        run_case(*kernel_case, problem.family().space(problem, target).default_schedule(), target,
                 executor_->executor());
    EXPECT_TRUE(status) << way << status.error().message;
  });
}

TEST_P(NativeBatchedMatmul, AgreesOnPaddedRowsAndAnyNumberOfThreads) {
  each_way([&](const std::string& way) {
    for (const int threads : {1, 2, 3, 16}) {
      for (const int64_t rows : {1, 6, 300}) {
        check(way + "n=50 k=20 epilogue=add(y,r)", rows, false, InputKind::normal,
              {.padding = 3, .threads = threads});
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Targets, NativeBatchedMatmul,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
