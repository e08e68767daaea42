// Every function of the fragment language, alone, against the oracle.
#include <cctype>

#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

class Fragments : public testing::TestWithParam<std::string> {};

TEST_P(Fragments, AgreeWithTheOracle) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = *ir::parse_target(name);
    for (const InputKind kind : {InputKind::normal, InputKind::special}) {
      const auto kernel_case = make_case("elementwise rows=8 width=19 expr=" + GetParam(), 4, kind);
      ASSERT_TRUE(kernel_case) << kernel_case.error().message;
      const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
      for (const compiler::Schedule& schedule : every_knob_value(space)) {
        const Status status = run_case(*kernel_case, schedule, target, interpreted());
        EXPECT_TRUE(status) << name << " " << to_string(kind) << " " << space.print(schedule)
                            << ": " << status.error().message;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Functions, Fragments,
    testing::Values("x", "add(x,r)", "sub(x,r)", "mul(x,r)", "div(x,r)", "neg(x)", "abs(x)",
                    "min(x,r)", "max(x,r)", "min(x,0.5)", "min(0.5,x)", "max(x,0.5)", "max(0.5,x)",
                    "fma(x,r,q)", "exp(x)", "tanh(x)", "erf(x)", "sqrt(x)", "rsqrt(abs(x))",
                    "recip(x)", "sigmoid(x)", "silu(x)", "relu(x)", "gelu_tanh(x)", "gelu_erf(x)",
                    "round_bf16(x)", "round_f16(x)", "where(lt(x,r),1,r)", "where(le(x,r),x,2)",
                    "where(gt(x,r),x,r)", "where(ge(x,0),x,r)", "where(eq(x,x),0,r)",
                    "where(ne(x,x),0,x)", "where(lt(col(s),0),x,r)", "mul(x,vec(w))",
                    "mul(x,col(s))", "mul(x,exp(col(s)))", "add(mul(x,x),mul(x,x))"),
    [](const auto& info) {
      std::string name = std::to_string(info.index) + "_";
      for (const char c : info.param)
        name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

}  // namespace
}  // namespace lathe::tests
