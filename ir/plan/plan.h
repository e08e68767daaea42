// The plan: loops over cache blocks and threads that call kernel programs; one kernel's whole work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/plan/expr.h"
#include "ir/program/program.h"

namespace lathe::ir::plan {

/// How many elements of each row of an operand, along its last dimension, count: of row r the first
/// ceil_div(n, each), where n is element r of an operand of as many elements. The others may be
/// anything: it is the plan's part to read none of them.
struct RowCount {
  /// Dense, before the rows in the table; it has a rule of its own, for all elements.
  int operand = 0;
  int64_t each = 1;
  bool operator==(const RowCount&) const = default;
};

/// What the elements of an integer operand must be, which the launcher checks before anything runs:
/// plans and programs use them to reach into other operands. Bounds are of the plan's inputs.
struct ElementRule {
  Expr least = 0, below;   ///< every element is in [least, below)
  bool ascending = false;  ///< none is less than the one before it along the last dimension
  bool distinct = false;   ///< none is equal to another along the last dimension
  /// -1 is allowed, too, as often as one likes: it names nothing. Programs have to look for it.
  bool or_none = false;
  /// The first is `least`, the last `below` - 1: bounds that leave nothing out.
  bool covers = false;
  std::optional<Expr> count{};          ///< how many there are, where no shape says it
  std::optional<RowCount> row_count{};  ///< where the rule is for a part of each row only
  bool operator==(const ElementRule&) const = default;
};

/// An input or output tensor of the kernel, in the order of the problem's signature. Its run-time
/// sizes and strides are variables named `<dim>` and `<operand>.stride<k>` (in bytes).
struct Operand {
  std::string name;
  Type type = Type::f32;
  program::BufferAccess access = program::BufferAccess::read;
  bool optional = false;
  std::optional<ElementRule> elements{};  ///< of an integer operand whose elements are used
  /// Of an f32 operand: the launcher refuses NaN and infinity in it, before anything runs.
  bool finite = false;
  /// Of an output: it is an input, too, which the caller gives once. Elements that the plan does
  /// not write keep the value that they had before.
  bool updated = false;
  bool operator==(const Operand&) const = default;
};

/// Working memory: `bytes` for each worker, or once for all. 64-byte aligned, undefined at the
/// start.
struct Scratch {
  std::string name;
  Expr bytes;
  bool per_worker = true;
  bool operator==(const Scratch&) const = default;
};

struct Step;
using Body = std::vector<Step>;

/// for (variable = begin; variable < end; variable += block) body. Iterations of a parallel loop
/// run on any worker in any order; parallel loops nest only directly inside each other, and of a
/// nest the bounds of the innermost alone may depend on the variables of the others: a nest over
/// sequences and the blocks of each is one space of iterations, shared out by the sequences'
/// lengths.
struct Loop {
  Loop(int variable, Expr begin, Expr end, Expr block = 1, bool parallel = false);
  Loop(int variable, Expr begin, Expr end, Expr block, bool parallel, Body body);

  int variable;
  Expr begin, end, block;
  bool parallel;
  Body body;
  bool operator==(const Loop&) const;
};

/// Names a value: the variable is bound for the steps that follow in the same body, and inside
/// them.
struct Let {
  int variable = 0;
  Expr value;
  bool operator==(const Let&) const = default;
};

/// Where a buffer of a program lies: in an operand or in scratch, at a byte offset from its start.
struct Place {
  enum class Kind : uint8_t { operand, scratch } kind = Kind::operand;
  int index = 0;
  Expr offset{};
  bool operator==(const Place&) const = default;
};
inline Place operator+(Place place, const Expr& bytes) {
  place.offset = place.offset + bytes;
  return place;
}

/// One call of a program. It gives a place to each of the program's buffers and a value to each of
/// its parameters, by name and in the program's order; bind() makes calls from names alone.
struct Call {
  struct Buffer {
    std::string name;
    Place place;
    bool operator==(const Buffer&) const = default;
  };
  struct Parameter {
    std::string name;
    Expr value;
    bool operator==(const Parameter&) const = default;
  };
  int program = 0;
  std::vector<Buffer> buffers{};
  std::vector<Parameter> parameters{};
  bool operator==(const Call&) const = default;
};

struct Step {
  std::variant<Loop, Let, Call> value;
  bool operator==(const Step&) const = default;
};

void append(Body& body, Loop loop);
void append(Body& body, Let let);
void append(Body& body, Call call);

struct Plan {
  std::string name;
  std::vector<std::string>
      variables;   ///< inputs first (dimensions, strides, "threads"), then those of loops and lets
  int inputs = 0;  ///< how many of them the launch provides
  std::vector<Operand> operands;
  std::vector<Scratch> scratch;
  std::vector<program::Program> programs;
  Body body;
  /// An output may be the very memory of an input of the same type, shape and strides.
  bool in_place = false;
  /// Bytes that the scratch of all workers together may take; no more of them run than have room,
  /// but one always does. 0: any.
  int64_t most_scratch = 0;

  /// The variable's index, made at the first call. Inputs must be made before loop variables.
  int input(const std::string& name);
  int loop_variable(const std::string& name);
  int find(const std::string& name) const;  ///< -1 when absent

  /// Appends to the table and gives the place of its start.
  Place add_operand(Operand operand);
  Place add_scratch(Scratch entry);
  int add_program(program::Program program);  ///< its index
  /// The place of a table's entry by name. One that is absent gives index -1, which verify()
  /// refuses.
  Place operand(std::string_view name) const;
  /// The element at byte `offset` of an integer operand, i32 or i64.
  Expr element(std::string_view operand, const Expr& offset) const;
};

/// What the writer of a plan offers to the calls it makes: places for buffers and values for
/// parameters, by the names that programs have for them. A later offer of a name replaces the
/// earlier.
class Bindings {
 public:
  Bindings& at(std::string buffer, Place place);
  Bindings& set(std::string parameter, Expr value);

  const Place* place(std::string_view buffer) const;    ///< null where nothing was offered
  const Expr* value(std::string_view parameter) const;  ///< the same

 private:
  std::vector<Call::Buffer> buffers_;
  std::vector<Call::Parameter> parameters_;
};

/// How many of `workers` may run at once, at least one, where scratch takes `shared` bytes and
/// `own` of each worker: all but for `plan.most_scratch`.
int workers_with_room(const Plan& plan, int64_t shared, int64_t own, int workers);

/// A call of `plan.programs[program]` that takes what it needs from `bindings`; it may offer more.
/// A buffer or parameter that it does not offer is left out, which verify() refuses by its name.
Call bind(const Plan& plan, int program, const Bindings& bindings);

/// Stable text: programs are named, not printed.
std::string print(const Plan& plan);
std::string print(const Expr& expr, const Plan& plan);
/// The same with all that parse_plan() needs: the order of variables, programs' names, buffers and
/// parameters, and parentheses wherever an expression nests to the right.
std::string print_complete(const Plan& plan);

/// Reads print_complete()'s text back, of programs the signatures: they have no bodies. The plan
/// is verified. parse_error with line, column, what was found and what was expected; verify_error
/// as verify() says.
Result<Plan> parse_plan(std::string_view text);

/// Whether two plans differ in nothing but their programs' bodies and registers.
bool equal_but_for_code(const Plan& a, const Plan& b);

/// Indices in range, variables bound before use, every program verifies and gets what it asks for
/// by name, elements are read of integer operands with rules that nothing writes, operands that are
/// updated may be written, parallel loops well placed.
Status verify(const Plan& plan);

}  // namespace lathe::ir::plan
