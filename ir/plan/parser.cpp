// Recursive-descent parser of print_complete()'s text. Whatever the text is, memory and time stay
// in proportion to it: nesting, names and terms are limited.
#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "ir/plan/lexer.h"
#include "ir/plan/plan.h"

namespace lathe::ir::plan {
namespace {

using program::BufferAccess;

constexpr int kMostNesting = 32;        // of loops, and of parentheses
constexpr size_t kMostTerms = 1 << 10;  // of one expression
constexpr size_t kMostNames = 1 << 12;  // of one kind

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {
    token_ = lexer_.next();
    ahead_ = lexer_.next();
  }

  Result<Plan> run() {
    LATHE_CHECK(expect("plan"));
    LATHE_TRY(plan_.name, name("the plan's name"));
    LATHE_CHECK(header());
    LATHE_TRY(plan_.body, body(0));
    if (token_.kind != PlanToken::Kind::end) return unexpected("a step or the end of the text");
    LATHE_CHECK(verify(plan_));
    return std::move(plan_);
  }

 private:
  using Names = std::map<std::string, int, std::less<>>;

  // Tokens.

  void advance() {
    token_ = ahead_;
    ahead_ = lexer_.next();
  }
  tl::unexpected<Error> unexpected(std::string_view expected) const {
    return error_at(token_, fmt::format("found {}, expected {}", token_.describe(), expected));
  }
  static tl::unexpected<Error> error_at(const PlanToken& token, std::string_view message) {
    return fail(ErrorCode::parse_error, "plan: line {}, column {}: {}", token.line, token.column,
                message);
  }
  bool accept(std::string_view text) {
    if (!token_.is(text)) return false;
    advance();
    return true;
  }
  Status expect(std::string_view text) {
    if (!accept(text)) return unexpected(fmt::format("'{}'", text));
    return {};
  }
  Result<std::string> name(std::string_view expected) {
    if (token_.kind != PlanToken::Kind::word) return unexpected(expected);
    std::string text(token_.text);
    advance();
    return text;
  }
  Result<int64_t> integer(std::string_view expected) {
    const bool is_negative = token_.is("-");
    const PlanToken& digits = is_negative ? ahead_ : token_;
    if (digits.kind != PlanToken::Kind::number) return unexpected(expected);
    const std::string text = (is_negative ? "-" : "") + std::string(digits.text);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc())
      return error_at(digits, fmt::format("found {}, expected a number of 64 bits", text));
    if (is_negative) advance();
    advance();
    return value;
  }

  // A new name of `names`, of which there are `count`.
  Status add(Names& names, size_t count, const std::string& text, const PlanToken& where) {
    if (names.size() >= kMostNames)
      return error_at(where, fmt::format("found more than {} names", kMostNames));
    if (!names.emplace(text, static_cast<int>(count)).second)
      return error_at(where, fmt::format("found '{}' a second time", text));
    return {};
  }
  Result<int> known(const Names& names, std::string_view what) {
    const auto found = token_.kind == PlanToken::Kind::word ? names.find(token_.text) : names.end();
    if (found == names.end()) return unexpected(what);
    advance();
    return found->second;
  }

  // The table of names.

  Status header() {
    if (accept("in_place")) plan_.in_place = true;
    while (ahead_.kind == PlanToken::Kind::word) {
      const PlanToken start = token_;
      if (accept("input")) {
        LATHE_CHECK(variable(start));
        plan_.inputs = static_cast<int>(plan_.variables.size());
      } else if (accept("variable")) {
        LATHE_CHECK(variable(start));
        is_past_inputs_ = true;
      } else if (accept("operand")) {
        LATHE_CHECK(operand());
      } else if (token_.is("scratch") && ahead_.is("of")) {
        LATHE_CHECK(most_scratch());
      } else if (accept("scratch")) {
        LATHE_CHECK(scratch());
      } else if (accept("program")) {
        LATHE_CHECK(program());
      } else {
        return {};
      }
    }
    return {};
  }

  Status variable(const PlanToken& start) {
    if (start.is("input") && is_past_inputs_)
      return error_at(start, "found an input behind a variable, expected inputs first");
    const PlanToken where = token_;
    LATHE_TRY(const std::string text, name("a variable's name"));
    LATHE_CHECK(add(variables_, plan_.variables.size(), text, where));
    plan_.variables.push_back(text);
    return {};
  }

  Result<Type> type() {
    const PlanToken where = token_;
    LATHE_TRY(const std::string text, name("an element type"));
    auto type = parse_type(text);
    if (!type) return error_at(where, type.error().message);
    return *type;
  }

