// Counts instructions by kind and loop-carried chains; adds traffic by the cache level that holds
// it.
#include "compiler/estimate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace lathe::compiler {
namespace {

using ir::program::Instr;
using ir::program::Op;
using ir::program::Reg;
using ir::program::RegClass;

// How much of the shorter of computing and waiting for memory is not hidden behind the longer.
constexpr double kExposed = 0.4;
constexpr double kExposedWithPrefetch = 0.2;
// Instructions of a loop's counter, comparison and jump.
constexpr double kLoopScalars = 2;

/// Instructions of a straight piece of code, by kind.
struct Counts {
  double all = 0, loads = 0, stores = 0, arithmetic = 0, shuffles = 0, scalars = 0, divisions = 0;

  double cycles(const Machine& m) const {
    return std::max({all / m.issue, loads / m.loads, stores / m.stores,
                     (arithmetic + shuffles) / m.arithmetic, shuffles / m.shuffles,
                     scalars / m.scalars, divisions * m.divide_cycles});
  }
};

class ProgramCost {
 public:
  ProgramCost(const ir::program::Program& program, const std::vector<int64_t>& parameters,
              const Machine& machine)
      : program_(program), machine_(machine) {
    for (size_t i = 0; i < program.parameters.size(); ++i)
      known_[program.parameters[i].reg] = parameters[i];
  }

  double cycles() { return block(program_.body, /*is_loop=*/false); }
  bool prefetches() const { return prefetches_; }

 private:
  double block(const ir::program::Block& body, bool is_loop) {
    Counts counts;
    std::map<Reg, double> chains;  // instructions that continue a register's own value
    double nested = 0;
    for (const ir::program::Node& node : body) {
      if (const auto* loop = std::get_if<ir::program::Loop>(&node.value)) {
        nested += trips(*loop) * block(loop->body, true);
      } else if (const auto* branch = std::get_if<ir::program::Branch>(&node.value)) {
        counts.scalars += 2;
        nested += block(branch->then, false);  // builders put the usual case first
      } else {
        const Instr& instr = std::get<Instr>(node.value);
        count(instr, counts);
        const bool continues =
            instr.dst.cls == RegClass::vector && instr.dst.valid() &&
            std::find(instr.src.begin(), instr.src.end(), instr.dst) != instr.src.end();
        if (continues) chains[instr.dst] += 1;
      }
    }
    if (is_loop) {
      counts.all += kLoopScalars;
      counts.scalars += kLoopScalars;
    }
    double longest = 0;
    for (const auto& [reg, length] : chains) longest = std::max(longest, length);
    return std::max(counts.cycles(machine_), longest * machine_.latency) + nested;
  }

  std::optional<int64_t> value(const ir::program::Operand& operand) const {
    if (operand.is_imm()) return operand.imm;
    const auto found = known_.find(operand.reg);
    return found == known_.end() ? std::nullopt : std::optional(found->second);
  }

  // 1 where only the running program knows.
  double trips(const ir::program::Loop& loop) const {
    const auto begin = value(loop.begin);
    const auto end = value(loop.end);
    if (!begin || !end) return 1;
    return static_cast<double>(std::max<int64_t>((*end - *begin + loop.step - 1) / loop.step, 0));
  }

  void count(const Instr& instr, Counts& counts) {
    const ir::program::OpInfo& info = ir::program::info(instr.op);
    counts.all += 1;
    if (instr.op == Op::prefetch) prefetches_ = true;
    if (instr.op == Op::prefetch || info.reads_memory) {
      counts.loads += 1;
    } else if (info.writes_memory) {
      counts.stores += 1;
    } else if (info.result == 's' || info.result == 'p') {
      counts.scalars += 1;
    } else if (instr.op == Op::vconst || instr.op == Op::viota) {
      counts.all -= 1;  // folded into its users, or hoisted
    } else {
      count_vector(instr, counts);
    }
    if (info.has_memory_type) count_conversion(instr, info.writes_memory, counts);
  }

  void count_vector(const Instr& instr, Counts& counts) {
    const double steps = std::log2(std::max(program_.target.lanes, 2));
    switch (instr.op) {
      case Op::fdiv:
      case Op::fsqrt: counts.divisions += 1; break;
      case Op::reduce_add:
      case Op::reduce_min:
      case Op::reduce_max:
        counts.shuffles += steps;
        counts.arithmetic += steps;
        counts.all += 2 * steps - 1;
        break;
      case Op::permute:
      case Op::shuffle2:
      case Op::byte_shuffle: counts.shuffles += 1; break;
      default: counts.arithmetic += 1;
    }
  }

