// Random programs agree with the interpreter.
#include <gtest/gtest.h>

#include "codegen/llvm/target.h"
#include "tests/codegen_llvm/agreement.h"

namespace lathe::tests {
namespace {

class LlvmRandom : public ::testing::TestWithParam<int> {};

TEST_P(LlvmRandom, programs_agree_with_the_interpreter) {
  for (const ir::Target& machine : runnable_targets()) {
    const ir::Target target = with_lanes(machine, GetParam());
    for (uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const RandomProgram random = random_program(seed, target);
      ASSERT_TRUE(agrees(random.program, arguments_of(random)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Lanes, LlvmRandom, ::testing::Values(1, 4, 8, 16));

}  // namespace
}  // namespace lathe::tests
