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
  plan.operands = {{"x", Type::f32, program::BufferAccess::read, false, -1},
                   {"y", Type::f32, program::BufferAccess::write, false, -1}};
  plan.programs.push_back(double_rows());
  const Expr offset = Expr::variable(row) * Expr::variable(1);
  Call call;
  call.buffers = {{Argument::Kind::operand, 0, offset}, {Argument::Kind::operand, 1, offset}};
  call.parameters = {min(block, rows - Expr::variable(row))};
  Loop loop{row, rows, step, true, {}};
  append(loop.body, std::move(call));
  append(plan.body, std::move(loop));
  return plan;
}

inline Loop& loop_of(Plan& plan) { return std::get<Loop>(plan.body[0].value); }
inline Call& call_of(Plan& plan) { return std::get<Call>(loop_of(plan).body[0].value); }

}  // namespace lathe::ir::plan