  // Widening is one more instruction, rounding to bf16 a handful; so is f16 without hardware for
  // it.
  void count_conversion(const Instr& instr, bool stores, Counts& counts) {
    using ir::program::MemoryType;
    if (instr.memory == MemoryType::raw32) return;
    double extra = 1;
    if (instr.memory == MemoryType::bf16 && stores) extra = 6;
    if (instr.memory == MemoryType::f16 && !program_.target.f16c) extra = 12;
    counts.all += extra;
    counts.arithmetic += extra;
  }

  const ir::program::Program& program_;
  const Machine& machine_;
  std::map<Reg, int64_t> known_;
  bool prefetches_ = false;
};

class PlanCost {
 public:
  PlanCost(const ir::plan::Plan& plan, std::vector<int64_t> variables, int threads,
           const Machine& machine)
      : plan_(plan),
        variables_(std::move(variables)),
        threads_(std::max(threads, 1)),
        machine_(machine) {}

  double cycles(const ir::plan::Body& body) {
    double sum = 0;
    for (const ir::plan::Step& step : body) {
      if (const auto* loop = std::get_if<ir::plan::Loop>(&step.value)) {
        sum += this->loop(*loop);
      } else if (const auto* let = std::get_if<ir::plan::Let>(&step.value)) {
        variables_[static_cast<size_t>(let->variable)] = value(let->value);
      } else {
        sum += call(std::get<ir::plan::Call>(step.value));
      }
    }
    return sum;
  }
  /// Threads that have work.
  double busy() const { return busy_; }
  bool prefetches() const { return prefetches_; }

 private:
  // Elements of operands are not known yet: each counts as the greatest that its rule lets it be.
  int64_t value(const ir::plan::Expr& expr) const {
    return expr.evaluate(variables_.data(), [&](const ir::plan::Expr::Token& token, int64_t) {
      return plan_.operands[static_cast<size_t>(token.value)].elements->below.evaluate(
                 variables_.data()) -
             1;
    });
  }

  double loop(const ir::plan::Loop& loop) {
    const int64_t begin = value(loop.begin), end = value(loop.end);
    const int64_t block = std::max<int64_t>(value(loop.block), 1);
    const auto trips = static_cast<double>((std::max(end - begin, int64_t{0}) + block - 1) / block);
    variables_[static_cast<size_t>(loop.variable)] = begin;
    const double once = cycles(loop.body);
    if (!loop.parallel) return trips * once;
    busy_ = std::max(busy_, std::min(trips, static_cast<double>(threads_)));
    return std::ceil(trips / threads_) * once +
           (trips > 1 && threads_ > 1 ? machine_.task_cycles : 0);
  }

  double call(const ir::plan::Call& call) {
    std::vector<int64_t> parameters;
    for (const auto& [name, parameter] : call.parameters) parameters.push_back(value(parameter));
    ProgramCost cost(plan_.programs[static_cast<size_t>(call.program)], parameters, machine_);
    const double cycles = cost.cycles() + machine_.call_cycles;
    prefetches_ = prefetches_ || cost.prefetches();
    return cycles;
  }

  const ir::plan::Plan& plan_;
  std::vector<int64_t> variables_;
  int threads_;
  const Machine& machine_;
  double busy_ = 1;
  bool prefetches_ = false;
};

double bytes_per_cycle(const Machine& machine, double bytes) {
  for (const Machine::Level& level : machine.caches) {
    if (bytes <= static_cast<double>(level.bytes)) return level.bytes_per_cycle;
  }
  return machine.memory_bytes_per_cycle;
}

Result<std::vector<int64_t>> inputs_of(const ir::plan::Plan& plan, const Sizes& sizes,
                                       int threads) {
  std::vector<int64_t> values(plan.variables.size(), 0);
  for (int i = 0; i < plan.inputs; ++i) {
    const std::string& name = plan.variables[static_cast<size_t>(i)];
    int64_t& value = values[static_cast<size_t>(i)];
    const auto size = sizes.find(name);
    if (size != sizes.end()) {
      value = size->second;
    } else if (name == "threads") {
      value = threads;
    } else if (name.find(".stride") ==
               std::string::npos) {  // strides move pointers, which costs the same
      return fail(ErrorCode::invalid_argument, "estimate of {}: the size of '{}' is missing",
                  plan.name, name);
    }
  }
  return values;
}

}  // namespace

Result<Estimate> estimate(const ir::plan::Plan& plan, const Sizes& sizes, const Work& work,
                          int threads, const Machine& machine) {
  LATHE_TRY(auto variables, inputs_of(plan, sizes, threads));
  PlanCost cost(plan, std::move(variables), threads, machine);
  Estimate result;
  result.compute = cost.cycles(plan.body);
  const double bytes = work.bytes_read + work.bytes_written;
  result.memory = bytes / bytes_per_cycle(machine, bytes) / cost.busy();
  const double exposed = cost.prefetches() ? kExposedWithPrefetch : kExposed;
  result.cycles =
      std::max(result.compute, result.memory) + exposed * std::min(result.compute, result.memory);
  return result;
}

}  // namespace lathe::compiler
