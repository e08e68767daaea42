// Walks a plan's loops, hands each call to the program interpreter, and watches for races.
#include "ir/plan/interpreter.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "ir/plan/iteration_space.h"
#include "ir/plan/race_check.h"
#include "ir/program/decoded.h"
#include "ir/tensor.h"

namespace lathe::ir::plan {
namespace {

using program::BufferAccess;
using program::BufferView;

constexpr int64_t kMaxScratchBytes = int64_t{1} << 32;
constexpr int kPoison = 0xA5;  // what scratch holds before anyone writes it

// Maps the accesses of one call to the shadow memory, and keeps the first race.
class CallObserver : public program::WriteObserver {
 public:
  CallObserver(RaceCheck& check, const std::vector<BufferView>& views)
      : check_(check), views_(views) {}

  void wrote(size_t buffer, int64_t offset, int64_t bytes) override {
    if (!race) keep(buffer, offset, check_.wrote(views_[buffer].data + offset, bytes));
  }
  void read(size_t buffer, int64_t offset, int64_t bytes) override {
    if (!race) keep(buffer, offset, check_.read(views_[buffer].data + offset, bytes));
  }

  std::optional<RaceCheck::Race> race;
  size_t race_buffer = 0;

 private:
  void keep(size_t buffer, int64_t offset, std::optional<RaceCheck::Race> found) {
    if (!found) return;
    race = found;
    race->offset += offset;
    race_buffer = buffer;
  }

  RaceCheck& check_;
  const std::vector<BufferView>& views_;
};

class Interpretation {
 public:
  Interpretation(const Plan& plan, std::span<const OperandView> operands,
                 std::span<const int64_t> inputs, const PlanOptions& options)
      : plan_(plan),
        operands_(operands),
        options_(options),
        variables_(plan.variables.size()),
        workers_(options.workers) {
    std::copy(inputs.begin(), inputs.end(), variables_.begin());
    for (const program::Program& program : plan.programs)
      programs_.push_back(program::decode(program));
  }

  Result<program::Trace> run() {
    LATHE_CHECK(reserve_scratch());
    if (options_.check_disjoint) watch_memory();
    LATHE_CHECK(body(plan_.body));
    return trace_;
  }

 private:
  // What an expression comes to here; every element that it reads is checked to lie in its operand.
  Result<int64_t> value(const Expr& expr) {
    std::optional<Error> outside;
    const int64_t result =
        expr.evaluate(variables_.data(), [&](const Expr::Token& token, int64_t offset) {
          const OperandView& view = operands_[static_cast<size_t>(token.value)];
          const auto at = static_cast<int64_t>(static_cast<uint64_t>(view.start) +
                                               static_cast<uint64_t>(offset));
          if (at >= 0 && at <= view.bytes - token.bytes())
            return read_element(token, view.data + at);
          if (!outside) outside = outside_error(token, at, view);
          return int64_t{0};
        });
    if (outside) return tl::unexpected(std::move(*outside));
    return result;
  }

  Error outside_error(const Expr::Token& token, int64_t at, const OperandView& view) const {
    return {ErrorCode::verify_error,
            fmt::format("{}: reads bytes {} … {} of operand '{}', which has {} bytes", place(), at,
                        at + token.bytes() - 1,
                        plan_.operands[static_cast<size_t>(token.value)].name, view.bytes)};
  }

  Status reserve_scratch() {
    std::vector<int64_t> sizes;
    int64_t shared = 0, own = 0;
    for (const Scratch& scratch : plan_.scratch) {
      LATHE_TRY(const int64_t bytes, value(scratch.bytes));
      const int copies = scratch.per_worker ? workers_ : 1;
      if (bytes < 0 || bytes > kMaxScratchBytes / copies)
        return fail(ErrorCode::invalid_argument,
                    "plan '{}': scratch '{}' would have {} bytes for each of {} workers; expected "
                    "0 … {} in all",
                    plan_.name, scratch.name, bytes, copies, kMaxScratchBytes);
      (scratch.per_worker ? own : shared) += bytes;
      sizes.push_back(bytes);
    }
    workers_ = workers_with_room(plan_, shared, own, workers_);
    for (size_t s = 0; s < sizes.size(); ++s) {
      const int64_t bytes = sizes[s];
      const int copies = plan_.scratch[s].per_worker ? workers_ : 1;
      std::vector<Tensor>& copy = scratch_.emplace_back();
      for (int i = 0; i < copies; ++i) {
        copy.emplace_back(Type::u8, std::vector<int64_t>{bytes});
        poison(copy.back());
      }
    }
    return {};
  }

