// A kernel without a record always compiles: on every target, and where the default does not fit.
#include "runtime/library/choose_schedule.h"

#include <algorithm>

#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/choose_layout.h"
#include "support/hardware.h"
#include "tests/support/kernel_cases.h"

namespace lathe::runtime {
namespace {

constexpr int64_t kWidths[] = {1, 72, 257, 4097};

// Emits for targets that this CPU may lack, too.
SelectedTarget emitted(std::string_view name) {
  const Backends backends = default_backends();
  for (const auto& backend : backends) {
    auto target = backend->target(name, "");
    if (target) return {std::move(*target), backend};
  }
  ADD_FAILURE() << "no backend emits for " << name;
  return {};
}

std::vector<std::string> catalogue_lines() {
  std::vector<std::string> lines;
  for (const compiler::Family* family : compiler::catalogue()) lines.push_back(family->example);
  for (const char* type : {"f32", "f16", "bf16"})
    for (const int64_t width : kWidths)
      for (std::string& line : tests::problem_lines(type, width)) lines.push_back(std::move(line));
  return lines;
}

TEST(ChooseSchedule, EveryProblemCompilesWithoutARecordOnEveryTarget) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const SelectedTarget selected = emitted(name);
    const bool runs = required_isa(selected.target).without(support::host().isa).empty();
    for (const std::string& line : catalogue_lines()) {
      const auto problem = compiler::parse_problem(line);
      ASSERT_TRUE(problem) << line << ": " << problem.error().message;
      const auto schedule = buildable_default(*problem, selected);
      ASSERT_TRUE(schedule) << name << ", " << line << ": " << schedule.error().message;
      if (!runs) continue;
      ScheduleChoice choice;
      const auto kernel = compile_chosen(*problem, selected, choice);
      ASSERT_TRUE(kernel) << name << ", " << line << ": " << kernel.error().message;
      EXPECT_EQ(choice.schedule, *schedule) << name << ", " << line;
      EXPECT_EQ((*kernel)->schedule, *schedule) << name << ", " << line;
    }
  }
}

// A weight is packed once: whatever layout is chosen, every number of rows has a kernel. From 32
// rows on buckets differ in their schedules alone.
TEST(ChooseSchedule, EveryCandidateLayoutHasAKernelForEveryBucket) {
  for (const char* name : {"sse", "avx2", "avx512"}) {
    const SelectedTarget selected = emitted(name);
    for (const ir::Type type : {ir::Type::f16, ir::Type::i8, ir::Type::q8_0, ir::Type::q4_K}) {
      for (const bool pair : {false, true}) {
        for (const compiler::WeightLayout& layout :
             compiler::candidate_layouts(type, 96, 256, pair, selected.target)) {
          for (const int64_t rows : {1, 2, 8, 32}) {
            const std::string line =
                fmt::format("linear rows={} {} epilogue={}", rows, layout_parameters(layout),
                            pair ? "mul(silu(y),z)" : "add(y,vec(b))");
            const auto problem = compiler::parse_problem(line);
            ASSERT_TRUE(problem) << line << ": " << problem.error().message;
            EXPECT_EQ(print(compiler::layout_of(*problem)), print(layout));
            const auto schedule = buildable_default(*problem, selected);
            EXPECT_TRUE(schedule) << name << ", " << line << ": " << schedule.error().message;
          }
        }
      }
    }
  }
}

