// Every kernel family through LLVM agrees with the oracle: on this host, and on aarch64 under
// emulation.
#include <cstring>
#include <map>

#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/target.h"
#include "tests/support/cross_run.h"
#include "tests/support/kernel_cases.h"
#include "tests/support/plan_calls.h"

namespace lathe::tests {
namespace {

constexpr int64_t kRows = 3;
const auto kBackend = codegen::llvm::make_backend();

struct Point {
  std::string line;
  InputKind kind;
};

std::vector<Point> points(const char* type, std::initializer_list<int64_t> widths) {
  std::vector<Point> all;
  for (const int64_t width : widths)
    for (const std::string& line : problem_lines(type, width)) {
      all.push_back({line, InputKind::normal});
      all.push_back({line, InputKind::special});
    }
  return all;
}

Status run_point(const Point& point, const ir::Target& target, const Executor& executor) {
  LATHE_TRY(const KernelCase kernel_case, make_case(point.line, kRows, point.kind));
  const auto schedule =
      kernel_case.problem.family().space(kernel_case.problem, target).default_schedule();
  return run_case(kernel_case, schedule, target, executor);
}

// Compiles, loads and calls, one call after the other.
Status run_here(const ir::plan::Plan& plan, std::span<const ir::plan::OperandView> operands,
                std::span<const int64_t> variables) {
  std::vector<std::unique_ptr<codegen::LoadedKernel>> kernels;
  for (const auto& program : plan.programs) {
    LATHE_TRY(const codegen::KernelImage image, kBackend->compile(program));
    LATHE_TRY(kernels.emplace_back(), kBackend->load(image));
  }
  const PlanCalls calls = calls_of(plan, variables);
  std::vector<ir::Tensor> scratch;
  for (const int64_t bytes : calls.scratch_bytes)
    scratch.emplace_back(ir::Type::u8, std::vector<int64_t>{bytes});
  for (const PlanCall& call : calls.calls) {
    std::vector<uint64_t> slots;
    for (const PlanCall::Place& place : call.buffers) {
      std::byte* base = place.scratch ? scratch[place.index].data()
                                      : operands[place.index].data + operands[place.index].start;
      slots.push_back(reinterpret_cast<uint64_t>(base) + static_cast<uint64_t>(place.offset));
    }
    for (const int64_t parameter : call.parameters)
      slots.push_back(static_cast<uint64_t>(parameter));
    kernels[call.program]->function()(slots.data());
  }
  return {};
}

class LlvmFamilies : public ::testing::TestWithParam<const char*> {};

TEST_P(LlvmFamilies, agree_with_the_oracle_on_this_host) {
  const ir::Target target = codegen::llvm::host_target();
  for (const Point& point : points(GetParam(), {1, 37})) {
    const Status status = run_point(point, target, run_here);
    EXPECT_TRUE(status) << point.line << " " << to_string(point.kind) << ": "
                        << status.error().message;
  }
}

// Everything that the points' plans call on another machine, collected first and run at once:
// starting the emulator costs more than the kernels do.
class CrossBatch {
 public:
  /// For the first pass: writes the work down, and leaves the outputs as they were.
  Executor recorder() {
    return [this](const ir::plan::Plan& plan, std::span<const ir::plan::OperandView> operands,
                  std::span<const int64_t> variables) { return record(plan, operands, variables); };
  }

  Status run() {
    std::vector<CrossKernel> kernels;
    for (const auto& image : images_) kernels.push_back({image.name, image.code});
    LATHE_TRY(results_, cross_run(kernels, jobs_));
    return {};
  }

  /// For the second: puts the results where the kernels would have.
  Executor player() {
    return [this](const ir::plan::Plan&, std::span<const ir::plan::OperandView> operands,
                  std::span<const int64_t>) -> Status {
      const std::vector<size_t>& memory = operand_memory_[played_];
      for (size_t i = 0; i < operands.size(); ++i) {
        const auto& bytes = results_[played_][memory[i]];
        if (!bytes.empty()) std::memcpy(operands[i].data, bytes.data(), bytes.size());
      }
      ++played_;
      return {};
    };
  }

 private:
  Status record(const ir::plan::Plan& plan, std::span<const ir::plan::OperandView> operands,
                std::span<const int64_t> variables) {
    const size_t first_kernel = images_.size();
    for (ir::program::Program program : plan.programs) {
      program.name += "_" + std::to_string(images_.size());
      LATHE_TRY(images_.emplace_back(), kBackend->compile(program));
    }
    CrossJob& job = jobs_.emplace_back();
    std::vector<size_t>& memory = operand_memory_.emplace_back();
    std::map<std::byte*, size_t> known;  // an output may be the memory of an input
    for (const ir::plan::OperandView& operand : operands) {
      const auto [at, fresh] = known.try_emplace(operand.data, job.memory.size());
      if (fresh || operand.bytes == 0) {
        memory.push_back(job.memory.size());
        job.memory.emplace_back(operand.data, operand.data + operand.bytes);
      } else {
        memory.push_back(at->second);
      }
    }
    const PlanCalls calls = calls_of(plan, variables);
    const size_t first_scratch = job.memory.size();
    for (const int64_t bytes : calls.scratch_bytes)
      job.memory.emplace_back(static_cast<size_t>(bytes));
    for (const PlanCall& call : calls.calls) {
      CrossCall& made = job.calls.emplace_back();
      made.kernel = first_kernel + call.program;
      made.parameters = call.parameters;
      for (const PlanCall::Place& place : call.buffers) {
        if (place.scratch)
          made.buffers.push_back({first_scratch + place.index, place.offset});
        else
          made.buffers.push_back({memory[place.index], operands[place.index].start + place.offset});
      }
    }
    return {};
  }

  std::vector<codegen::KernelImage> images_;
  std::vector<CrossJob> jobs_;
  std::vector<std::vector<size_t>> operand_memory_;  // of each job, where each operand lies
  std::vector<std::vector<std::vector<std::byte>>> results_;
  size_t played_ = 0;
};

TEST_P(LlvmFamilies, agree_with_the_oracle_on_aarch64) {
  const std::string missing = missing_cross_tools();
  if (!missing.empty()) GTEST_SKIP() << missing;
  const ir::Target target = *codegen::llvm::target_for("aarch64-linux-gnu");
  const std::vector<Point> all = points(GetParam(), {7});
  CrossBatch batch;
  size_t wrong = 0;
  for (const Point& point : all) {
    // Nothing ran yet, so the results are wrong: the second pass judges them.
    const Status recorded = run_point(point, target, batch.recorder());
    ASSERT_TRUE(recorded || recorded.error().code == ErrorCode::mismatch)
        << point.line << ": " << recorded.error().message;
    wrong += recorded ? 0 : 1;
  }
  EXPECT_EQ(wrong, all.size());
  const Status ran = batch.run();
  ASSERT_TRUE(ran) << ran.error().message;
  const Executor player = batch.player();
  for (const Point& point : all) {
    const Status status = run_point(point, target, player);
    EXPECT_TRUE(status) << point.line << " " << to_string(point.kind) << ": "
                        << status.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LlvmFamilies, ::testing::Values("f32", "f16", "bf16"));

}  // namespace
}  // namespace lathe::tests
