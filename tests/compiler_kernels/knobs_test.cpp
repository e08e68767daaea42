// No knob is ornamental: changing each one changes the plan of some problem.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "ir/program/printer.h"
#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

std::string text_of(const compiler::Problem& problem, const compiler::Schedule& schedule,
                    const ir::Target& target) {
  const auto plan = problem.family().build(problem, schedule, target);
  if (!plan) return plan.error().message;
  std::string text = ir::plan::print(*plan);
  for (const auto& program : plan->programs) text += ir::program::print(program);
  return text;
}

TEST(Knobs, EveryKnobChangesThePlan) {
  const ir::Target target = *ir::parse_target("avx2");
  std::set<std::string> declared, effective;
  std::vector<std::string> lines = problem_lines("f32", 72);
  for (const compiler::Family* family : compiler::catalogue()) {
    if (!family->variants.empty())
      lines.push_back(family->name + " rows=8192 width=1024 " + family->variants.front());
  }
  for (const char* line :
       {"elementwise rows=8192 width=1024 expr=add(x,r)", "rope rows=8192 heads=8 dim=128",
        "quantize rows=8192 width=1024", "linear rows=1 n=64 k=64",
        "linear rows=1 n=64 k=64 weight=q8_0", "linear rows=512 n=600 k=2500",
        "linear rows=512 n=600 k=2560 weight=q4_0", "linear rows=1 n=64 k=64 weight=i8",
        "linear rows=16 n=64 k=64 weight=i8", "linear rows=512 n=600 k=500 weight=i8",
        "batched_matmul batch=1 rows=1 n=64 k=64", "batched_matmul batch=1 rows=512 n=600 k=700",
        "attention_router tokens=512 heads=4 kv_heads=2 dim=24 rank=9"}) {
    lines.emplace_back(line);
  }
  for (const std::string& line : lines) {
    const auto problem = compiler::parse_problem(line);
    ASSERT_TRUE(problem) << problem.error().message;
    const auto space = problem->family().space(*problem, target);
    for (const compiler::Schedule& schedule : every_knob_value(space)) {
      const std::string text = text_of(*problem, schedule, target);
      for (const compiler::Knob& knob : space.knobs()) {
        const std::string name = problem->family().name + "." + knob.name;
        if (knob.values.size() > 1) declared.insert(name);
        for (const int64_t value : knob.values) {
          compiler::Schedule other = schedule;
          other.set(knob.name, value);
          if (value == schedule[knob.name] || !space.check(other)) continue;
          if (text_of(*problem, other, target) != text) effective.insert(name);
        }
      }
    }
  }
  EXPECT_EQ(declared, effective);
}

}  // namespace
}  // namespace lathe::tests
