// Where codes change: values at halves of a step, and next to them.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

// The largest magnitude of 127 makes the step 1: values are their own codes before rounding.
TEST(Quantize, HalvesGoAwayFromZeroAndWhatIsBelowThemDoesNot) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = *ir::parse_target(name);
    auto kernel_case = make_case("quantize rows=8 width=128", 2);
    ASSERT_TRUE(kernel_case) << kernel_case.error().message;
    ir::Tensor& x = kernel_case->inputs.front();
    for (int64_t i = 0; i < x.elements(); ++i) {
      const auto half = static_cast<float>(i / 4 % 64 * 2) / 2 + 0.5F;
      const float magnitude = i % 4 < 2 ? half : std::nextafterf(half, 0);
      x.set(i, i % 2 == 0 ? magnitude : -magnitude);
    }
    for (int64_t block = 0; block < x.elements(); block += 32) x.set(block, 127);
    const auto graph = kernel_case->problem.family().reference(kernel_case->problem);
    ASSERT_TRUE(graph);
    kernel_case->expected = *ir::graph::evaluate_double(*graph, kernel_case->inputs);
    kernel_case->rounded = *ir::graph::evaluate(*graph, kernel_case->inputs);
    // 0.5, -0.5 and what is next to them, behind the first of 127.
    const std::byte* codes = kernel_case->rounded.front().data() + 2;
    EXPECT_EQ(static_cast<int8_t>(codes[1]), -1);
    EXPECT_EQ(static_cast<int8_t>(codes[2]), 0);
    EXPECT_EQ(static_cast<int8_t>(codes[3]), 0);
    const auto space = kernel_case->problem.family().space(kernel_case->problem, target);
    for (const compiler::Schedule& schedule : every_knob_value(space)) {
      const Status status = run_case(*kernel_case, schedule, target, interpreted());
      EXPECT_TRUE(status) << name << " with " << space.print(schedule) << ": "
                          << status.error().message;
    }
  }
}

}  // namespace
}  // namespace lathe::tests
