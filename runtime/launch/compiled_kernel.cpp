// From problem and schedule to mapped code.
#include "runtime/launch/compiled_kernel.h"

#include "ir/graph/updates.h"
#include "ir/plan/plan.h"
#include "runtime/cpu/executable_memory.h"
#include "runtime/cpu/gdb_jit.h"
#include "runtime/cpu/perf_map.h"
#include "support/hardware.h"

namespace lathe::runtime {
namespace {

// A flat image in memory of its own.
class FlatKernel : public codegen::LoadedKernel {
 public:
  FlatKernel(ExecutableMemory memory, size_t entry) : memory_(std::move(memory)) {
    function_ = memory_.entry<ir::program::KernelFunction>(entry);
  }
  void attach(GdbRegistration registration) { registration_ = std::move(registration); }
  std::span<const std::byte> code() const { return memory_.code(); }

 private:
  ExecutableMemory memory_;
  GdbRegistration registration_;
};

}  // namespace

int OperandRule::table_variable() const {
  if (!elements || elements->ascending || elements->least != ir::plan::Expr(0)) return -1;
  const auto& below = elements->below.tokens();
  const bool is_count = below.size() == 1 && below[0].kind == ir::plan::Expr::Kind::variable;
  return is_count ? static_cast<int>(below[0].value) : -1;
}

Result<std::unique_ptr<codegen::LoadedKernel>> load_image(const codegen::KernelImage& image,
                                                          const codegen::Backend& backend) {
  const support::IsaMask missing = image.required_isa.without(support::executable_isa());
  if (!missing.empty()) {
    return fail(ErrorCode::unsupported, "kernel '{}' uses {}, which this CPU ({}) does not have",
                image.name, support::to_string(missing), support::host().name);
  }
  if (image.format == codegen::KernelImage::Format::object) return backend.load(image);
  LATHE_TRY(ExecutableMemory memory, ExecutableMemory::map(image.code));
  auto kernel = std::make_unique<FlatKernel>(std::move(memory), image.entry);
  LATHE_CHECK(add_to_perf_map(image.name, kernel->code()));
  if (gdb_jit_enabled()) kernel->attach(GdbRegistration::add(image.name, kernel->code()));
  return kernel;
}

Result<std::vector<OperandRule>> operand_rules(const compiler::Problem& problem,
                                               const ir::plan::Plan& plan) {
  LATHE_TRY(ir::graph::Graph graph, problem.family().reference(problem));
  std::vector<OperandRule> rules;
  const std::vector<ir::graph::CallOperand> operands = ir::graph::call_operands(graph);
  if (operands.size() != plan.operands.size()) {
    return fail(ErrorCode::internal, "{}: the reference graph has {} operands, the plan {}",
                problem.line(), operands.size(), plan.operands.size());
  }
  for (const ir::graph::CallOperand& operand : operands) {
    const ir::graph::Value& value = graph.value(operand.value);
    OperandRule rule;
    rule.name = plan.operands[rules.size()].name;  // the graph's results have no names of their own
    rule.elements = plan.operands[rules.size()].elements;
    rule.finite = plan.operands[rules.size()].finite;
    rule.type = value.type.element;
    rule.output = operand.output;
    rule.updated = operand.updated;
    if (rule.updated != plan.operands[rules.size()].updated) {
      return fail(ErrorCode::internal,
                  "{}: operand '{}': the reference graph and the plan differ in whether it is "
                  "updated",
                  problem.line(), rule.name);
    }
    for (const ir::graph::Dim& dim : value.type.shape) {
      OperandRule::Dimension dimension;
      dimension.factor = dim.factor;
      dimension.symbol = dim.symbol;
      if (!dim.is_number()) dimension.variable = plan.find(dim.symbol);
      rule.shape.push_back(std::move(dimension));
    }
    for (size_t k = 0; k + 1 < value.type.shape.size(); ++k)
      rule.stride_variables.push_back(plan.find(fmt::format("{}.stride{}", rule.name, k)));
    rules.push_back(std::move(rule));
  }
  return rules;
}

Result<std::shared_ptr<const CompiledKernel>> compile_kernel(const compiler::Problem& problem,
                                                             const compiler::Schedule& schedule,
                                                             const ir::Target& target,
                                                             const codegen::Backend& backend,
                                                             Execution execution) {
  auto kernel = std::make_shared<CompiledKernel>();
  kernel->problem = problem;
  kernel->schedule = schedule;
  kernel->target = target;
  kernel->execution = execution;
  LATHE_TRY(kernel->plan, problem.family().build(problem, schedule, target));
  LATHE_CHECK(ir::plan::verify(kernel->plan));
  LATHE_TRY(kernel->operands, operand_rules(problem, kernel->plan));
  for (const OperandRule& rule : kernel->operands) kernel->inputs += rule.output ? 0 : 1;
  kernel->threads_variable = kernel->plan.find("threads");
  for (const ir::program::Program& program : kernel->plan.programs) {
    LATHE_TRY(codegen::KernelImage image, backend.compile(program));
    if (execution == Execution::interpreted) continue;
    LATHE_TRY(std::unique_ptr<codegen::LoadedKernel> loaded, load_image(image, backend));
    kernel->functions.push_back(loaded->function());
    kernel->programs.push_back(std::move(loaded));
  }
  return kernel;
}

}  // namespace lathe::runtime
