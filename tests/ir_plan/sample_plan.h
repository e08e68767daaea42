// The plan that these tests take apart: y[row, :] = 2 * x[row, :], rows in parallel blocks.
#pragma once

#include "ir/plan/plan.h"
#include "ir/program/builder.h"

namespace lathe::ir::plan {

inline constexpr int64_t kWidth = 6;
inline constexpr int64_t kRowBytes = kWidth * 4;

/// Doubles `rows` rows of kWidth floats.
inline program::Program double_rows() {
  using namespace program;  // NOLINT
  Builder b("double_rows", *parse_target("sse"));
  Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  b.loop(0, rows, 1, [&](Scalar) {
    b.vectors(kWidth, [&](const Span& at) { b.store(y, at, b.load(x, at) * 2.0F); });
    b.advance(x, kRowBytes);
    b.advance(y, kRowBytes);
  });
  return b.finish();
}

/// Each iteration works on min(block, rows - row) rows; `step` is the loop's step (block, unless a
/// test wants them to overlap).
inline Plan sample_plan(const Expr& block = 2, const Expr& step = 2) {
  Plan plan;
  plan.name = "double";
  const Expr rows = Expr::variable(plan.input("rows"));
  plan.input("x.stride0");
  plan.input("threads");
  const int row = plan.loop_variable("row");
  const Place x = plan.add_operand({"x", Type::f32, program::BufferAccess::read});
  const Place y = plan.add_operand({"y", Type::f32, program::BufferAccess::write});
  const int program = plan.add_program(double_rows());
  const Expr offset = Expr::variable(row) * Expr::variable(1);
  Bindings names;
  names.at("x", x + offset).at("y", y + offset);
  names.set("rows", min(block, rows - Expr::variable(row)));
  Loop loop{row, 0, rows, step, /*parallel=*/true};
  append(loop.body, bind(plan, program, names));
  append(plan.body, std::move(loop));
  return plan;
}

/// Doubles the rows of each sequence: sequence s has rows starts[s] … starts[s + 1] - 1, and its
/// blocks of two rows are iterations of one nest. The size of a sequence has a name.
inline Plan ragged_plan() {
  Plan plan;
  plan.name = "double_sequences";
  const Expr rows = Expr::variable(plan.input("rows"));
  const Expr sequences = Expr::variable(plan.input("sequences"));
  plan.input("threads");
  const Expr sequence = Expr::variable(plan.loop_variable("sequence"));
  const Expr row = Expr::variable(plan.loop_variable("row"));
  const Expr left = Expr::variable(plan.loop_variable("left"));
  const Place x = plan.add_operand({"x", Type::f32, program::BufferAccess::read});
  plan.add_operand({.name = "starts",
                    .type = Type::i32,
                    .elements = ElementRule{.below = rows + 1, .ascending = true}});
  const Place y = plan.add_operand({"y", Type::f32, program::BufferAccess::write});
  const int program = plan.add_program(double_rows());
  const Expr first = plan.element("starts", sequence * 4);
  const Expr end = plan.element("starts", (sequence + 1) * 4);
  Bindings names;
  names.at("x", x + row * kRowBytes).at("y", y + row * kRowBytes).set("rows", min(2, left));
  Loop inner{plan.find("row"), first, end, 2, /*parallel=*/true};
  append(inner.body, Let{plan.find("left"), end - row});
  append(inner.body, bind(plan, program, names));
  Loop outer{plan.find("sequence"), 0, sequences, 1, /*parallel=*/true};
  append(outer.body, std::move(inner));
  append(plan.body, std::move(outer));
  return plan;
}

/// The sample with operands that it does not use: a table of which each row has an entry for every
/// 4 of as many elements as `counts` says.
inline Plan paged_plan() {
  Plan plan = sample_plan();
  const Expr rows = Expr::variable(plan.find("rows"));
  plan.operands.insert(
      plan.operands.begin() + 1,
      {{.name = "counts", .type = Type::i32, .elements = ElementRule{.below = rows + 1}},
       {.name = "table",
        .type = Type::i32,
        .elements = ElementRule{.below = rows, .row_count = RowCount{1, 4}}}});
  for (Call::Buffer& buffer :
       std::get<Call>(std::get<Loop>(plan.body[0].value).body[0].value).buffers)
    if (buffer.name == "y") buffer.place.index = 3;
  return plan;
}

/// Puts row r of x where slots[r] says in y, an operand that is updated; a row of slot -1 nowhere.
inline program::Program put_row() {
  using namespace program;  // NOLINT
  Builder b("put_row", *parse_target("sse"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer slots = b.buffer("slots", Type::i32, BufferAccess::read);
  const Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  const Scalar slot = b.load_integer(slots);
  b.branch(Compare::ge, slot, 0, [&] {
    const Pointer entry = b.offset(y, b.mul(slot, kRowBytes));
    b.vectors(kWidth, [&](const Span& at) { b.store(entry, at, b.load(x, at)); });
  });
  return b.finish();
}
inline Plan update_plan() {
  Plan plan;
  plan.name = "update";
  const Expr rows = Expr::variable(plan.input("rows"));
  const Expr capacity = Expr::variable(plan.input("capacity"));
  const Expr row = Expr::variable(plan.loop_variable("row"));
  const Place x = plan.add_operand({"x", Type::f32, program::BufferAccess::read});
  const Place slots = plan.add_operand(
      {.name = "slots",
       .type = Type::i32,
       .elements = ElementRule{.below = capacity, .distinct = true, .or_none = true}});
  const Place y = plan.add_operand(
      {.name = "y", .type = Type::f32, .access = program::BufferAccess::write, .updated = true});
  const int program = plan.add_program(put_row());
  Bindings names;
  names.at("x", x + row * kRowBytes).at("slots", slots + row * 4).at("y", y);
  Loop loop{plan.find("row"), 0, rows, 1, /*parallel=*/true};
  append(loop.body, bind(plan, program, names));
  append(plan.body, std::move(loop));
  return plan;
}

inline Loop& loop_of(Plan& plan) { return std::get<Loop>(plan.body[0].value); }
inline Call& call_of(Plan& plan) { return std::get<Call>(loop_of(plan).body[0].value); }

}  // namespace lathe::ir::plan
