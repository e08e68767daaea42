// Each way a text can be wrong, and the message it gets.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

// The first line of the message; the rest must show the source line and a caret at that column.
std::string error_of(std::string_view text) {
  const auto graph = parse(text);
  EXPECT_FALSE(graph.has_value()) << text;
  if (graph) return "";
  const std::string& message = graph.error().message;
  const size_t first_end = message.find('\n');
  const size_t second_end = message.find('\n', first_end + 1);
  EXPECT_NE(second_end, std::string::npos) << message;
  const auto column = static_cast<size_t>(std::stoi(message.substr(message.find(':') + 1)));
  if (column < 100) {
    EXPECT_EQ(message.size() - second_end - 1, column + 2) << message;
  }
  EXPECT_EQ(message.back(), '^') << message;
  return message.substr(0, first_end);
}

std::string statement_error(const std::string& statement) {
  return error_of("graph g(%x: f32[n, 8]) -> (%y) {\n" + statement + "\n}");
}

TEST(Parser, Structure) {
  EXPECT_EQ(error_of(""), "1:1: found the end of the text, expected 'graph'");
  EXPECT_EQ(error_of("grap g() -> (%x) {}"), "1:1: found 'grap', expected 'graph'");
  EXPECT_EQ(error_of("graph 2() -> (%x) {}"), "1:7: found '2', expected a name for the graph");
  EXPECT_EQ(error_of("graph g(%x f32[1]) -> (%x) {}"), "1:12: found 'f32', expected ':'");
  EXPECT_EQ(error_of("graph g(x) -> (%x) {}"),
            "1:9: found 'x', expected an input such as %x: f32[tokens, 2048]");
  EXPECT_EQ(error_of("graph g(%x: f32[1] %y: f32[1]) -> (%x) {}"),
            "1:20: found '%y', expected ',' or ')'");
  EXPECT_EQ(error_of("graph g(%x: f32[1]) (%x) {}"), "1:21: found '(', expected '->'");
  EXPECT_EQ(error_of("graph g(%x: f32[1]) -> () {}"),
            "1:24: found no outputs, expected one or more");
  EXPECT_EQ(error_of("graph g(%x: f32[1]) -> (y) {}"),
            "1:25: found 'y', expected an output such as %y");
  EXPECT_EQ(error_of("graph g(%x: f32[1]) -> (%x) {"),
            "1:30: found the end of the text, expected a statement such as %y = silu(%x), or '}'");
  EXPECT_EQ(error_of("graph g(%x: f32[1]) -> (%x) {} graph"),
            "1:32: found 'graph', expected the end of the text");
  EXPECT_EQ(error_of("graph g(%x: f32[1]) -> (%z) {}"),
            "1:25: found %z, which has no definition above; expected a value (did you mean %x?)");
}

TEST(Parser, Types) {
  EXPECT_EQ(error_of("graph g(%x: f33[1]) -> (%x) {}"),
            "1:13: unknown type 'f33'; expected one of f32, f16, bf16, bool, i8, u8, i16, u16, "
            "i32, u32, i64, u64, "
            "q8_0, q4_0, q4_K");
  EXPECT_EQ(error_of("graph g(%x: f32) -> (%x) {}"), "1:16: found ')', expected '['");
  EXPECT_EQ(error_of("graph g(%x: f32[-1]) -> (%x) {}"),
            "1:17: found '-1', expected an integer from 0 to 1099511627776");
  EXPECT_EQ(error_of("graph g(%x: f32[1.5]) -> (%x) {}"),
            "1:17: found '1.5', expected an integer from 0 to 1099511627776");
  EXPECT_EQ(error_of("graph g(%x: f32[99999999999999999999]) -> (%x) {}"),
            "1:17: found '99999999999999999999', expected an integer from 0 to 1099511627776");
  EXPECT_EQ(error_of("graph g(%x: f32[0*n]) -> (%x) {}"),
            "1:17: found '0', expected an integer from 1 to 1099511627776");
  EXPECT_EQ(error_of("graph g(%x: f32[2*3]) -> (%x) {}"),
            "1:19: found '3', expected the name of a dimension");
  EXPECT_EQ(error_of("graph g(%x: f32[%n]) -> (%x) {}"),
            "1:17: found '%n', expected a dimension: a number, a name or number*name");
  EXPECT_EQ(error_of("graph g(%x: f32[1,1,1,1,1,1,1,1,1]) -> (%x) {}"),
            "1:13: found rank 9, expected at most 8");
  EXPECT_EQ(error_of("graph g(%x: f32[1000000000, 1000000000]) -> (%x) {}"),
            "1:13: shape [1000000000, 1000000000] has more than 281474976710656 elements");
  EXPECT_EQ(
      error_of("graph g(%x: q4_0[4, 20]) -> (%x) {}"),
      "1:13: found q4_0[4, 20], expected a last dimension that is a multiple of the block of 32");
}

