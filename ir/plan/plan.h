// The plan: loops over cache blocks and threads that call kernel programs; one kernel's whole work.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ir/program/program.h"

namespace lathe::ir::plan {

/// An integer expression over the plan's variables (dimensions, strides, loop variables,
/// `threads`), in postfix order. Small and flat, so that a launch evaluates it in nanoseconds.
class Expr {
 public:
  static constexpr int kMaxDepth = 16;  ///< of the evaluation's stack
  enum class Kind : uint8_t { constant, variable, add, sub, mul, min, max, ceil_div, round_up };
  struct Token {
    Kind kind = Kind::constant;
    int64_t value = 0;  ///< the constant, or the variable's index in Plan::variables
    bool operator==(const Token&) const = default;
  };

  Expr(int64_t value = 0) : tokens_{{Kind::constant, value}} {}  // NOLINT: implicit on purpose
  static Expr variable(int index);

  const std::vector<Token>& tokens() const { return tokens_; }
  bool is_constant() const { return tokens_.size() == 1 && tokens_[0].kind == Kind::constant; }
  int64_t constant() const { return tokens_[0].value; }

  /// ceil_div and round_up ask for a positive divisor; 0 is taken as 1. Overflow wraps.
  int64_t evaluate(const int64_t* variables) const;
  int depth() const;  ///< operands on the stack at once; verify() refuses more than kMaxDepth

  friend Expr combine(Kind kind, const Expr& a, const Expr& b);
  bool operator==(const Expr&) const = default;

 private:
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

/// An input or output tensor of the kernel, in the order of the problem's signature. Its run-time
/// sizes and strides are variables named `<dim>` and `<operand>.stride<k>` (in bytes).
struct Operand {
  std::string name;
  Type type = Type::f32;
  program::BufferAccess access = program::BufferAccess::read;
  bool optional = false;
  /// An integer operand whose elements are positions: the variable's index such that every element
  /// must be in [0, its value); the launcher checks them before anything runs. -1: no such rule.
  int index_limit = -1;
};

/// Working memory: `bytes` for each worker, or once for all. 64-byte aligned, undefined at the
/// start.
struct Scratch {
  std::string name;
  Expr bytes;
  bool per_worker = true;
};

struct Step;
using Body = std::vector<Step>;

/// for (variable = 0; variable < extent; variable += block) body. Iterations of a parallel loop run
/// on any worker in any order; parallel loops nest only directly inside each other.
struct Loop {
  int variable = 0;
  Expr extent, block = 1;
  bool parallel = false;
  Body body;
};

/// One call of a program: for each of its buffers the operand or scratch and the byte offset of its
/// start, then its parameters.
struct Argument {
  enum class Kind : uint8_t { operand, scratch } kind = Kind::operand;
  int index = 0;
  Expr offset;
};
struct Call {
  int program = 0;
  std::vector<Argument> buffers;
  std::vector<Expr> parameters;
};

struct Step {
  std::variant<Loop, Call> value;
};

void append(Body& body, Loop loop);
void append(Body& body, Call call);

struct Plan {
  std::string name;
  std::vector<std::string>
      variables;   ///< inputs first (dimensions, strides, "threads"), then loop variables
  int inputs = 0;  ///< how many of them the launch provides
  std::vector<Operand> operands;
  std::vector<Scratch> scratch;
  std::vector<program::Program> programs;
  Body body;
  /// An output may be the very memory of an input of the same type, shape and strides.
  bool in_place = false;

  /// The variable's index, made at the first call. Inputs must be made before loop variables.
  int input(const std::string& name);
  int loop_variable(const std::string& name);
  int find(const std::string& name) const;  ///< -1 when absent
};

/// Stable text: programs are named, not printed.
std::string print(const Plan& plan);
std::string print(const Expr& expr, const Plan& plan);

/// Indices in range, variables bound before use, every program verifies, parallel loops well
/// placed.
Status verify(const Plan& plan);

}  // namespace lathe::ir::plan
