// Integer expressions in postfix: building with folding, and evaluation on a small stack.
#include <algorithm>
#include <cassert>

#include "ir/plan/plan.h"

namespace lathe::ir::plan {
namespace {

// Wrapping arithmetic: an absurd input gives an absurd number, which the checks downstream refuse.
int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }

int64_t ceil_quotient(int64_t a, int64_t b) {
  if (b <= 0) return a;
  return a / b + (a % b > 0 ? 1 : 0);
}

int64_t apply(Expr::Kind kind, int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  switch (kind) {
    case Expr::Kind::add: return wrap(x + y);
    case Expr::Kind::sub: return wrap(x - y);
    case Expr::Kind::mul: return wrap(x * y);
    case Expr::Kind::min: return std::min(a, b);
    case Expr::Kind::max: return std::max(a, b);
    case Expr::Kind::ceil_div: return ceil_quotient(a, b);
    case Expr::Kind::round_up:
      return b <= 0 ? a : wrap(static_cast<uint64_t>(ceil_quotient(a, b)) * y);
    default: return 0;
  }
}

// a ∘ b = a for every a.
bool is_right_identity(Expr::Kind kind, int64_t b) {
  switch (kind) {
    case Expr::Kind::add:
    case Expr::Kind::sub: return b == 0;
    case Expr::Kind::mul:
    case Expr::Kind::ceil_div:
    case Expr::Kind::round_up: return b == 1;
    default: return false;
  }
}

bool is_left_identity(Expr::Kind kind, int64_t a) {
  return (kind == Expr::Kind::add && a == 0) || (kind == Expr::Kind::mul && a == 1);
}

}  // namespace

Expr Expr::variable(int index) {
  Expr expr;
  expr.tokens_ = {{Kind::variable, index}};
  return expr;
}

int64_t Expr::evaluate(const int64_t* variables) const {
  int64_t stack[kMaxDepth];
  int top = -1;
  for (const Token& token : tokens_) {
    if (token.kind == Kind::constant) {
      stack[++top] = token.value;
    } else if (token.kind == Kind::variable) {
      stack[++top] = variables[token.value];
    } else {
      --top;
      stack[top] = apply(token.kind, stack[top], stack[top + 1]);
    }
  }
  return stack[0];
}

int Expr::depth() const {
  int now = 0, most = 0;
  for (const Token& token : tokens_) {
    const bool leaf = token.kind == Kind::constant || token.kind == Kind::variable;
    now += leaf ? 1 : -1;
    most = std::max(most, now);
  }
  return most;
}

Expr combine(Expr::Kind kind, const Expr& a, const Expr& b) {
  assert(kind != Expr::Kind::constant && kind != Expr::Kind::variable);
  if (a.is_constant() && b.is_constant()) return Expr(apply(kind, a.constant(), b.constant()));
  if (b.is_constant() && is_right_identity(kind, b.constant())) return a;
  if (a.is_constant() && is_left_identity(kind, a.constant())) return b;
  Expr result = a;
  result.tokens_.insert(result.tokens_.end(), b.tokens_.begin(), b.tokens_.end());
  result.tokens_.push_back({kind, 0});
  assert(result.depth() <= Expr::kMaxDepth && "nest the expression on its left");
  return result;
}

}  // namespace lathe::ir::plan
