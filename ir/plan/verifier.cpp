// The rules of plans: indices in range, variables bound before use, parallel loops well placed.
#include "ir/program/verifier.h"

#include <algorithm>
#include <set>

#include "ir/plan/iteration_space.h"

namespace lathe::ir::plan {
namespace {

using program::BufferAccess;

// Where a loop stands with regard to the parallel loops around it.
enum class Nesting : uint8_t { sequential, directly_in_parallel, inside_parallel };

class Verifier {
 public:
  explicit Verifier(const Plan& plan) : plan_(plan), bound_(plan.variables.size()) {}

  Status run() {
    LATHE_CHECK(check_tables());
    for (const program::Program& program : plan_.programs) {
      const Status status = program::verify(program);
      if (!status) return fail_with_context(fmt::format("plan '{}'", plan_.name), status.error());
    }
    return check_body(plan_.body, Nesting::sequential);
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
    if (plan_.most_scratch < 0)
      return broken("{} bytes of scratch at most; expected 0 or more", plan_.most_scratch);
    std::set<std::string> names;
    for (const std::string& variable : plan_.variables)
      if (!names.insert(variable).second) return broken("two variables are named '{}'", variable);
    names.clear();
    for (const Operand& operand : plan_.operands) {
      if (!names.insert(operand.name).second)
        return broken("two operands are named '{}'", operand.name);
    }
    for (int i = 0; i < plan_.inputs; ++i) bound_[static_cast<size_t>(i)] = true;
    for (const Operand& operand : plan_.operands) {
      if (operand.elements) LATHE_CHECK(check_rule(operand));
      if (operand.updated && operand.access == BufferAccess::read)
        return broken("operand '{}': it is updated but read-only", operand.name);
      if (operand.finite && operand.type != Type::f32)
        return broken("operand '{}': its elements are {}; those that must be finite are f32",
                      operand.name, name(operand.type));
    }
    for (const Scratch& scratch : plan_.scratch) {
      if (!names.insert(scratch.name).second)
        return broken("two operands or scratch buffers are named '{}'", scratch.name);
      LATHE_CHECK(check_expr(fmt::format("size of scratch '{}'", scratch.name), scratch.bytes));
    }
    return {};
  }

  Status check_rule(const Operand& operand) const {
    const std::string where = fmt::format("elements of operand '{}'", operand.name);
    if (operand.type != Type::i32 && operand.type != Type::i64)
      return broken("{}: they are {}; a rule is for i32 or i64", where, name(operand.type));
    const ElementRule& rule = *operand.elements;
    if (rule.covers && !rule.ascending)
      return broken("{}: bounds that leave nothing out have to ascend", where);
    for (const Expr* bound : {&rule.least, &rule.below, rule.count ? &*rule.count : nullptr}) {
      if (bound == nullptr) continue;
      if (bound->reads_elements())
        return broken("{}: a bound reads elements; expected one of inputs alone", where);
      LATHE_CHECK(check_expr(where, *bound));
    }
    if (rule.or_none && rule.ascending)
      return broken("{}: they ascend, but -1 may stand among them; expected one of the two", where);
    return operand.elements->row_count ? check_row_count(where, operand) : Status();
  }

  // Rules are checked in the table's order: what counts rows must have been before.
  Status check_row_count(const std::string& where, const Operand& operand) const {
    const RowCount& count = *operand.elements->row_count;
    const auto own = static_cast<int64_t>(&operand - plan_.operands.data());
    if (count.operand < 0 || count.operand >= own)
      return broken("{}: its rows are counted by operand {}; expected one before it, of {}", where,
                    count.operand, own);
    if (count.each < 1)
      return broken("{}: one for each {}; expected at least 1", where, count.each);
    const Operand& counts = plan_.operands[static_cast<size_t>(count.operand)];
    if (!counts.elements || counts.elements->row_count)
      return broken("{}: its rows are counted by operand '{}', which has no rule for all elements",
                    where, counts.name);
    if (plan_.find(counts.name + ".stride0") >= 0)
      return broken(
          "{}: its rows are counted by operand '{}', which has a stride; expected a "
          "dense one",
          where, counts.name);
    return {};
  }

  // What expressions read must stay as it was when it was checked.
  Status check_element(const std::string& where, const Expr::Token& token) const {
    if (token.value < 0 || token.value >= static_cast<int64_t>(plan_.operands.size()))
      return broken("{}: an element of operand {} of {}", where, token.value,
                    plan_.operands.size());
    const Operand& operand = plan_.operands[static_cast<size_t>(token.value)];
    if (!operand.elements)
      return broken("{}: an element of operand '{}', which has no rule for its elements", where,
                    operand.name);
    if (operand.elements->or_none)
      return broken("{}: an element of operand '{}', which may be -1", where, operand.name);
    if (size_of(operand.type) != token.bytes())
      return broken("{}: an element of {} bytes of operand '{}', whose elements are {}", where,
                    token.bytes(), operand.name, name(operand.type));
    if (operand.access != BufferAccess::read)
      return broken("{}: an element of operand '{}', which may be written", where, operand.name);
    return {};
  }

  Status check_expr(const std::string& where, const Expr& expr) const {
    if (expr.depth() > Expr::kMaxDepth)
      return broken("{}: the expression nests {} deep; expected at most {}", where, expr.depth(),
                    Expr::kMaxDepth);
    for (const Expr::Token& token : expr.tokens()) {
      if (token.is_element()) LATHE_CHECK(check_element(where, token));
      if (token.kind != Expr::Kind::variable) continue;
      if (token.value < 0 || token.value >= static_cast<int64_t>(bound_.size()))
        return broken("{}: variable {} of {}", where, token.value, bound_.size());
      const auto index = static_cast<size_t>(token.value);
      if (!bound_[index])
        return broken("{}: '{}' is used where nothing binds it", where, plan_.variables[index]);
    }
    return {};
  }

