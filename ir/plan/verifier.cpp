// The rules of plans: indices in range, variables bound before use, parallel loops well placed.
#include "ir/program/verifier.h"

#include <optional>
#include <set>

#include "ir/plan/plan.h"

namespace lathe::ir::plan {
namespace {

using program::BufferAccess;

// Where a loop stands with regard to the parallel loops around it.
enum class Place : uint8_t { sequential, directly_in_parallel, inside_parallel };

class Verifier {
 public:
  explicit Verifier(const Plan& plan) : plan_(plan), bound_(plan.variables.size()) {}

  Status run() {
    LATHE_CHECK(check_tables());
    for (const program::Program& program : plan_.programs) {
      const Status status = program::verify(program);
      if (!status) return fail_with_context(fmt::format("plan '{}'", plan_.name), status.error());
    }
    return check_body(plan_.body, Place::sequential);
  }

 private:
  template <typename... Args>
  tl::unexpected<Error> broken(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::verify_error, "plan '{}': {}", plan_.name,
                fmt::format(format, std::forward<Args>(args)...));
  }

  Status check_tables() {
    if (plan_.inputs < 0 || plan_.inputs > static_cast<int>(plan_.variables.size()))
      return broken("{} inputs among {} variables", plan_.inputs, plan_.variables.size());
    std::set<std::string> names;
    for (const std::string& variable : plan_.variables)
      if (!names.insert(variable).second) return broken("two variables are named '{}'", variable);
    names.clear();
    for (const Operand& operand : plan_.operands) {
      if (!names.insert(operand.name).second)
        return broken("two operands are named '{}'", operand.name);
      if (operand.index_limit < -1 || operand.index_limit >= plan_.inputs)
        return broken("operand '{}': index limit {} is not an input; expected -1 … {}",
                      operand.name, operand.index_limit, plan_.inputs - 1);
    }
    for (int i = 0; i < plan_.inputs; ++i) bound_[static_cast<size_t>(i)] = true;
    for (const Scratch& scratch : plan_.scratch) {
      if (!names.insert(scratch.name).second)
        return broken("two operands or scratch buffers are named '{}'", scratch.name);
      LATHE_CHECK(check_expr(fmt::format("size of scratch '{}'", scratch.name), scratch.bytes));
    }
    return {};
  }

  Status check_expr(const std::string& where, const Expr& expr) const {
    if (expr.depth() > Expr::kMaxDepth)
      return broken("{}: the expression nests {} deep; expected at most {}", where, expr.depth(),
                    Expr::kMaxDepth);
    for (const Expr::Token& token : expr.tokens()) {
      if (token.kind != Expr::Kind::variable) continue;
      if (token.value < 0 || token.value >= static_cast<int64_t>(bound_.size()))
        return broken("{}: variable {} of {}", where, token.value, bound_.size());
      const auto index = static_cast<size_t>(token.value);
      if (!bound_[index])
        return broken("{}: '{}' is used outside the loop that binds it", where,
                      plan_.variables[index]);
    }
    return {};
  }

  Status check_body(const Body& body, Place place) {
    for (const Step& step : body) {
      if (const auto* loop = std::get_if<Loop>(&step.value)) {
        const bool alone = body.size() == 1;
        LATHE_CHECK(check_loop(*loop, place == Place::directly_in_parallel && !alone
                                          ? Place::inside_parallel
                                          : place));
      } else {
        LATHE_CHECK(check_call(std::get<Call>(step.value)));
      }
    }
    return {};
  }

  Status check_loop(const Loop& loop, Place place) {
    if (loop.variable < plan_.inputs || loop.variable >= static_cast<int>(bound_.size()))
      return broken("a loop over variable {}; expected a loop variable, {} … {}", loop.variable,
                    plan_.inputs, static_cast<int>(bound_.size()) - 1);
    const auto index = static_cast<size_t>(loop.variable);
    const std::string where = fmt::format("loop over '{}'", plan_.variables[index]);
    if (bound_[index]) return broken("{}: a loop around it binds the same variable", where);
    LATHE_CHECK(check_expr(where, loop.extent));
    LATHE_CHECK(check_expr(where, loop.block));
    if (loop.block.is_constant() && loop.block.constant() < 1)
      return broken("{}: block {}; expected at least 1", where, loop.block.constant());
    if (loop.parallel) LATHE_CHECK(check_parallel(where, loop, place));
    bound_[index] = true;
    if (loop.parallel) nest_.push_back(loop.variable);
    const Place inside = loop.parallel                ? Place::directly_in_parallel
                         : place == Place::sequential ? Place::sequential
                                                      : Place::inside_parallel;
    LATHE_CHECK(check_body(loop.body, inside));
    if (loop.parallel) nest_.pop_back();
    bound_[index] = false;
    return {};
  }

  Status check_parallel(const std::string& where, const Loop& loop, Place place) const {
    if (place == Place::inside_parallel)
      return broken(
          "{}: a parallel loop inside an iteration of another; parallel loops nest only directly, "
          "each being the whole body of the one around it",
          where);
    for (const Expr* expr : {&loop.extent, &loop.block})
      for (const Expr::Token& token : expr->tokens())
        for (const int variable : nest_)
          if (token.kind == Expr::Kind::variable && token.value == variable)
            return broken("{}: its extent depends on '{}', a parallel loop that it is nested in",
                          where, plan_.variables[static_cast<size_t>(variable)]);
    return {};
  }

  Status check_call(const Call& call) const {
    if (call.program < 0 || call.program >= static_cast<int>(plan_.programs.size()))
      return broken("a call of program {} of {}", call.program, plan_.programs.size());
    const program::Program& program = plan_.programs[static_cast<size_t>(call.program)];
    const std::string where = fmt::format("call of '{}'", program.name);
    if (call.buffers.size() != program.buffers.size() ||
        call.parameters.size() != program.parameters.size())
      return broken("{}: {} buffers and {} parameters; expected {} and {}", where,
                    call.buffers.size(), call.parameters.size(), program.buffers.size(),
                    program.parameters.size());
    for (size_t i = 0; i < call.buffers.size(); ++i)
      LATHE_CHECK(check_argument(where, call.buffers[i], program.buffers[i]));
    for (const Expr& parameter : call.parameters) LATHE_CHECK(check_expr(where, parameter));
    return {};
  }

  Status check_argument(const std::string& where, const Argument& argument,
                        const program::Buffer& buffer) const {
    LATHE_CHECK(check_expr(where, argument.offset));
    const bool is_operand = argument.kind == Argument::Kind::operand;
    const size_t count = is_operand ? plan_.operands.size() : plan_.scratch.size();
    if (argument.index < 0 || static_cast<size_t>(argument.index) >= count)
      return broken("{}: {} {} of {}", where, is_operand ? "operand" : "scratch", argument.index,
                    count);
    if (!is_operand) return {};
    const Operand& operand = plan_.operands[static_cast<size_t>(argument.index)];
    if (buffer.access != BufferAccess::read && operand.access == BufferAccess::read)
      return broken("{}: writes operand '{}' through '{}', but the operand is read-only", where,
                    operand.name, buffer.name);
    if (buffer.access != BufferAccess::write && operand.access == BufferAccess::write)
      return broken("{}: reads operand '{}' through '{}', but the operand is write-only", where,
                    operand.name, buffer.name);
    return {};
  }

  const Plan& plan_;
  std::vector<bool> bound_;  // indexed by variable
  std::vector<int> nest_;    // variables of the parallel loops around
};

}  // namespace

Status verify(const Plan& plan) { return Verifier(plan).run(); }

}  // namespace lathe::ir::plan
