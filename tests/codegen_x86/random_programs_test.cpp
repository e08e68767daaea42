// Random programs give the same memory natively as interpreted, on every target.
#include <gtest/gtest.h>

#include "tests/codegen_x86/harness.h"
#include "tests/support/random_program.h"

namespace lathe::tests {
namespace {

constexpr uint64_t kSeeds = 200;

class RandomPrograms : public testing::TestWithParam<size_t> {};

TEST_P(RandomPrograms, AgreeWithTheInterpreter) {
  const ir::Target target = x86_targets()[GetParam()];
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RandomProgramOptions options;
    options.steps = 10 + static_cast<int>(seed % 5) * 20;
    const RandomProgram random = random_program(seed, target, options);
    std::vector<Bytes> buffers;
    for (const ir::Tensor& tensor : random.buffers)
      buffers.emplace_back(tensor.data(), tensor.data() + tensor.bytes());
    ASSERT_TRUE(
        agrees(random.program, buffers, random.parameters, {.floats = false, .alignment = 64}))
        << "seed " << seed;
  }
}

std::string target_name(const testing::TestParamInfo<size_t>& info) {
  const ir::Target target = x86_targets()[info.param];
  return target.name + (target.vnni ? "_vnni" : "");
}

INSTANTIATE_TEST_SUITE_P(Targets, RandomPrograms, testing::Range<size_t>(0, 5), target_name);

}  // namespace
}  // namespace lathe::tests
