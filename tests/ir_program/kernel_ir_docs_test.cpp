// docs/kernel_ir.md shows what the code does: its blocks are regenerated and compared.
#include <map>

#include <gtest/gtest.h>

#include "ir/plan/plan.h"
#include "ir/program/builder.h"
#include "ir/program/printer.h"
#include "ir/program/verifier.h"
#include "tests/support/golden.h"

namespace lathe::ir {
namespace {

// clang-format off
// [builder]
using namespace lathe::ir::program;

Program scale_rows(const Target& target) {
  Builder b("scale_rows", target);
  Pointer x = b.buffer("x", Type::f16, BufferAccess::read);
  Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
  Scalar rows = b.parameter("rows");
  b.loop(0, rows, 1, [&](Scalar) {
    b.vectors(20, [&](const Span& at) { b.store(y, at, b.load(x, at) * 2.0f); });
    b.advance(x, 20 * 2);
    b.advance(y, 20 * 4);
  });
  return b.finish();
}
// [end]
// clang-format on

plan::Plan scale_plan() {
  using plan::Expr;
  plan::Plan plan;
  plan.name = "scale";
  const Expr rows = Expr::variable(plan.input("rows"));
  const Expr x_stride = Expr::variable(plan.input("x.stride0"));
  const Expr y_stride = Expr::variable(plan.input("y.stride0"));
  const Expr threads = Expr::variable(plan.input("threads"));
  const int variable = plan.loop_variable("row");
  const Expr row = Expr::variable(variable), block = ceil_div(rows, threads);
  const plan::Place x = plan.add_operand({"x", Type::f16, BufferAccess::read});
  const plan::Place y = plan.add_operand({"y", Type::f32, BufferAccess::write});
  const int program = plan.add_program(scale_rows(*parse_target("avx2")));
  plan::Bindings names;
  names.at("x", x + row * x_stride).at("y", y + row * y_stride);
  names.set("rows", min(block, rows - row));
  names.set("x.stride0", x_stride).set("y.stride0", y_stride);
  plan::Loop loop{variable, 0, rows, block, /*parallel=*/true};
  append(loop.body, bind(plan, program, names));
  append(plan.body, std::move(loop));
  return plan;
}

// "v = v, v, #": how an instruction is written.
std::string operands(const OpInfo& op) {
  std::string out = op.result == '-' ? "" : std::string(1, op.result) + " =";
  const char* separator = out.empty() ? "" : " ";
  const auto add = [&](const std::string& operand) {
    out += separator + operand;
    separator = ", ";
  };
  if (op.has_address) add("addr");
  for (const char source : op.sources) add(std::string(1, source));
  if (op.has_scalar) add("n");
  if (op.has_pattern) add("[…]");
  if (op.has_imm) add("#");
  return out;
}

// A bar would end the table's cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string op_table() {
  std::string out = "| op | operands | meaning |\n|---|---|---|\n";
  for (const OpInfo& op : all_ops())
    out += fmt::format("| `{}`{} | `{}` | {} |\n", op.name, op.has_memory_type ? "`.type`" : "",
                       operands(op), cell(op.meaning));
  return out;
}

std::string fenced(const std::string& language, const std::string& text) {
  return "```" + language + "\n" + text + "```\n";
}

std::string example_source() {
  const std::string source = tests::read_source("tests/ir_program/kernel_ir_docs_test.cpp");
  const std::string begin = "// [builder]\n";
  const size_t from = source.find(begin) + begin.size();
  return source.substr(from, source.find("// [end]", from) - from);
}

// The page with each generated section written anew.
std::string regenerated(std::string page, const std::map<std::string, std::string>& sections) {
  const std::string end = "<!-- end -->";
  for (const auto& [name, text] : sections) {
    const std::string begin = "<!-- generated: " + name + " -->\n";
    const size_t from = page.find(begin);
    if (from == std::string::npos) return "no section " + name;
    const size_t start = from + begin.size();
    page.replace(start, page.find(end, start) - start, text);
  }
  return page;
}

TEST(KernelIrDocs, ExamplesVerify) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"})
    EXPECT_TRUE(verify(scale_rows(*parse_target(name)))) << name;
  const Status status = plan::verify(scale_plan());
  EXPECT_TRUE(status) << status.error().message;
}

TEST(KernelIrDocs, GeneratedSectionsAreCurrent) {
  const std::map<std::string, std::string> sections{
      {"builder", fenced("cpp", example_source())},
      {"program", fenced("", print(scale_rows(*parse_target("avx2"))))},
      {"plan", fenced("", plan::print(scale_plan()))},
      {"ops", op_table()}};
  EXPECT_TRUE(tests::matches_golden(
      "../../docs/kernel_ir.md", regenerated(tests::read_source("docs/kernel_ir.md"), sections)));
}

TEST(KernelIrDocs, NoBlockStandsOutsideTheGeneratedSections) {
  const std::string page = tests::read_source("docs/kernel_ir.md");
  ASSERT_FALSE(page.empty());
  size_t fences = 0;
  for (size_t at = page.find("\n```"); at != std::string::npos; at = page.find("\n```", at + 1))
    ++fences;
  EXPECT_EQ(fences, 6U) << "three generated blocks have six fences";
}

}  // namespace
}  // namespace lathe::ir
