// Plans as text: operands and scratch, then the loops, with expressions in infix.
#include <algorithm>

#include <fmt/format.h>

#include "ir/plan/plan.h"

namespace lathe::ir::plan {
namespace {

using Kind = Expr::Kind;

struct Printed {
  std::string text;
  int precedence;  // 1 sums, 2 products, 3 everything that needs no parentheses
};

std::string wrapped(const Printed& part, int least) {
  return part.precedence >= least ? part.text : "(" + part.text + ")";
}

// How much is printed: what a reader wants to know, or all that parse_plan() needs.
enum class Detail : uint8_t { summary, complete };

Printed infix(const Printed& a, std::string_view op, const Printed& b, int precedence,
              Detail detail) {
  // The right side of a - needs its parentheses at equal precedence, that of + and * for the tree
  // that it is.
  const bool needs = op == "-" || detail == Detail::complete;
  const int right = needs ? precedence + 1 : precedence;
  return {fmt::format("{} {} {}", wrapped(a, precedence), op, wrapped(b, right)), precedence};
}

Printed call(std::string_view name, const Printed& a, const Printed& b) {
  return {fmt::format("{}({}, {})", name, a.text, b.text), 3};
}

Printed operation(Kind kind, const Printed& a, const Printed& b, Detail detail) {
  switch (kind) {
    case Kind::add: return infix(a, "+", b, 1, detail);
    case Kind::sub: return infix(a, "-", b, 1, detail);
    case Kind::mul: return infix(a, "*", b, 2, detail);
    case Kind::min: return call("min", a, b);
    case Kind::max: return call("max", a, b);
    case Kind::ceil_div: return call("ceil_div", a, b);
    case Kind::round_up: return call("round_up", a, b);
    default: return {"?", 3};
  }
}

std::string variable_name(const Plan& plan, int64_t index) {
  if (index < 0 || index >= static_cast<int64_t>(plan.variables.size()))
    return fmt::format("?{}", index);
  return plan.variables[static_cast<size_t>(index)];
}

std::string place_name(const Plan& plan, Place::Kind kind, int64_t index) {
  const auto i = static_cast<size_t>(index);
  if (kind == Place::Kind::operand && i < plan.operands.size()) return plan.operands[i].name;
  if (kind == Place::Kind::scratch && i < plan.scratch.size()) return plan.scratch[i].name;
  return fmt::format("?{}", index);
}

std::string_view access_name(program::BufferAccess access) {
  switch (access) {
    case program::BufferAccess::read: return "read";
    case program::BufferAccess::write: return "write";
    case program::BufferAccess::read_write: return "read_write";
  }
  return "?";
}

std::string expression(const Expr& expr, const Plan& plan, Detail detail) {
  std::vector<Printed> stack;
  for (const Expr::Token& token : expr.tokens()) {
    if (token.kind == Kind::constant) {
      stack.push_back({fmt::format("{}", token.value), 3});
    } else if (token.kind == Kind::variable) {
      stack.push_back({variable_name(plan, token.value), 3});
    } else if (token.is_element()) {
      const std::string operand = place_name(plan, Place::Kind::operand, token.value);
      stack.back() = {fmt::format("{}[{}]", operand, stack.back().text), 3};
    } else {
      const Printed right = std::move(stack.back());
      stack.pop_back();
      stack.back() = operation(token.kind, stack.back(), right, detail);
    }
  }
  return stack.back().text;
}

class Printer {
 public:
  Printer(const Plan& plan, Detail detail) : plan_(plan), detail_(detail) {}

  std::string run() {
    out_ = fmt::format("plan {}\n", plan_.name);
    if (is_complete() && plan_.in_place) out_ += "in_place\n";
    for (int i = 0; i < plan_.inputs; ++i)
      out_ += fmt::format("input {}\n", variable_name(plan_, i));
    if (is_complete()) variables();
    for (const Operand& operand : plan_.operands) {
      out_ += fmt::format("operand {} {} {}{}", operand.name, ir::name(operand.type),
                          access_name(operand.access), operand.optional ? " optional" : "");
      if (operand.updated) out_ += " updated";
      if (operand.elements) out_ += rule_text(*operand.elements);
      if (operand.finite) out_ += " finite";
      out_ += "\n";
    }
    for (const Scratch& scratch : plan_.scratch)
      out_ += fmt::format("scratch {} {} bytes{}\n", scratch.name, print(scratch.bytes),
                          scratch.per_worker ? " per worker" : "");
    if (plan_.most_scratch > 0)
      out_ += fmt::format("scratch of all workers at most {} bytes\n", plan_.most_scratch);
    if (is_complete()) programs();
    body(plan_.body, 2);
    return std::move(out_);
  }