  static void poison(Tensor& tensor) {
    if (tensor.bytes() > 0)
      std::memset(tensor.data(), kPoison, static_cast<size_t>(tensor.bytes()));
  }

  void watch_memory() {
    for (size_t i = 0; i < operands_.size(); ++i)
      if (plan_.operands[i].access != BufferAccess::read)
        race_check_.watch(operands_[i].data, operands_[i].bytes);
    for (size_t i = 0; i < scratch_.size(); ++i)
      if (!plan_.scratch[i].per_worker)
        race_check_.watch(scratch_[i][0].data(), scratch_[i][0].bytes());
  }

  Status body(const Body& steps) {
    for (const Step& step : steps) {
      if (const auto* call = std::get_if<Call>(&step.value)) {
        LATHE_CHECK(this->call(*call));
      } else if (const auto* let = std::get_if<Let>(&step.value)) {
        LATHE_TRY(variables_[static_cast<size_t>(let->variable)], value(let->value));
      } else {
        const Loop& loop = std::get<Loop>(step.value);
        LATHE_CHECK(loop.parallel ? parallel(loop)
                                  : each_block(loop, [&] { return body(loop.body); }));
      }
    }
    return {};
  }

  int64_t& variable(const Loop& loop) { return variables_[static_cast<size_t>(loop.variable)]; }

  template <typename F>
  Status each_block(const Loop& loop, F run) {
    LATHE_TRY(const int64_t begin, value(loop.begin));
    LATHE_TRY(const int64_t end, value(loop.end));
    LATHE_TRY(int64_t block, value(loop.block));
    block = std::max<int64_t>(block, 1);
    bound_.push_back(loop.variable);
    for (int64_t i = begin; i < end; i += block) {
      variable(loop) = i;
      LATHE_CHECK(run());
      if (i > INT64_MAX - block) break;
    }
    bound_.pop_back();
    return {};
  }

  // Directly nested parallel loops are one space of iterations.
  Status parallel(const Loop& outermost) {
    nest_.clear();
    iterations_.clear();
    for (const Loop* loop = &outermost; loop != nullptr; loop = nested_parallel(*loop))
      nest_.push_back(loop);
    race_check_.begin_loop();
    LATHE_CHECK(iterations(0));
    worker_ = 0;
    return {};
  }

  Status iterations(size_t depth) {
    if (depth == nest_.size()) return iteration();
    return each_block(*nest_[depth], [&] { return iterations(depth + 1); });
  }

  Status iteration() {
    const auto number = static_cast<int64_t>(iterations_.size() / nest_.size());
    for (const Loop* loop : nest_) iterations_.push_back(variable(*loop));
    worker_ = static_cast<size_t>(number % workers_);
    if (options_.check_disjoint) {
      race_check_.begin_iteration();
      for (size_t i = 0; i < scratch_.size(); ++i)
        if (plan_.scratch[i].per_worker) poison(scratch_[i][worker_]);
    }
    in_parallel_ = true;
    LATHE_CHECK(body(nest_.back()->body));
    in_parallel_ = false;
    return {};
  }

  Status call(const Call& call) {
    views_.clear();
    parameters_.clear();
    for (const Call::Buffer& buffer : call.buffers) {
      LATHE_TRY(const int64_t offset, value(buffer.place.offset));
      views_.push_back(view(buffer.place, offset));
    }
    for (const Call::Parameter& parameter : call.parameters) {
      LATHE_TRY(const int64_t found, value(parameter.value));
      parameters_.push_back(found);
    }
    CallObserver observer(race_check_, views_);
    program::InterpreterOptions options;
    options.instruction_limit = options_.instruction_limit;
    if (options_.check_disjoint && in_parallel_) options.observer = &observer;
    auto trace = program::interpret(programs_[static_cast<size_t>(call.program)], views_,
                                    parameters_, options);
    if (!trace) return fail_with_context(place(), trace.error());
    if (observer.race) return race_error(call, observer);
    trace_.instructions += trace->instructions;
    trace_.bytes_read += trace->bytes_read;
    trace_.bytes_written += trace->bytes_written;
    return {};
  }