  Result<BufferAccess> access() {
    if (accept("read")) return BufferAccess::read;
    if (accept("write")) return BufferAccess::write;
    if (accept("read_write")) return BufferAccess::read_write;
    return unexpected("read, write or read_write");
  }

  Status operand() {
    const PlanToken where = token_;
    Operand operand;
    LATHE_TRY(operand.name, name("an operand's name"));
    LATHE_CHECK(add(operands_, plan_.operands.size(), operand.name, where));
    LATHE_TRY(operand.type, type());
    LATHE_TRY(operand.access, access());
    operand.optional = accept("optional");
    operand.updated = accept("updated");
    const bool has_rule = token_.is("(") || token_.is("ascending") || token_.is("distinct") ||
                          token_.is("from") || token_.is("below") || token_.is("in");
    if (has_rule) {
      LATHE_TRY(operand.elements, rule());
    }
    operand.finite = accept("finite");
    plan_.operands.push_back(std::move(operand));
    return {};
  }

  Result<ElementRule> rule() {
    ElementRule rule;
    if (accept("(")) {
      LATHE_TRY(rule.count, expression());
      for (const char* word : {"of", "them", ")"}) LATHE_CHECK(expect(word));
    }
    rule.ascending = accept("ascending");
    rule.distinct = accept("distinct");
    if (accept("from")) {
      for (const char* word : {"end", "to", "end"}) LATHE_CHECK(expect(word));
      rule.covers = true;
    }
    if (accept("below")) {
      LATHE_TRY(rule.below, expression());
    } else if (accept("in")) {
      LATHE_TRY(rule.least, expression());
      LATHE_CHECK(expect(".."));
      LATHE_TRY(rule.below, expression());
    } else {
      return unexpected("'below' or 'in'");
    }
    if (accept("or")) {
      const PlanToken where = token_;
      LATHE_TRY(const int64_t none, integer("-1"));
      if (none != -1) return error_at(where, fmt::format("found {}, expected -1", none));
      rule.or_none = true;
    }
    if (token_.is("in")) {
      LATHE_TRY(rule.row_count, row_count());
    }
    return rule;
  }

  Result<RowCount> row_count() {
    for (const char* word : {"in", "the", "first"}) LATHE_CHECK(expect(word));
    RowCount count;
    const bool divides = accept("ceil_div");
    if (divides) LATHE_CHECK(expect("("));
    LATHE_TRY(count.operand, known(operands_, "an operand declared before"));
    for (const char* word : {"[", "row", "]"}) LATHE_CHECK(expect(word));
    if (divides) {
      LATHE_CHECK(expect(","));
      LATHE_TRY(count.each, integer("a number of elements"));
      LATHE_CHECK(expect(")"));
    }
    for (const char* word : {"of", "each", "row"}) LATHE_CHECK(expect(word));
    return count;
  }

  Status scratch() {
    const PlanToken where = token_;
    Scratch entry;
    LATHE_TRY(entry.name, name("the name of scratch"));
    LATHE_CHECK(add(scratch_, plan_.scratch.size(), entry.name, where));
    LATHE_TRY(entry.bytes, expression());
    LATHE_CHECK(expect("bytes"));
    entry.per_worker = accept("per");
    if (entry.per_worker) LATHE_CHECK(expect("worker"));
    plan_.scratch.push_back(std::move(entry));
    return {};
  }

  Status most_scratch() {
    for (const char* word : {"scratch", "of", "all", "workers", "at", "most"})
      LATHE_CHECK(expect(word));
    LATHE_TRY(plan_.most_scratch, integer("a number of bytes"));
    return expect("bytes");
  }

  Status program() {
    program::Program program;
    if (plan_.programs.size() >= kMostNames)
      return error_at(token_, fmt::format("found more than {} programs", kMostNames));
    LATHE_TRY(program.name, name("a program's name"));
    programs_.emplace(program.name, static_cast<int>(plan_.programs.size()));
    // The names of its buffers and parameters.
    while (token_.is("buffer") || token_.is("parameter")) {
      if (program.buffers.size() + program.parameters.size() >= kMostNames)
        return error_at(token_, fmt::format("found more than {} names", kMostNames));
      if (accept("buffer")) {
        LATHE_TRY(program.buffers.emplace_back(), buffer(program));
      } else {
        advance();
        LATHE_TRY(std::string text, name("a parameter's name"));
        program.parameters.push_back({std::move(text), program.fresh(program::RegClass::scalar)});
      }
    }
    plan_.programs.push_back(std::move(program));
    return {};
  }

