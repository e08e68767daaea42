// The fragment language: its table of functions, parser and printer.
#include "compiler/fragment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "ir/graph/ops.h"

namespace lathe::compiler {
namespace {

struct Function {
  Fragment::Op op;
  std::string_view name;
  int arity;
};

using FragmentOp = Fragment::Op;

// In the order of FragmentOp.
constexpr std::array kFunctions = {
    Function{FragmentOp::input, "input", -1},
    Function{FragmentOp::number, "number", -1},
    Function{FragmentOp::add, "add", 2},
    Function{FragmentOp::sub, "sub", 2},
    Function{FragmentOp::mul, "mul", 2},
    Function{FragmentOp::div, "div", 2},
    Function{FragmentOp::neg, "neg", 1},
    Function{FragmentOp::abs, "abs", 1},
    Function{FragmentOp::min, "min", 2},
    Function{FragmentOp::max, "max", 2},
    Function{FragmentOp::fma, "fma", 3},
    Function{FragmentOp::exp, "exp", 1},
    Function{FragmentOp::tanh, "tanh", 1},
    Function{FragmentOp::erf, "erf", 1},
    Function{FragmentOp::sqrt, "sqrt", 1},
    Function{FragmentOp::rsqrt, "rsqrt", 1},
    Function{FragmentOp::recip, "recip", 1},
    Function{FragmentOp::sigmoid, "sigmoid", 1},
    Function{FragmentOp::silu, "silu", 1},
    Function{FragmentOp::relu, "relu", 1},
    Function{FragmentOp::gelu_tanh, "gelu_tanh", 1},
    Function{FragmentOp::gelu_erf, "gelu_erf", 1},
    Function{FragmentOp::round_bf16, "round_bf16", 1},
    Function{FragmentOp::round_f16, "round_f16", 1},
    Function{FragmentOp::where, "where", 3},
    Function{FragmentOp::lt, "lt", 2},
    Function{FragmentOp::le, "le", 2},
    Function{FragmentOp::gt, "gt", 2},
    Function{FragmentOp::ge, "ge", 2},
    Function{FragmentOp::eq, "eq", 2},
    Function{FragmentOp::ne, "ne", 2},
};
static_assert(kFunctions.size() == static_cast<size_t>(FragmentOp::ne) + 1);

bool is_condition(FragmentOp op) { return op >= FragmentOp::lt; }

const Function* find_function(std::string_view name) {
  const auto found = std::find_if(
      kFunctions.begin(), kFunctions.end(),
      [&](const Function& function) { return function.arity >= 0 && function.name == name; });
  return found == kFunctions.end() ? nullptr : &*found;
}

bool starts_name(char c) { return c >= 'a' && c <= 'z'; }
bool continues_name(char c) { return starts_name(c) || (c >= '0' && c <= '9') || c == '_'; }

}  // namespace

std::string_view name(Fragment::Op op) { return kFunctions[static_cast<size_t>(op)].name; }

/// Recursive descent; every function returns the index of its node.
class FragmentParser {
 public:
  explicit FragmentParser(std::string_view text) : text_(text) {}

  Result<Fragment> run() {
    LATHE_CHECK(expression(0, Wanted::value));
    if (at_ != text_.size()) return unexpected("the end");
    return std::move(fragment_);
  }

 private:
  enum class Wanted : uint8_t { value, condition };

