// Integer expressions in postfix: building with folding, and evaluation on a small stack.
#include "ir/plan/expr.h"

#include <algorithm>
#include <cassert>

namespace lathe::ir::plan {
namespace {

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

Expr Expr::element(int index, int bytes, const Expr& offset) {
  Expr expr = offset;
  expr.tokens_.push_back({bytes == 4 ? Kind::element_i32 : Kind::element_i64, index});
  return expr;
}

bool Expr::reads_elements() const {
  return std::any_of(tokens_.begin(), tokens_.end(), [](const Token& t) { return t.is_element(); });
}

bool Expr::reads_variable(int index) const {
  return std::any_of(tokens_.begin(), tokens_.end(), [&](const Token& token) {
    return token.kind == Kind::variable && token.value == index;
  });
}

int64_t Expr::evaluate(const int64_t* variables) const {
  assert(!reads_elements());
  return evaluate(variables, [](const Token&, int64_t) { return int64_t{0}; });
}

int Expr::depth() const {
  int now = 0, most = 0;
  for (const Token& token : tokens_) {
    if (!token.is_element()) now += token.is_leaf() ? 1 : -1;
    most = std::max(most, now);
  }
  return most;
}

Expr combine(Expr::Kind kind, const Expr& a, const Expr& b) {
  assert(kind >= Expr::Kind::add);
  if (a.is_constant() && b.is_constant())
    return Expr(Expr::apply(kind, a.constant(), b.constant()));
  if (b.is_constant() && is_right_identity(kind, b.constant())) return a;
  if (a.is_constant() && is_left_identity(kind, a.constant())) return b;
  Expr result = a;
  result.tokens_.insert(result.tokens_.end(), b.tokens_.begin(), b.tokens_.end());
  result.tokens_.push_back({kind, 0});
  assert(result.depth() <= Expr::kMaxDepth && "nest the expression on its left");
  return result;
}

}  // namespace lathe::ir::plan
