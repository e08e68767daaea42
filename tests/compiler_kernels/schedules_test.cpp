// Every value of every knob computes the same thing.
#include <gtest/gtest.h>

#include "tests/compiler_kernels/every_knob.h"

namespace lathe::tests {
namespace {

class Schedules : public testing::TestWithParam<std::string> {};

TEST_P(Schedules, EveryKnobValueAgreesWithTheOracle) {
  const ir::Target target = *ir::parse_target(GetParam());
  for (const int64_t width : {72, 257}) {
    for (const std::string& line : problem_lines("f32", width))
      check_every_knob_value(line, 4, target);
  }
  for (const std::string& line : problem_lines("bf16", 72)) check_every_knob_value(line, 4, target);
}

// Knobs that only larger problems have: streaming stores, several blocks of rows.
TEST_P(Schedules, EveryKnobValueOfALargeBucketAgreesWithTheOracle) {
  const ir::Target target = *ir::parse_target(GetParam());
  for (const char* line : {"rms_norm rows=8192 width=1024 prologue=add(x,r) keep=true",
                           "layer_norm rows=8192 width=1024", "softmax rows=8192 width=1024",
                           "relu rows=8192 width=1024", "embedding rows=8192 width=1024",
                           "rope rows=8192 heads=16 dim=64 norm=true section=32:0:0 kind=mrope",
                           "quantize rows=8192 width=1024"}) {
    check_every_knob_value(line, 5, target);
  }
}

// Tiles, panels and blocks of a product: whole ones and what is left of each.
TEST_P(Schedules, EveryKnobValueOfAProductAgreesWithTheOracle) {
  const ir::Target target = *ir::parse_target(GetParam());
  for (const char* parameters :
       {"n=67 k=37 transpose_a=true", "n=140 k=19 transpose_b=true group=2",
        "n=17 k=519 transpose_a=true transpose_b=true type=bf16 out=f32"}) {
    check_every_knob_value(fmt::format("batched_matmul batch=2 rows=32 {}", parameters), 33,
                           target);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Schedules, testing::Values("scalar", "sse", "avx2", "avx512"));

}  // namespace
}  // namespace lathe::tests