  tl::unexpected<Error> unexpected(std::string_view expected) const {
    const std::string found = at_ < text_.size() ? fmt::format("'{}'", text_[at_]) : "the end";
    return error(at_, fmt::format("found {}, expected {}", found, expected));
  }
  tl::unexpected<Error> error(size_t place, std::string_view what) const {
    return fail(ErrorCode::parse_error, "fragment, column {}: {}", place + 1, what);
  }

  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string_view word() {
    const size_t start = at_;
    while (at_ < text_.size() && continues_name(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  Result<int> expression(int depth, Wanted wanted) {
    const size_t place = at_;
    if (depth >= Fragment::kMaxDepth) {
      return error(place,
                   fmt::format("found an expression nested deeper than {}", Fragment::kMaxDepth));
    }
    if (fragment_.nodes_.size() >= static_cast<size_t>(Fragment::kMaxNodes)) {
      return error(place, fmt::format("found more than {} operations", Fragment::kMaxNodes));
    }
    if (at_ >= text_.size() || !starts_name(text_[at_])) return number(wanted);
    const std::string_view name = word();
    if (!take('(')) {
      if (wanted == Wanted::condition) return wrong_kind(place, name, wanted);
      if (find_function(name) != nullptr) return unexpected(fmt::format("'(' after '{}'", name));
      return input(place, name, LeafKind::full);
    }
    if (name == "vec" || name == "col") return broadcast(place, name, wanted);
    const Function* function = find_function(name);
    if (function == nullptr) return unknown(place, name);
    if (is_condition(function->op) != (wanted == Wanted::condition))
      return wrong_kind(place, name, wanted);
    return call(*function, depth);
  }

  Result<int> call(const Function& function, int depth) {
    Fragment::Node node{.op = function.op};
    for (int i = 0; i < function.arity; ++i) {
      if (i > 0 && !take(',')) {
        return unexpected(fmt::format("',': {} takes {} arguments", function.name, function.arity));
      }
      const bool condition = function.op == FragmentOp::where && i == 0;
      LATHE_TRY(const int argument,
                expression(depth + 1, condition ? Wanted::condition : Wanted::value));
      node.arguments.push_back(argument);
      node.per_element =
          node.per_element || fragment_.nodes_[static_cast<size_t>(argument)].per_element;
    }
    if (!take(')')) {
      return unexpected(fmt::format("')': {} takes {} argument{}", function.name, function.arity,
                                    function.arity == 1 ? "" : "s"));
    }
    return intern(std::move(node));
  }

  // vec(name) or col(name), after the parenthesis.
  Result<int> broadcast(size_t place, std::string_view kind, Wanted wanted) {
    if (wanted == Wanted::condition) return wrong_kind(place, kind, wanted);
    const size_t start = at_;
    if (at_ >= text_.size() || !starts_name(text_[at_])) return unexpected("an input's name");
    const std::string_view name = word();
    if (!take(')')) return unexpected("')' after the input's name");
    return input(start, name, kind == "vec" ? LeafKind::vector : LeafKind::column);
  }

  Result<int> input(size_t place, std::string_view name, LeafKind kind) {
    auto& inputs = fragment_.inputs_;
    if (name == "vec" || name == "col" || find_function(name) != nullptr) {
      return error(place, fmt::format("found the function '{}', expected an input's name", name));
    }
    auto known = std::find_if(inputs.begin(), inputs.end(),
                              [&](const FragmentInput& other) { return other.name == name; });
    if (known == inputs.end()) known = inputs.insert(inputs.end(), {std::string(name), kind});
    if (known->kind != kind) {
      return error(
          place, fmt::format("input '{}' is used in two ways; expected one of {}, vec({}), col({})",
                             name, name, name, name));
    }
    Fragment::Node node{.op = FragmentOp::input};
    node.input = static_cast<int>(known - inputs.begin());
    node.per_element = kind != LeafKind::column;
    return intern(std::move(node));
  }

  Result<int> number(Wanted wanted) {
    const size_t place = at_;
    Fragment::Node node{.op = FragmentOp::number};
    const auto [end, status] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), node.number);
    if (status == std::errc::invalid_argument) {
      return unexpected(wanted == Wanted::condition ? "a comparison (lt, le, gt, ge, eq, ne)"
                                                    : "a function, an input or a number");
    }
    at_ = static_cast<size_t>(end - text_.data());
    if (wanted == Wanted::condition)
      return wrong_kind(place, text_.substr(place, at_ - place), wanted);
    if (status != std::errc() || !std::isfinite(node.number)) {
      return error(place, "found a number that f32 cannot hold");
    }
    return intern(std::move(node));
  }

  tl::unexpected<Error> wrong_kind(size_t place, std::string_view found, Wanted wanted) const {
    if (wanted == Wanted::condition) {
      return error(
          place, fmt::format("found '{}', expected a comparison (lt, le, gt, ge, eq, ne)", found));
    }
    return error(
        place,
        fmt::format("found the comparison '{}', expected a value; only where() takes one", found));
  }

  tl::unexpected<Error> unknown(size_t place, std::string_view name) const {
    std::vector<std::string_view> names = {"vec", "col"};
    for (const Function& function : kFunctions) {
      if (function.arity >= 0) names.push_back(function.name);
    }
    const std::string_view nearest = ir::graph::nearest_name(name, names);
    return error(place, nearest.empty() ? fmt::format("unknown function '{}', expected one of {}",
                                                      name, fmt::join(names, ", "))
                                        : fmt::format("unknown function '{}'; did you mean '{}'?",
                                                      name, nearest));
  }

  int intern(Fragment::Node node) {
    auto& nodes = fragment_.nodes_;
    const auto same = std::find(nodes.begin(), nodes.end(), node);
    const auto index = static_cast<int>(same - nodes.begin());
    if (same == nodes.end()) nodes.push_back(std::move(node));
    return index;
  }

  std::string_view text_;
  size_t at_ = 0;
  Fragment fragment_;
};

Result<Fragment> Fragment::parse(std::string_view text) { return FragmentParser(text).run(); }

std::string Fragment::text() const {
  std::vector<std::string> texts;
  for (const Node& node : nodes_) {
    if (node.op == FragmentOp::number) {
      texts.push_back(fmt::format("{}", node.number));
      continue;
    }
    if (node.op == FragmentOp::input) {
      const FragmentInput& input = inputs_[static_cast<size_t>(node.input)];
      constexpr std::array<std::string_view, 3> kForms = {"{}", "vec({})", "col({})"};
      texts.push_back(
          fmt::format(fmt::runtime(kForms[static_cast<size_t>(input.kind)]), input.name));
      continue;
    }
    std::string text(name(node.op));
    for (size_t i = 0; i < node.arguments.size(); ++i) {
      text += i == 0 ? "(" : ",";
      text += texts[static_cast<size_t>(node.arguments[i])];
    }
    texts.push_back(text + ")");
  }
  return texts.back();
}

double Fragment::flops() const {
  double count = 0;
  for (const Node& node : nodes_) {
    switch (node.op) {
      case FragmentOp::input:
      case FragmentOp::number:
      case FragmentOp::round_bf16:
      case FragmentOp::round_f16:
      case FragmentOp::where: break;
      case FragmentOp::fma:
      case FragmentOp::silu: count += 2; break;
      default: count += 1;
    }
  }
  return count;
}

}  // namespace lathe::compiler
