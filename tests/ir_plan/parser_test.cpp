// Plans read back from their complete text, and what is wrong with a text that is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ir_plan/sample_plan.h"

namespace lathe::ir::plan {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

void expect_round_trip(const Plan& plan) {
  const std::string text = print_complete(plan);
  const auto parsed = parse_plan(text);
  ASSERT_TRUE(parsed) << parsed.error().message << "\n" << text;
  EXPECT_TRUE(equal_but_for_code(*parsed, plan)) << text << print_complete(*parsed);
  EXPECT_EQ(print_complete(*parsed), text);
}

TEST(PlanParser, ReadsWhatThePrinterWrites) {
  expect_round_trip(sample_plan());
  expect_round_trip(ragged_plan());
  expect_round_trip(paged_plan());
}

TEST(PlanParser, KeepsEveryField) {
  Plan plan = ragged_plan();
  plan.in_place = true;
  plan.most_scratch = 4096;
  plan.operands[1].optional = true;
  plan.operands[1].elements->covers = true;
  plan.operands[1].elements->distinct = true;
  plan.operands[1].elements->count = Expr::variable(plan.find("sequences")) + 1;
  plan.operands.push_back({.name = "pages",
                           .type = Type::i64,
                           .elements = ElementRule{.least = 1, .below = Expr::variable(0)}});
  plan.operands.push_back({.name = "weights", .type = Type::f32, .finite = true});
  plan.operands.push_back(
      {.name = "cache.k", .type = Type::q8_0, .access = program::BufferAccess::read_write});
  plan.add_scratch({"sums", round_up(Expr::variable(0) * 4, 64), false});
  plan.add_scratch({"packed", 256, true});
  plan.loop_variable("unused");
  expect_round_trip(plan);
}

TEST(PlanParser, TellsProgramsOfOneNameApart) {
  Plan plan = sample_plan();
  Call second = call_of(plan);
  second.program = plan.add_program(double_rows());
  append(loop_of(plan).body, std::move(second));
  const std::string text = print_complete(plan);
  EXPECT_THAT(text, HasSubstr("    double_rows(x"));
  EXPECT_THAT(text, HasSubstr("    double_rows#1(x"));
  expect_round_trip(plan);
  plan.programs[1].name = "other_rows";
  std::string wrong = print_complete(plan);
  wrong.replace(wrong.find("    other_rows("), 15, "    other_rows#0(");
  const auto parsed = parse_plan(wrong);
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message,
              HasSubstr("found 0, expected the number of a program 'other_rows'"));
}

TEST(PlanParser, KeepsTheTreeOfAnExpression) {
  Plan plan = sample_plan();
  const Expr rows = Expr::variable(0), stride = Expr::variable(1);
  const std::vector<Expr> expressions = {
      rows + (stride + 1),
      rows + stride + 1,
      rows * (stride * 2),
      (rows + 1) * 2,
      rows - (stride - rows),
      rows - stride - rows,
      rows - (stride + 1),
      rows * -1 + -4,
      Expr(INT64_MIN),
      rows + INT64_MIN,
      max(min(rows, 3), ceil_div(rows, 4) + round_up(stride, 8) * 2)};
  for (const Expr& each : expressions) {
    call_of(plan).buffers[1].place.offset = each;
    expect_round_trip(plan);
  }
}

TEST(PlanParser, ReadsElementsOfBothSizes) {
  for (const Type type : {Type::i32, Type::i64}) {
    Plan plan = ragged_plan();
    plan.operands[1].type = type;
    Loop& inner = std::get<Loop>(std::get<Loop>(plan.body[0].value).body[0].value);
    inner.begin = plan.element("starts", Expr::variable(plan.find("sequence")) * 8);
    inner.end = inner.begin + 1;
    std::get<Let>(inner.body[0].value).value = 1;
    expect_round_trip(plan);
  }
}

// The sample's text with `old` replaced.
std::string error_of(const std::string& old, const std::string& replacement) {
  std::string text = print_complete(sample_plan());
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old << "\n" << text;
  text.replace(at, old.size(), replacement);
  const auto plan = parse_plan(text);
  return plan ? "(parses)" : plan.error().message;
}

