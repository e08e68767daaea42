// The random program generator keeps its promises: valid, terminating, and all ops in use.
#include "tests/support/random_program.h"

#include <set>

#include <gtest/gtest.h>

#include "ir/program/interpreter.h"
#include "ir/program/printer.h"
#include "ir/program/verifier.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT

constexpr uint64_t kSeeds = 300;

std::vector<BufferView> views(RandomProgram& random) {
  std::vector<BufferView> result;
  for (ir::Tensor& tensor : random.buffers) result.push_back({tensor.data(), tensor.bytes(), 0});
  return result;
}

void collect(const Block& block, std::set<Op>& ops) {
  for (const Node& node : block) {
    if (const auto* instr = std::get_if<Instr>(&node.value)) ops.insert(instr->op);
    if (const auto* loop = std::get_if<Loop>(&node.value)) collect(loop->body, ops);
    if (const auto* branch = std::get_if<Branch>(&node.value)) {
      collect(branch->then, ops);
      collect(branch->otherwise, ops);
    }
  }
}

class RandomProgramTest : public testing::TestWithParam<const char*> {};

TEST_P(RandomProgramTest, VerifiesAndRunsOnEverySeed) {
  const ir::Target target = *ir::parse_target(GetParam());
  std::set<Op> ops;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomProgram random = random_program(seed, target);
    const Status verified = verify(random.program);
    ASSERT_TRUE(verified) << "seed " << seed << ": " << verified.error().message << "\n"
                          << print(random.program);
    const auto trace = interpret(random.program, views(random), random.parameters);
    ASSERT_TRUE(trace) << "seed " << seed << ": " << trace.error().message << "\n"
                       << print(random.program);
    collect(random.program.body, ops);
  }
  for (size_t op = 0; op < all_ops().size(); ++op)
    EXPECT_TRUE(ops.contains(static_cast<Op>(op))) << all_ops()[op].name << " is never generated";
}

TEST_P(RandomProgramTest, TheSameSeedGivesTheSameProgram) {
  const ir::Target target = *ir::parse_target(GetParam());
  const RandomProgram a = random_program(7, target), b = random_program(7, target);
  EXPECT_EQ(print(a.program), print(b.program));
  EXPECT_EQ(a.parameters, b.parameters);
  EXPECT_NE(print(a.program), print(random_program(8, target).program));
}

INSTANTIATE_TEST_SUITE_P(Targets, RandomProgramTest,
                         testing::Values("scalar", "sse", "avx2", "avx512"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