// A register file so small that defaults are refused: the nearest point that fits is taken.
TEST(ChooseSchedule, WhereTheDefaultNeedsTooManyRegistersTheNearestPointThatFitsIsTaken) {
  SelectedTarget small = emitted("sse");
  int replaced = 0;
  for (const std::string& line : catalogue_lines()) {
    const auto problem = compiler::parse_problem(line);
    ASSERT_TRUE(problem) << line;
    for (small.target.vector_registers = 16; small.target.vector_registers >= 10;
         --small.target.vector_registers) {
      const compiler::SearchSpace space = problem->family().space(*problem, small.target);
      ScheduleChoice choice;
      const auto kernel = compile_chosen(*problem, small, choice);
      if (!kernel) {
        // What no schedule of the space can do stays an error that counts the registers.
        EXPECT_EQ(kernel.error().code, ErrorCode::rejected) << line;
        EXPECT_NE(kernel.error().message.find("registers"), std::string::npos)
            << kernel.error().message;
        break;
      }
      EXPECT_TRUE(space.check(choice.schedule)) << line;
      if (choice.schedule == space.default_schedule()) continue;
      ++replaced;
      EXPECT_NE(choice.reason.find("the default does not fit"), std::string::npos) << choice.reason;
      EXPECT_EQ(choice.match, Match::default_);
    }
  }
  EXPECT_GT(replaced, 10);
}

// Who asked for a schedule is told by which knobs the target would take it.
TEST(ChooseSchedule, ARefusalOfTheTargetNamesTheKnobsThatFit) {
  SelectedTarget small = emitted("sse");
  int advised = 0;
  for (const std::string& line : catalogue_lines()) {
    const auto problem = compiler::parse_problem(line);
    ASSERT_TRUE(problem) << line;
    for (const int registers : {14, 12, 10}) {
      small.target.vector_registers = registers;
      const compiler::SearchSpace space = problem->family().space(*problem, small.target);
      const compiler::Schedule schedule = space.default_schedule();
      if (!space.check(schedule)) continue;
      const auto kernel = compile_kernel(*problem, schedule, small.target, *small.backend);
      if (kernel) continue;
      const Error error = with_remedy(*problem, small, schedule, kernel.error());
      EXPECT_EQ(error.code, ErrorCode::rejected);
      EXPECT_NE(error.message.find(kernel.error().message), std::string::npos) << error.message;
      const size_t set = error.message.rfind(": set ");
      if (set == std::string::npos) continue;
      // The first of what is proposed: "unroll=1 or 2, or hold=reread", "unroll=1 and hold=reread".
      std::string proposal = error.message.substr(set + 6);
      proposal.erase(std::min(proposal.find(" or "), proposal.size()));
      const size_t both = proposal.find(" and ");
      if (both != std::string::npos) proposal.replace(both, 5, ",");
      std::erase(proposal, ' ');
      const auto other = space.parse(proposal);
      ASSERT_TRUE(other) << error.message;
      EXPECT_TRUE(compile_kernel(*problem, *other, small.target, *small.backend)) << error.message;
      ++advised;
      break;
    }
    if (advised == 3) break;
  }
  EXPECT_EQ(advised, 3);
}

TEST(ChooseSchedule, OtherErrorsStayAsTheyAre) {
  const auto problem = compiler::parse_problem("softmax rows=8 width=64");
  ASSERT_TRUE(problem);
  const Error error = with_remedy(*problem, emitted("sse"), {}, {ErrorCode::io_error, "no disk"});
  EXPECT_EQ(error.message, "no disk");
}

TEST(ChooseSchedule, ARecordThatDoesNotCompileGivesWayToTheDefault) {
  const SelectedTarget selected = emitted("sse");
  const auto problem = compiler::parse_problem("softmax rows=8 width=64");
  ASSERT_TRUE(problem);
  const compiler::SearchSpace space = problem->family().space(*problem, selected.target);
  ScheduleChoice choice{space.default_schedule(), Match::exact, "tuned here"};
  choice.schedule.set(space.knobs().front().name, 12345);
  const auto kernel = compile_chosen(*problem, selected, choice);
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_EQ(choice.match, Match::default_);
  EXPECT_EQ(choice.schedule, space.default_schedule());
  EXPECT_NE(choice.reason.find("12345"), std::string::npos) << choice.reason;
}

}  // namespace
}  // namespace lathe::runtime
