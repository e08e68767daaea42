// Integer expressions over a plan's variables and the elements of its integer operands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace lathe::ir::plan {

/// An integer expression over the plan's variables (dimensions, strides, loop variables, named
/// values, `threads`) and elements of its integer operands, in postfix order. Small and flat, so
/// that a launch evaluates it in nanoseconds.
class Expr {
 public:
  static constexpr int kMaxDepth = 16;  ///< of the evaluation's stack
  /// The elements take a byte offset from the operand's start off the stack and put the element
  /// there in its place.
  enum class Kind : uint8_t {
    constant,
    variable,
    element_i32,
    element_i64,
    add,
    sub,
    mul,
    min,
    max,
    ceil_div,
    round_up
  };
  struct Token {
    Kind kind = Kind::constant;
    int64_t value = 0;  ///< the constant, or the index in Plan::variables or Plan::operands
    bool operator==(const Token&) const = default;

    bool is_leaf() const { return kind == Kind::constant || kind == Kind::variable; }
    bool is_element() const { return kind == Kind::element_i32 || kind == Kind::element_i64; }
    /// Bytes of an element.
    int bytes() const { return kind == Kind::element_i32 ? 4 : 8; }
  };

  Expr(int64_t value = 0) : tokens_{{Kind::constant, value}} {}  // NOLINT: implicit on purpose
  static Expr variable(int index);
  /// The element at byte `offset` of operand `index`: one of 4 bytes (i32), or else of 8 (i64).
  static Expr element(int index, int bytes, const Expr& offset);

  const std::vector<Token>& tokens() const { return tokens_; }
  bool is_constant() const { return tokens_.size() == 1 && tokens_[0].kind == Kind::constant; }
  int64_t constant() const { return tokens_[0].value; }
  bool reads_elements() const;
  bool reads_variable(int index) const;

  /// ceil_div and round_up ask for a positive divisor; 0 is taken as 1. Overflow wraps. `read`
  /// gives an element: int64_t read(const Token&, int64_t offset).
  template <typename Read>
  int64_t evaluate(const int64_t* variables, Read&& read) const;
  /// The same of an expression that reads no elements.
  int64_t evaluate(const int64_t* variables) const;

  int depth() const;  ///< operands on the stack at once; verify() refuses more than kMaxDepth

  friend Expr combine(Kind kind, const Expr& a, const Expr& b);
  bool operator==(const Expr&) const = default;

 private:
  static int64_t apply(Kind kind, int64_t a, int64_t b);

  std::vector<Token> tokens_;
};

Expr combine(Expr::Kind kind, const Expr& a, const Expr& b);  ///< folds constants, x*1, x+0
inline Expr operator+(const Expr& a, const Expr& b) { return combine(Expr::Kind::add, a, b); }
inline Expr operator-(const Expr& a, const Expr& b) { return combine(Expr::Kind::sub, a, b); }
inline Expr operator*(const Expr& a, const Expr& b) { return combine(Expr::Kind::mul, a, b); }
inline Expr min(const Expr& a, const Expr& b) { return combine(Expr::Kind::min, a, b); }
inline Expr max(const Expr& a, const Expr& b) { return combine(Expr::Kind::max, a, b); }
inline Expr ceil_div(const Expr& a, const Expr& b) { return combine(Expr::Kind::ceil_div, a, b); }
inline Expr round_up(const Expr& a, const Expr& b) { return combine(Expr::Kind::round_up, a, b); }

/// The integer at `at`, which need not be aligned.
inline int64_t read_element(const Expr::Token& token, const std::byte* at) {
  if (token.kind == Expr::Kind::element_i64) {
    int64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  int32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Wrapping arithmetic: an absurd input gives an absurd number, which the checks downstream refuse.
inline int64_t Expr::apply(Kind kind, int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  const auto wrap = [](uint64_t value) { return static_cast<int64_t>(value); };
  const auto ceil_quotient = [&] { return b <= 0 ? a : a / b + (a % b > 0 ? 1 : 0); };
  switch (kind) {
    case Kind::add: return wrap(x + y);
    case Kind::sub: return wrap(x - y);
    case Kind::mul: return wrap(x * y);
    case Kind::min: return a < b ? a : b;
    case Kind::max: return a < b ? b : a;
    case Kind::ceil_div: return ceil_quotient();
    case Kind::round_up: return b <= 0 ? a : wrap(static_cast<uint64_t>(ceil_quotient()) * y);
    default: return 0;
  }
}

// Every token finds on the stack what it takes, by construction; the compiler cannot see that.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
template <typename Read>
int64_t Expr::evaluate(const int64_t* variables, Read&& read) const {
  // Most are a number or a variable.
  if (tokens_.size() == 1) {
    const Token& only = tokens_.front();
    return only.kind == Kind::constant ? only.value : variables[only.value];
  }
  int64_t stack[kMaxDepth];
  int top = -1;
  for (const Token& token : tokens_) {
    if (token.kind == Kind::constant) {
      stack[++top] = token.value;
    } else if (token.kind == Kind::variable) {
      stack[++top] = variables[token.value];
    } else if (token.is_element()) {
      stack[top] = read(token, stack[top]);
    } else {
      --top;
      stack[top] = apply(token.kind, stack[top], stack[top + 1]);
    }
  }
  return stack[0];
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace lathe::ir::plan
