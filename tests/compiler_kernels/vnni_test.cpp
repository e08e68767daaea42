// Products of codes by four-way dots, which few machines that run these tests can: interpreted.
#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

TEST(Vnni, ProductsOfCodesAgreeWithTheOracle) {
  ir::Target target = *ir::parse_target("avx512");
  target.vnni = true;
  for (const std::string weight :
       {"i8", "q8_0", "q4_0", "q8_0 type=q8_0", "q4_0 type=q8_0", "q4_K type=q8_0"}) {
    for (const int64_t rows : {1, 5, 37}) {
      for (const InputKind kind : {InputKind::normal, InputKind::special}) {
        const int64_t k = weight == "i8" ? 75 : weight.starts_with("q4_K") ? 256 : 96;
        const auto kernel_case = make_case(
            fmt::format("linear rows={} n=21 k={} weight={}", rows, k, weight), rows, kind);
        ASSERT_TRUE(kernel_case) << kernel_case.error().message;
        const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
        for (const compiler::Schedule& schedule : every_knob_value(space)) {
          const Status status = run_case(*kernel_case, schedule, target, interpreted());
          EXPECT_TRUE(status) << kernel_case->problem.line() << " with " << space.print(schedule)
                              << ": " << status.error().message;
        }
      }
    }
  }
}

}  // namespace
}  // namespace lathe::tests