TEST(PlanParser, SaysWhereAndWhatWasExpected) {
  EXPECT_EQ(error_of("plan double", "graph double"),
            "plan: line 1, column 1: found 'graph', expected 'plan'");
  EXPECT_THAT(error_of("operand x f32", "operand x f33"),
              StartsWith("plan: line 6, column 11: unknown type 'f33'; expected one of f32, "));
  EXPECT_THAT(error_of("f32 read\n", "f32 reads\n"),
              StartsWith("plan: line 6, column 15: found 'reads', expected read, write or"));
  EXPECT_THAT(error_of("input threads", "input rows"),
              StartsWith("plan: line 4, column 7: found 'rows' a second time"));
  EXPECT_THAT(error_of("operand y", "operand x"), HasSubstr("found 'x' a second time"));
  EXPECT_THAT(error_of("input threads", "variable a\ninput threads"),
              HasSubstr("found an input behind a variable"));
  EXPECT_THAT(error_of("0 .. rows", "0 .. columns"), HasSubstr("found 'columns', expected"));
  EXPECT_THAT(error_of("0 .. rows", "0 , rows"), HasSubstr("found ',', expected '..'"));
  EXPECT_THAT(error_of("step 2", "step (2"), HasSubstr("found '{', expected ')'"));
  EXPECT_THAT(error_of("step 2", "step 99999999999999999999"),
              HasSubstr("found 99999999999999999999, expected a number of 64 bits"));
  EXPECT_THAT(error_of("step 2", "step -"), HasSubstr("found '-', expected a number"));
  EXPECT_THAT(error_of("step 2", "step x[0]"), HasSubstr("found an element of f32"));
  EXPECT_THAT(error_of("step 2", "step log(2, 2)"), HasSubstr("found 'log', expected min, max"));
  EXPECT_THAT(error_of("step 2", "step \x01"), HasSubstr("found the byte 0x01"));
  EXPECT_THAT(error_of("    double_rows(", "    triple_rows("),
              HasSubstr("found 'triple_rows', expected for, parallel, let, or a program's name"));
  EXPECT_THAT(error_of("x + row", "z + row"), HasSubstr("found 'z', expected an operand or"));
  EXPECT_THAT(error_of("; min(", ", min("), HasSubstr("found ',', expected ';'"));
  EXPECT_THAT(error_of("  }\n", ""), HasSubstr("found the end of the text, expected '}'"));
  EXPECT_THAT(error_of("  }\n", "  } }\n"), HasSubstr("found '}', expected a step or the end"));
}

TEST(PlanParser, RefusesWhatTheVerifierRefuses) {
  EXPECT_THAT(error_of("operand y f32 write", "operand y f32 read"),
              HasSubstr("writes operand 'y' through 'y', but the operand is read-only"));
  EXPECT_THAT(error_of("step 2", "step 0"), HasSubstr("block 0; expected at least 1"));
  EXPECT_THAT(error_of("0 .. rows", "row .. rows"), HasSubstr("'row' is used where nothing binds"));
}

TEST(PlanParser, BoundsWhatATextMayCost) {
  const auto repeated = [](const std::string& text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  EXPECT_THAT(error_of("step 2", "step " + repeated("(", 100000)),
              HasSubstr("found more than 32 brackets in one another"));
  EXPECT_THAT(error_of("step 2", "step " + repeated("min(", 100000)), HasSubstr("brackets"));
  EXPECT_THAT(error_of("step 2", "step rows" + repeated(" + rows", 100000)),
              HasSubstr("found an expression of more than 1024 terms"));
  EXPECT_THAT(error_of("step 2", "step " + repeated("(rows + ", 20) + "1" + repeated(")", 20)),
              HasSubstr("found an expression that nests deeper than 16"));
  std::string inputs;
  for (int i = 0; i < 5000; ++i) inputs += "input i" + std::to_string(i) + "\n";
  EXPECT_THAT(error_of("input threads\n", inputs), HasSubstr("found more than 4096 names"));
  const std::string loops = repeated("for row = 0 .. 1 step 1 { ", 100000);
  EXPECT_THAT(error_of("  parallel for", loops + "parallel for"),
              HasSubstr("found loops that nest more than 32 deep"));
}

// Whatever is cut off or changed, there is a plan that verifies, or an error.
TEST(PlanParser, NoTextIsTooMuch) {
  const std::string text = print_complete(paged_plan());
  for (size_t length = 0; length < text.size(); ++length) {
    const auto plan = parse_plan(std::string_view(text).substr(0, length));
    EXPECT_TRUE(plan || !plan.error().message.empty());
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char c : {'\0', '(', '0', ' ', 'x', '\xff'}) {
      std::string changed = text;
      changed[at] = c;
      const auto plan = parse_plan(changed);
      EXPECT_TRUE(!plan || verify(*plan)) << changed;
    }
  }
}

}  // namespace
}  // namespace lathe::ir::plan