  Status check_body(const Body& body, Nesting nesting) {
    std::vector<size_t> lets;  // bound in this body
    for (const Step& step : body) {
      if (const auto* loop = std::get_if<Loop>(&step.value)) {
        const bool alone = body.size() == 1;
        LATHE_CHECK(check_loop(*loop, nesting == Nesting::directly_in_parallel && !alone
                                          ? Nesting::inside_parallel
                                          : nesting));
      } else if (const auto* let = std::get_if<Let>(&step.value)) {
        LATHE_TRY(const size_t variable, own_variable("let", let->variable));
        LATHE_CHECK(check_expr(fmt::format("let '{}'", plan_.variables[variable]), let->value));
        bound_[variable] = true;
        lets.push_back(variable);
      } else {
        LATHE_CHECK(check_call(std::get<Call>(step.value)));
      }
    }
    for (const size_t variable : lets) bound_[variable] = false;
    return {};
  }

  // A variable that a loop or a let may bind here.
  Result<size_t> own_variable(std::string_view what, int variable) const {
    if (variable < plan_.inputs || variable >= static_cast<int>(bound_.size()))
      return broken("{} of variable {}; expected one that is no input, {} … {}", what, variable,
                    plan_.inputs, static_cast<int>(bound_.size()) - 1);
    const auto index = static_cast<size_t>(variable);
    if (bound_[index])
      return broken("{} '{}': something around it binds the same variable", what,
                    plan_.variables[index]);
    return index;
  }

  Status check_loop(const Loop& loop, Nesting nesting) {
    LATHE_TRY(const size_t index, own_variable("loop over", loop.variable));
    const std::string where = fmt::format("loop over '{}'", plan_.variables[index]);
    for (const Expr* expr : {&loop.begin, &loop.end, &loop.block})
      LATHE_CHECK(check_expr(where, *expr));
    if (loop.block.is_constant() && loop.block.constant() < 1)
      return broken("{}: block {}; expected at least 1", where, loop.block.constant());
    if (loop.parallel) LATHE_CHECK(check_parallel(where, loop, nesting));
    bound_[index] = true;
    if (loop.parallel) nest_.push_back(loop.variable);
    const Nesting inside = loop.parallel                    ? Nesting::directly_in_parallel
                           : nesting == Nesting::sequential ? Nesting::sequential
                                                            : Nesting::inside_parallel;
    LATHE_CHECK(check_body(loop.body, inside));
    if (loop.parallel) nest_.pop_back();
    bound_[index] = false;
    return {};
  }

  Status check_parallel(const std::string& where, const Loop& loop, Nesting nesting) const {
    if (nesting == Nesting::inside_parallel)
      return broken(
          "{}: a parallel loop inside an iteration of another; parallel loops nest only directly, "
          "each being the whole body of the one around it",
          where);
    if (nested_parallel(loop) == nullptr) return {};
    for (const Expr* expr : {&loop.begin, &loop.end, &loop.block})
      for (const int variable : nest_)
        if (expr->reads_variable(variable))
          return broken(
              "{}: its bounds depend on '{}', a parallel loop that it is nested in; in a nest "
              "those of the innermost loop alone may",
              where, plan_.variables[static_cast<size_t>(variable)]);
    return {};
  }

  Status check_call(const Call& call) const {
    if (call.program < 0 || call.program >= static_cast<int>(plan_.programs.size()))
      return broken("a call of program {} of {}", call.program, plan_.programs.size());
    const program::Program& program = plan_.programs[static_cast<size_t>(call.program)];
    const std::string where = fmt::format("call of '{}'", program.name);
    LATHE_CHECK(check_names(where, "buffer", call.buffers, program.buffers));
    LATHE_CHECK(check_names(where, "parameter", call.parameters, program.parameters));
    for (size_t i = 0; i < call.buffers.size(); ++i)
      LATHE_CHECK(check_place(where, call.buffers[i].place, program.buffers[i]));
    for (const Call::Parameter& parameter : call.parameters)
      LATHE_CHECK(check_expr(where, parameter.value));
    return {};
  }

  // That a call gives what the program asks for, each by its name, in the program's order.
  template <typename Given, typename Asked>
  Status check_names(const std::string& where, std::string_view what, const Given& given,
                     const Asked& asked) const {
    for (size_t i = 0; i < std::max(given.size(), asked.size()); ++i) {
      if (i < given.size() && i < asked.size() && given[i].name == asked[i].name) continue;
      const bool is_missing =
          i < asked.size() && std::none_of(
                                  given.begin(), given.end(),
                                  [&](const auto& each) { return each.name == asked[i].name; });
      if (is_missing) return broken("{}: {} '{}' gets nothing", where, what, asked[i].name);
      return broken("{}: {} {} is given as '{}'; expected {}", where, what, i,
                    i < given.size() ? given[i].name : "",
                    i < asked.size() ? fmt::format("'{}'", asked[i].name) : "no more");
    }
    return {};
  }

  Status check_place(const std::string& where, const Place& place,
                     const program::Buffer& buffer) const {
    LATHE_CHECK(check_expr(where, place.offset));
    const bool is_operand = place.kind == Place::Kind::operand;
    const size_t count = is_operand ? plan_.operands.size() : plan_.scratch.size();
    if (place.index < 0 || static_cast<size_t>(place.index) >= count)
      return broken("{}: {} {} of {}", where, is_operand ? "operand" : "scratch", place.index,
                    count);
    if (!is_operand) return {};
    const Operand& operand = plan_.operands[static_cast<size_t>(place.index)];
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
