// Objects for aarch64, linked by its compiler and run by an emulator, agree with the interpreter.
#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/target.h"
#include "tests/codegen_llvm/agreement.h"
#include "tests/codegen_llvm/every_op.h"
#include "tests/support/cross_run.h"

namespace lathe::tests {
namespace {

struct Case {
  ir::program::Program program;
  Arguments arguments;
};

// All programs in one emulated process: starting it is what costs time.
void expect_agreement(std::vector<Case> cases) {
  const std::string missing = missing_cross_tools();
  if (!missing.empty()) GTEST_SKIP() << missing;
  const auto backend = codegen::llvm::make_backend();
  std::vector<codegen::KernelImage> images;
  std::vector<CrossKernel> kernels;
  std::vector<CrossJob> jobs;
  for (size_t i = 0; i < cases.size(); ++i) {
    cases[i].program.name += "_" + std::to_string(i);
    auto image = backend->compile(cases[i].program);
    ASSERT_TRUE(image) << image.error().message;
    images.push_back(std::move(*image));
    jobs.push_back(one_call(i, cases[i].arguments.buffers, cases[i].arguments.parameters));
  }
  for (const auto& image : images) kernels.push_back({image.name, image.code});
  const auto results = cross_run(kernels, jobs);
  ASSERT_TRUE(results) << results.error().message;
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& [program, arguments] = cases[i];
    EXPECT_TRUE(same_results(program, interpreted(program, arguments),
                             {(*results)[i], arguments.parameters}));
  }
}

TEST(LlvmCross, every_instruction_on_aarch64) {
  std::vector<Case> cases;
  for (const int lanes : {1, 4, 8, 16}) {
    EveryOp test = every_op(with_lanes(*codegen::llvm::target_for("aarch64-linux-gnu"), lanes));
    cases.push_back({std::move(test.program), std::move(test.arguments)});
  }
  expect_agreement(std::move(cases));
}

TEST(LlvmCross, random_programs_on_aarch64) {
  std::vector<Case> cases;
  for (const char* cpu : {"aarch64-linux-gnu", "cortex-a76"})
    for (uint64_t seed = 0; seed < 12; ++seed) {
      const RandomProgram random = random_program(seed, *codegen::llvm::target_for(cpu));
      cases.push_back({random.program, arguments_of(random)});
    }
  expect_agreement(std::move(cases));
}

TEST(LlvmCross, an_access_beyond_a_buffer_is_found) {
  const std::string missing = missing_cross_tools();
  if (!missing.empty()) GTEST_SKIP() << missing;
  EveryOp test = every_op(*codegen::llvm::target_for("aarch64-linux-gnu"));
  const auto image = codegen::llvm::make_backend()->compile(test.program);
  ASSERT_TRUE(image) << image.error().message;
  const CrossKernel kernels[] = {{image->name, image->code}};
  test.arguments.buffers[0].resize(64);
  const CrossJob jobs[] = {one_call(0, test.arguments.buffers, test.arguments.parameters)};
  const auto results = cross_run(kernels, jobs);
  ASSERT_FALSE(results);
  EXPECT_EQ(results.error().code, ErrorCode::mismatch);
  EXPECT_NE(results.error().message.find("a fault in job 0, call 0, kernel 0"), std::string::npos)
      << results.error().message;
}

}  // namespace
}  // namespace lathe::tests
