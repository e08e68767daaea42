// A family's signature is what its reference graph and its plans declare; its plans can be read
// back from their text.
#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "compiler/kernels/skeleton.h"
#include "ir/graph/updates.h"
#include "tests/support/attention_cases.h"
#include "tests/support/kernel_cases.h"

namespace lathe::compiler {
namespace {

using ir::graph::Graph;

// Problems that between them reach every family and parameter.
std::set<std::string> every_line() {
  std::set<std::string> lines;
  for (const Family* family : catalogue())
    lines.insert({family->example, family->smallest.empty() ? family->example : family->smallest});
  for (const char* type : {"f32", "bf16"})
    for (const int64_t width : {7, 72})
      for (std::string& line : tests::problem_lines(type, width)) lines.insert(std::move(line));
  for (const tests::AttentionCase& each : tests::attention_cases()) lines.insert(each.line);
  return lines;
}

std::string describe(const Signature& signature) {
  std::string text;
  for (const Port& port : signature)
    text += fmt::format("{} {} {}\n", port.output ? "output" : port.name, ir::name(port.type),
                        ir::graph::to_string(port.shape));
  return text;
}

// A graph's results have no names of their own; an input that becomes one is given once.
std::string describe(const Graph& graph) {
  std::string text;
  for (const ir::graph::CallOperand& operand : ir::graph::call_operands(graph))
    text += fmt::format("{} {} {}\n", operand.output ? "output" : graph.value(operand.value).name,
                        ir::name(graph.type(operand.value).element),
                        ir::graph::to_string(graph.type(operand.value).shape));
  return text;
}

void expect_signature_of_reference(const Problem& problem) {
  const Family& family = problem.family();
  ASSERT_NE(family.signature, nullptr) << family.name;
  const auto graph = family.reference(problem);
  ASSERT_TRUE(graph) << problem.line() << ": " << graph.error().message;
  const Signature signature = family.signature(problem);
  EXPECT_EQ(describe(signature), describe(*graph)) << problem.line();
  EXPECT_EQ(dimension_names(signature), graph->dim_names()) << problem.line();
  EXPECT_TRUE(std::is_sorted(signature.begin(), signature.end(), [](const Port& a, const Port& b) {
    return a.output < b.output;
  })) << problem.line();
}

TEST(FamilySignature, IsWhatTheReferenceDeclares) {
  std::set<std::string> families;
  for (const std::string& line : every_line()) {
    const auto problem = parse_problem(line);
    ASSERT_TRUE(problem) << problem.error().message;
    expect_signature_of_reference(*problem);
    families.insert(problem->family().name);
  }
  EXPECT_EQ(families.size(), catalogue().size());
}

TEST(FamilySignature, OfTheSkeleton) {
  const auto problem =
      ProblemBuilder(kernels::scale()).set_text("rows", "8").set_text("width", "11").build();
  ASSERT_TRUE(problem) << problem.error().message;
  expect_signature_of_reference(*problem);
}

// The plan of the default schedule.
Result<ir::plan::Plan> usual_plan(const Problem& problem, const ir::Target& target) {
  const SearchSpace space = problem.family().space(problem, target);
  return problem.family().build(problem, space.default_schedule(), target);
}

void expect_text_to_be_the_plan(const ir::plan::Plan& plan, const std::string& what) {
  const std::string text = ir::plan::print_complete(plan);
  const auto parsed = ir::plan::parse_plan(text);
  ASSERT_TRUE(parsed) << what << "\n" << parsed.error().message << "\n" << text;
  EXPECT_TRUE(ir::plan::equal_but_for_code(*parsed, plan)) << what << "\n" << text;
}

TEST(FamilySignature, PlansAreReadBackAsTheyWere) {
  size_t plans = 0;
  for (const std::string& line : every_line()) {
    const auto problem = parse_problem(line);
    ASSERT_TRUE(problem) << problem.error().message;
    const Signature signature = problem->family().signature(*problem);
    for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
      const auto plan = usual_plan(*problem, *ir::parse_target(name));
      if (!plan) {
        EXPECT_EQ(plan.error().code, ErrorCode::rejected) << line << plan.error().message;
        continue;
      }
      ++plans;
      const std::string what = line + " for " + name;
      ASSERT_EQ(plan->operands.size(), signature.size()) << what;
      for (size_t i = 0; i < signature.size(); ++i) {
        EXPECT_EQ(plan->operands[i].name, signature[i].name) << what;
        EXPECT_EQ(plan->operands[i].type, signature[i].type) << what;
      }
      expect_text_to_be_the_plan(*plan, what);
    }
  }
  EXPECT_GT(plans, 4 * catalogue().size());
}

}  // namespace
}  // namespace lathe::compiler