  BufferView view(const Place& place, int64_t offset) {
    const auto index = static_cast<size_t>(place.index);
    if (place.kind == Place::Kind::operand) {
      const OperandView& operand = operands_[index];
      const uint64_t start = static_cast<uint64_t>(operand.start) + static_cast<uint64_t>(offset);
      return {operand.data, operand.bytes, static_cast<int64_t>(start)};
    }
    Tensor& tensor = scratch_[index][plan_.scratch[index].per_worker ? worker_ : 0];
    return {tensor.data(), tensor.bytes(), offset};
  }

  // "plan 'p' at row = 8, column = 0": the loops around, outermost first.
  std::string place() const {
    std::string out = fmt::format("plan '{}'", plan_.name);
    const char* separator = " at ";
    for (const int variable : bound_) {
      const auto index = static_cast<size_t>(variable);
      out += fmt::format("{}{} = {}", separator, plan_.variables[index], variables_[index]);
      separator = ", ";
    }
    return out;
  }

  std::string iteration_name(int64_t number) const {
    std::string out = "(";
    const char* separator = "";
    for (size_t i = 0; i < nest_.size(); ++i) {
      out += fmt::format("{}{} = {}", separator,
                         plan_.variables[static_cast<size_t>(nest_[i]->variable)],
                         iterations_[static_cast<size_t>(number) * nest_.size() + i]);
      separator = ", ";
    }
    return out + ")";
  }

  tl::unexpected<Error> race_error(const Call& call, const CallObserver& observer) const {
    const RaceCheck::Race& race = *observer.race;
    const Place& place = call.buffers[observer.race_buffer].place;
    const auto index = static_cast<size_t>(place.index);
    const bool is_operand = place.kind == Place::Kind::operand;
    return fail(ErrorCode::verify_error,
                "plan '{}': parallel iteration {} {} and iteration {} {} bytes {} … {} of {} '{}'; "
                "no two iterations may share what one of them writes",
                plan_.name, iteration_name(race.first), race.first_writes ? "writes" : "reads",
                iteration_name(race.second), race.second_writes ? "writes" : "reads", race.offset,
                race.offset + race.bytes - 1, is_operand ? "operand" : "scratch",
                is_operand ? plan_.operands[index].name : plan_.scratch[index].name);
  }

  const Plan& plan_;
  std::span<const OperandView> operands_;
  const PlanOptions& options_;
  std::vector<int64_t> variables_;
  std::vector<program::Decoded> programs_;
  std::vector<std::vector<Tensor>> scratch_;  // for each scratch, one a worker or one
  RaceCheck race_check_;
  program::Trace trace_;

  int workers_;                      // as many as were asked for, or as have room
  std::vector<int> bound_;           // variables of the loops around
  std::vector<const Loop*> nest_;    // the running parallel loops
  std::vector<int64_t> iterations_;  // their variables' values, iteration after iteration
  size_t worker_ = 0;
  bool in_parallel_ = false;
  std::vector<BufferView> views_;  // of the running call
  std::vector<int64_t> parameters_;
};

Status check_arguments(const Plan& plan, std::span<const OperandView> operands,
                       std::span<const int64_t> inputs, const PlanOptions& options) {
  const auto wrong = [&](const std::string& what) {
    return fail(ErrorCode::invalid_argument, "plan '{}': {}", plan.name, what);
  };
  if (operands.size() != plan.operands.size())
    return wrong(fmt::format("{} operands; expected {}", operands.size(), plan.operands.size()));
  if (inputs.size() != static_cast<size_t>(plan.inputs))
    return wrong(fmt::format("{} inputs; expected {}", inputs.size(), plan.inputs));
  if (options.workers < 1)
    return wrong(fmt::format("{} workers; expected at least 1", options.workers));
  for (size_t i = 0; i < operands.size(); ++i) {
    const OperandView& view = operands[i];
    const std::string& name = plan.operands[i].name;
    if (view.bytes < 0) return wrong(fmt::format("operand '{}' has {} bytes", name, view.bytes));
    if (view.data == nullptr && view.bytes != 0)
      return wrong(fmt::format("operand '{}' is null with {} bytes; expected memory, or 0 bytes",
                               name, view.bytes));
  }
  return {};
}

}  // namespace

Result<program::Trace> interpret(const Plan& plan, std::span<const OperandView> operands,
                                 std::span<const int64_t> inputs, const PlanOptions& options) {
  LATHE_CHECK(check_arguments(plan, operands, inputs, options));
  return Interpretation(plan, operands, inputs, options).run();
}

}  // namespace lathe::ir::plan