TEST(Parser, Statements) {
  EXPECT_EQ(statement_error("%y = sillu(%x)"), "2:6: unknown op 'sillu'; did you mean 'silu'?");
  EXPECT_EQ(statement_error("%y = silu(%z)"),
            "2:11: found %z, which has no definition above; expected a value (did you mean %x?)");
  EXPECT_EQ(statement_error("%x = silu(%x)"),
            "2:1: found a second definition of %x, expected a new name (the first is at 1:9)");
  EXPECT_EQ(statement_error("%y, = silu(%x)"),
            "2:5: found '=', expected a statement such as %y = silu(%x), or '}'");
  EXPECT_EQ(statement_error("%y silu(%x)"), "2:4: found 'silu', expected '='");
  EXPECT_EQ(statement_error("%y = (%x)"), "2:6: found '(', expected the name of an op");
  EXPECT_EQ(statement_error("%y = silu %x"), "2:11: found '%x', expected '('");
  EXPECT_EQ(statement_error("%y = silu(x)"),
            "2:11: found 'x', expected an operand such as %x, or _ for one left out");
  EXPECT_EQ(statement_error("%y = silu(%x, %x)"), "2:6: silu: found 2 operands, expected 1");
  EXPECT_EQ(statement_error("%y = silu()"), "2:6: silu: found 0 operands, expected 1");
  EXPECT_EQ(statement_error("%y = silu(_)"), "2:6: silu: found 0 operands, expected 1");
  EXPECT_EQ(statement_error("%y = concat() {axis = 0}"),
            "2:6: concat: found 0 operands, expected 1 or more");
  EXPECT_EQ(statement_error("%y, %z = silu(%x)"), "2:10: silu: found 2 results, expected 1");
  EXPECT_EQ(statement_error("%a = rope_table() {theta = 1, dim = 2, positions = 3}"),
            "2:6: rope_table: found 1 results, expected 2");
  EXPECT_EQ(statement_error("%y = silu(%x) : f16[n, 8]"),
            "2:17: found f16[n, 8], expected f32[n, 8]");
  EXPECT_EQ(statement_error("%y = silu(%x) : f32[n, 8], f32[n]"),
            "2:28: found f32[n], expected 1 types");
  EXPECT_EQ(statement_error("%y, %m = layer_norm(%x) : f32[n, 8]"),
            "3:1: found '}', expected ',' and the type of result 2");
}

TEST(Parser, Attributes) {
  EXPECT_EQ(statement_error("%y = softmax(%x) {axes = 0}"),
            "2:6: softmax: unknown attribute 'axes'; did you mean 'axis'?");
  EXPECT_EQ(statement_error("%y = softmax(%x) {axis 0}"), "2:24: found '0', expected '='");
  EXPECT_EQ(statement_error("%y = softmax(%x) {axis = 0 axis = 1}"),
            "2:28: found 'axis', expected ',' or '}'");
  EXPECT_EQ(statement_error("%y = softmax(%x) {axis = 0, axis = 1}"),
            "2:29: found attribute 'axis' twice, expected it once");
  EXPECT_EQ(statement_error("%y = softmax(%x) {axis = %x}"),
            "2:26: found '%x', expected a value: a number, a word or a list in [ ]");
  EXPECT_EQ(statement_error("%y = softmax(%x) {axis = 1x}"),
            "2:26: found '1x', expected a number in range");
  EXPECT_EQ(statement_error("%y = softmax(%x) {axis = 0.5}"),
            "2:6: softmax: attribute 'axis': found real '0.5', expected integer");
  EXPECT_EQ(statement_error("%y = rms_norm(%x) {eps = 1e999}"),
            "2:26: found '1e999', expected a number in range");
  EXPECT_EQ(statement_error("%y = rms_norm(%x) {eps = tiny}"),
            "2:6: rms_norm: attribute 'eps': found word 'tiny', expected real");
  EXPECT_EQ(statement_error("%y = gelu(%x) {approximate = exact}"),
            "2:6: gelu: attribute 'approximate': found 'exact', expected one of none, tanh");
  EXPECT_EQ(statement_error("%y = transpose(%x)"),
            "2:6: transpose: attribute 'perm' (list of integers) is missing");
  EXPECT_EQ(statement_error("%y = transpose(%x) {perm = [1, n]}"),
            "2:6: transpose: attribute 'perm': found list of dimensions '[1, n]', expected list of "
            "integers");
  EXPECT_EQ(statement_error("%y = transpose(%x) {perm = [1, 0.5, n]}"),
            "2:28: found reals and names in one list, expected one kind");
  EXPECT_EQ(statement_error("%y = reshape(%x) {shape = [-2*n]}"),
            "2:28: found '-2', expected an integer from 1 to 1099511627776");
  EXPECT_EQ(statement_error("%y = cast(%x) {type = f99}"),
            "2:6: cast: attribute 'type': found word 'f99', expected type");
}

TEST(Parser, AnUnknownOpIsNotFoundAndOthersAreParseErrors) {
  EXPECT_EQ(parse("graph g(%x: f32[1]) -> (%y) { %y = f(%x) }").error().code, ErrorCode::not_found);
  EXPECT_EQ(parse("graph").error().code, ErrorCode::parse_error);
  EXPECT_EQ(parse("graph g(%x: f32[1]) -> (%y) { %y = silu() }").error().code,
            ErrorCode::verify_error);
}

TEST(Parser, LimitsHoldForHostileTexts) {
  EXPECT_EQ(parse(std::string(kMaxText + 1, ' ')).error().message,
            "1:1: found a text of 16777217 bytes, expected at most 16777216");
  EXPECT_FALSE(parse("graph g(%x: f32" + std::string(1 << 20, '[')).has_value());
  EXPECT_FALSE(parse("graph g() -> (%y) { %y = transpose(%y) {perm = " + std::string(1 << 20, '['))
                   .has_value());
  std::string list = "graph g() -> (%y) { %y = constant() {value = 1, shape = [1";
  for (int i = 0; i < 5000; ++i) list += ",1";
  EXPECT_EQ(error_of(list + "]} }").substr(0, 8), "1:8250: ");
}

TEST(Parser, AcceptsLongChains) {
  std::string text = "graph g(%v0: f32[n]) -> (%v20000) {\n";
  for (int i = 1; i <= 20000; ++i) text += fmt::format("%v{} = relu(%v{})\n", i, i - 1);
  EXPECT_EQ(parse_valid(text + "}").nodes.size(), 20000U);
}

}  // namespace
}  // namespace lathe::ir::graph