 private:
  bool is_complete() const { return detail_ == Detail::complete; }
  std::string print(const Expr& expr) const { return expression(expr, plan_, detail_); }

  // Those of loops and lets in the order of the plan's table, which its steps do not tell.
  void variables() {
    for (size_t i = static_cast<size_t>(plan_.inputs); i < plan_.variables.size(); ++i)
      out_ += fmt::format("variable {}\n", plan_.variables[i]);
  }

  void programs() {
    for (const program::Program& program : plan_.programs) {
      out_ += fmt::format("program {}\n", program.name);
      for (const program::Buffer& buffer : program.buffers) {
        out_ += fmt::format("  buffer {} {} {}", buffer.name, ir::name(buffer.type),
                            access_name(buffer.access));
        if (buffer.range)
          out_ += fmt::format(" in {} .. {}", buffer.range->first, buffer.range->second);
        out_ += "\n";
      }
      for (const program::Parameter& parameter : program.parameters)
        out_ += fmt::format("  parameter {}\n", parameter.name);
    }
  }

  void body(const Body& steps, int indent) {
    for (const Step& step : steps) {
      if (const auto* loop = std::get_if<Loop>(&step.value)) {
        this->loop(*loop, indent);
      } else if (const auto* let = std::get_if<Let>(&step.value)) {
        out_ += fmt::format("{:{}}let {} = {}\n", "", indent, variable_name(plan_, let->variable),
                            print(let->value));
      } else {
        call_line(std::get<Call>(step.value), indent);
      }
    }
  }

  void loop(const Loop& loop, int indent) {
    out_ += fmt::format("{:{}}{}for {} = {} .. {} step {} {{\n", "", indent,
                        loop.parallel ? "parallel " : "", variable_name(plan_, loop.variable),
                        print(loop.begin), print(loop.end), print(loop.block));
    body(loop.body, indent + 2);
    out_ += fmt::format("{:{}}}}\n", "", indent);
  }

  // Several programs may have one name; to tell them apart takes their numbers.
  std::string program_name(int index) const {
    const auto i = static_cast<size_t>(index);
    if (index < 0 || i >= plan_.programs.size()) return fmt::format("?{}", index);
    const std::string& name = plan_.programs[i].name;
    const auto first = std::find_if(plan_.programs.begin(), plan_.programs.end(),
                                    [&](const auto& program) { return program.name == name; });
    const bool is_first = first - plan_.programs.begin() == index;
    return is_first || !is_complete() ? name : fmt::format("{}#{}", name, index);
  }

  void call_line(const Call& call, int indent) {
    out_ += fmt::format("{:{}}{}(", "", indent, program_name(call.program));
    const char* separator = "";
    for (const Call::Buffer& buffer : call.buffers) {
      out_ += separator + place_text(buffer.place);
      separator = ", ";
    }
    separator = call.buffers.empty() ? "" : "; ";
    for (const Call::Parameter& parameter : call.parameters) {
      out_ += separator + print(parameter.value);
      separator = ", ";
    }
    out_ += ")\n";
  }

  std::string rule_text(const ElementRule& rule) const {
    std::string text;
    if (rule.count) text += fmt::format(" ({} of them)", print(*rule.count));
    if (rule.ascending) text += " ascending";
    if (rule.distinct) text += " distinct";
    if (rule.covers) text += " from end to end";
    text += rule.least == Expr(0)
                ? fmt::format(" below {}", print(rule.below))
                : fmt::format(" in {} .. {}", print(rule.least), print(rule.below));
    if (rule.or_none) text += " or -1";
    return rule.row_count ? text + row_count_text(*rule.row_count) : text;
  }

  std::string row_count_text(const RowCount& count) const {
    const std::string name = place_name(plan_, Place::Kind::operand, count.operand);
    if (count.each == 1) return fmt::format(" in the first {}[row] of each row", name);
    return fmt::format(" in the first ceil_div({}[row], {}) of each row", name, count.each);
  }

  std::string place_text(const Place& place) const {
    std::string name = place_name(plan_, place.kind, place.index);
    if (place.offset == Expr(0)) return name;
    return fmt::format("{} + {}", name, print(place.offset));
  }

  const Plan& plan_;
  Detail detail_;
  std::string out_;
};

}  // namespace

std::string print(const Expr& expr, const Plan& plan) {
  return expression(expr, plan, Detail::summary);
}

std::string print(const Plan& plan) { return Printer(plan, Detail::summary).run(); }

std::string print_complete(const Plan& plan) { return Printer(plan, Detail::complete).run(); }

}  // namespace lathe::ir::plan