  Result<program::Buffer> buffer(program::Program& program) {
    program::Buffer buffer;
    LATHE_TRY(buffer.name, name("a buffer's name"));
    LATHE_TRY(buffer.type, type());
    LATHE_TRY(buffer.access, access());
    buffer.pointer = program.fresh(program::RegClass::pointer);
    if (accept("in")) {
      LATHE_TRY(const int64_t low, integer("the lowest element"));
      LATHE_CHECK(expect(".."));
      LATHE_TRY(const int64_t high, integer("the highest element"));
      buffer.range = {low, high};
    }
    return buffer;
  }

  // Steps.

  Result<Body> body(int depth) {
    Body steps;
    while (token_.kind == PlanToken::Kind::word) {
      if (token_.is("for") || token_.is("parallel")) {
        LATHE_TRY(Loop each, loop(depth));
        append(steps, std::move(each));
      } else if (accept("let")) {
        LATHE_TRY(const int variable, known(variables_, "a variable's name"));
        LATHE_CHECK(expect("="));
        LATHE_TRY(Expr value, expression());
        append(steps, Let{variable, std::move(value)});
      } else {
        LATHE_TRY(Call each, call());
        append(steps, std::move(each));
      }
    }
    return steps;
  }

  Result<Loop> loop(int depth) {
    if (depth == kMostNesting)
      return error_at(token_, fmt::format("found loops that nest more than {} deep", depth));
    const bool parallel = accept("parallel");
    LATHE_CHECK(expect("for"));
    LATHE_TRY(const int variable, known(variables_, "a variable's name"));
    LATHE_CHECK(expect("="));
    LATHE_TRY(Expr begin, expression());
    LATHE_CHECK(expect(".."));
    LATHE_TRY(Expr end, expression());
    LATHE_CHECK(expect("step"));
    LATHE_TRY(Expr block, expression());
    LATHE_CHECK(expect("{"));
    LATHE_TRY(Body steps, body(depth + 1));
    LATHE_CHECK(expect("}"));
    return Loop{variable,         std::move(begin), std::move(end),
                std::move(block), parallel,         std::move(steps)};
  }

  Result<Call> call() {
    Call call;
    LATHE_TRY(call.program, known(programs_, "for, parallel, let, or a program's name"));
    if (token_.is("#")) {
      LATHE_TRY(call.program, namesake(call.program));
    }
    const program::Program& callee = plan_.programs[static_cast<size_t>(call.program)];
    LATHE_CHECK(expect("("));
    for (size_t i = 0; i < callee.buffers.size(); ++i) {
      if (i > 0) LATHE_CHECK(expect(","));
      LATHE_TRY(Place where, place());
      call.buffers.push_back({callee.buffers[i].name, std::move(where)});
    }
    for (size_t i = 0; i < callee.parameters.size(); ++i) {
      if (i > 0) LATHE_CHECK(expect(","));
      if (i == 0 && !callee.buffers.empty()) LATHE_CHECK(expect(";"));
      LATHE_TRY(Expr value, expression());
      call.parameters.push_back({callee.parameters[i].name, std::move(value)});
    }
    LATHE_CHECK(expect(")"));
    return call;
  }

  // Of several programs of one name, that which `#` and its number in the table say.
  Result<int> namesake(int first) {
    LATHE_CHECK(expect("#"));
    const PlanToken where = token_;
    LATHE_TRY(const int64_t index, integer("a program's number"));
    const std::string& name = plan_.programs[static_cast<size_t>(first)].name;
    const bool is_one = index >= 0 && index < static_cast<int64_t>(plan_.programs.size()) &&
                        plan_.programs[static_cast<size_t>(index)].name == name;
    if (is_one) return static_cast<int>(index);
    return error_at(where,
                    fmt::format("found {}, expected the number of a program '{}'", index, name));
  }

  Result<Place> place() {
    Place place;
    if (scratch_.find(token_.text) != scratch_.end()) place.kind = Place::Kind::scratch;
    const bool is_scratch = place.kind == Place::Kind::scratch;
    LATHE_TRY(place.index, known(is_scratch ? scratch_ : operands_, "an operand or scratch"));
    if (accept("+")) {
      LATHE_TRY(place.offset, expression());
    }
    return place;
  }

  // Expressions.

  Result<Expr> expression() {
    nesting_ = 0;
    return sum();
  }

