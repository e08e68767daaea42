// code_digest: what every family's code is, one line a case, for proving that a change of structure
// moved nothing:
//
//   code_digest > before.txt    … change …    code_digest > after.txt    diff before.txt after.txt
//
// A line is a hash of the plan's and its programs' text, the target, the problem and the schedule.
// The cases are those of the kernel tests at several widths and types, and every kernel of a small
// model with each type of weights, with schedules that between them take every value of every knob.
#include <cstdio>
#include <set>
#include <string>

#include "compiler/models/model_kernels.h"
#include "ir/plan/plan.h"
#include "ir/program/printer.h"
#include "support/hash.h"
#include "tests/support/attention_cases.h"
#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

std::vector<ir::Target> targets() {
  std::vector<ir::Target> all;
  for (const char* name : {"scalar", "sse", "avx2", "avx512"})
    all.push_back(*ir::parse_target(name));
  all.push_back(all.back());
  all.back().vnni = true;
  return all;
}

std::string text_of(const ir::plan::Plan& plan) {
  std::string text = ir::plan::print(plan);
  for (const auto& program : plan.programs) text += "\n" + ir::program::print(program);
  return text;
}

void print_digests(const compiler::Problem& problem, const ir::Target& target) {
  const compiler::SearchSpace space = problem.family().space(problem, target);
  for (const compiler::Schedule& schedule : every_knob_value(space)) {
    const auto plan = problem.family().build(problem, schedule, target);
    const uint64_t hash = support::hash64(plan ? text_of(*plan) : plan.error().message);
    fmt::print("{:016x} {}{} | {} | {}\n", hash, target.name, target.vnni ? "+vnni" : "",
               problem.line(), space.print(schedule));
  }
}

Result<std::set<std::string>> lines_for(const ir::Target& target) {
  std::set<std::string> lines;
  for (const char* type : {"f32", "f16", "bf16"})
    for (const int64_t width : {7, 72, 2048})
      for (std::string& line : problem_lines(type, width)) lines.insert(std::move(line));
  for (const AttentionCase& each : attention_cases()) lines.insert(each.line);
  LATHE_TRY(const auto model, compiler::models::load_model("qwen3-vl-2b"));
  for (const char* weights : {"f32", "f16", "bf16", "i8", "q8_0", "q4_0", "q4_K"}) {
    LATHE_TRY(const auto kernels,
              compiler::models::model_kernels(model, {.weights = weights, .target = target}));
    for (const auto& kernel : kernels) lines.insert(kernel.problem.line());
  }
  return lines;
}

Status print_all() {
  for (const ir::Target& target : targets()) {
    LATHE_TRY(const auto lines, lines_for(target));
    for (const std::string& line : lines) {
      LATHE_TRY(const auto problem, compiler::parse_problem(line));
      print_digests(problem, target);
    }
  }
  return {};
}

}  // namespace
}  // namespace lathe::tests

int main() {
  const lathe::Status status = lathe::tests::print_all();
  if (status) return 0;
  fmt::print(stderr, "code_digest: {}\n", status.error().message);
  return 1;
}