  // a op b, of which each was built with depth in mind.
  Result<Expr> combined(Expr::Kind kind, const Expr& a, const Expr& b, const PlanToken& where) {
    if (a.tokens().size() + b.tokens().size() >= kMostTerms)
      return error_at(where, fmt::format("found an expression of more than {} terms", kMostTerms));
    if (std::max(a.depth(), b.depth() + 1) > Expr::kMaxDepth)
      return error_at(
          where, fmt::format("found an expression that nests deeper than {}", Expr::kMaxDepth));
    return combine(kind, a, b);
  }

  Result<Expr> sum() {
    LATHE_TRY(Expr value, product());
    while (token_.is("+") || token_.is("-")) {
      const PlanToken where = token_;
      advance();
      LATHE_TRY(const Expr other, product());
      LATHE_TRY(value,
                combined(where.is("+") ? Expr::Kind::add : Expr::Kind::sub, value, other, where));
    }
    return value;
  }

  Result<Expr> product() {
    LATHE_TRY(Expr value, primary());
    while (token_.is("*")) {
      const PlanToken where = token_;
      advance();
      LATHE_TRY(const Expr other, primary());
      LATHE_TRY(value, combined(Expr::Kind::mul, value, other, where));
    }
    return value;
  }

  Result<Expr> primary() {
    if (token_.kind == PlanToken::Kind::number || token_.is("-")) {
      LATHE_TRY(const int64_t value, integer("a number"));
      return Expr(value);
    }
    if (++nesting_ > kMostNesting)
      return error_at(token_,
                      fmt::format("found more than {} brackets in one another", kMostNesting));
    Result<Expr> value = nested();
    --nesting_;
    return value;
  }

  Result<Expr> nested() {
    if (accept("(")) {
      LATHE_TRY(Expr value, sum());
      LATHE_CHECK(expect(")"));
      return value;
    }
    if (token_.kind == PlanToken::Kind::word && ahead_.is("(")) return function();
    if (token_.kind == PlanToken::Kind::word && ahead_.is("[")) return element();
    LATHE_TRY(const int variable, known(variables_, "a number, a variable, '(', or a function"));
    return Expr::variable(variable);
  }

  Result<Expr> function() {
    const PlanToken where = token_;
    const auto kind = where.is("min")        ? std::optional(Expr::Kind::min)
                      : where.is("max")      ? std::optional(Expr::Kind::max)
                      : where.is("ceil_div") ? std::optional(Expr::Kind::ceil_div)
                      : where.is("round_up") ? std::optional(Expr::Kind::round_up)
                                             : std::nullopt;
    if (!kind) return unexpected("min, max, ceil_div or round_up");
    advance();
    LATHE_CHECK(expect("("));
    LATHE_TRY(const Expr a, sum());
    LATHE_CHECK(expect(","));
    LATHE_TRY(const Expr b, sum());
    LATHE_CHECK(expect(")"));
    return combined(*kind, a, b, where);
  }

  Result<Expr> element() {
    const PlanToken where = token_;
    LATHE_TRY(const int index, known(operands_, "an operand declared before"));
    const Type type = plan_.operands[static_cast<size_t>(index)].type;
    if (type != Type::i32 && type != Type::i64)
      return error_at(
          where, fmt::format("found an element of {}, expected one of i32 or i64", ir::name(type)));
    LATHE_CHECK(expect("["));
    LATHE_TRY(const Expr offset, sum());
    LATHE_CHECK(expect("]"));
    return Expr::element(index, size_of(type), offset);
  }

  PlanLexer lexer_;
  PlanToken token_, ahead_;
  Plan plan_;
  Names variables_, operands_, scratch_, programs_;
  bool is_past_inputs_ = false;
  int nesting_ = 0;
};

bool equal_signatures(const program::Program& a, const program::Program& b) {
  const auto equal_buffers = [](const program::Buffer& x, const program::Buffer& y) {
    return x.name == y.name && x.type == y.type && x.access == y.access && x.range == y.range;
  };
  const auto equal_parameters = [](const program::Parameter& x, const program::Parameter& y) {
    return x.name == y.name;
  };
  return a.name == b.name && std::ranges::equal(a.buffers, b.buffers, equal_buffers) &&
         std::ranges::equal(a.parameters, b.parameters, equal_parameters);
}

}  // namespace

Result<Plan> parse_plan(std::string_view text) { return Parser(text).run(); }

bool equal_but_for_code(const Plan& a, const Plan& b) {
  return a.name == b.name && a.variables == b.variables && a.inputs == b.inputs &&
         a.operands == b.operands && a.scratch == b.scratch && a.body == b.body &&
         a.in_place == b.in_place && a.most_scratch == b.most_scratch &&
         std::ranges::equal(a.programs, b.programs, equal_signatures);
}

}  // namespace lathe::ir::plan
