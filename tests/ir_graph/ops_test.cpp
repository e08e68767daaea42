// The op table's own consistency, look-up, and completion of attributes.
#include "ir/graph/ops.h"

#include <set>

#include <gtest/gtest.h>

namespace lathe::ir::graph {
namespace {

TEST(Ops, EveryRowIsComplete) {
  std::set<std::string_view> names;
  for (const Op& op : op_table()) {
    EXPECT_TRUE(names.insert(op.name).second) << op.name;
    EXPECT_TRUE(is_word(op.name)) << op.name;
    EXPECT_FALSE(op.doc.empty()) << op.name;
    EXPECT_NE(op.infer, nullptr) << op.name;
    EXPECT_NE(op.eval, nullptr) << op.name;
    ASSERT_FALSE(op.results.empty()) << op.name;
    EXPECT_FALSE(op.results.front().optional) << op.name;
    for (size_t i = 0; i < op.operands.size(); ++i) {
      const bool last = i + 1 == op.operands.size();
      EXPECT_TRUE(last || op.operands[i].arity != Arity::variadic) << op.name;
      const bool required_after_optional = i > 0 && op.operands[i - 1].arity == Arity::optional &&
                                           op.operands[i].arity != Arity::optional;
      EXPECT_FALSE(required_after_optional) << op.name;
    }
    for (const AttributeSpec& spec : op.attributes) {
      EXPECT_FALSE(spec.doc.empty()) << op.name << " " << spec.name;
      EXPECT_EQ(spec.kind == AttributeKind::word, !spec.choices.empty())
          << op.name << " " << spec.name;
      const AttributeKind kind = spec.default_value ? spec.default_value->kind() : spec.kind;
      EXPECT_EQ(kind, spec.kind) << op.name << " " << spec.name;
    }
  }
}

TEST(Ops, FamiliesStandInTheOrderOfTheDesign) {
  for (size_t i = 1; i < op_table().size(); ++i)
    EXPECT_LE(op_table()[i - 1].family, op_table()[i].family);
}

TEST(Ops, UnknownNamesSuggestTheNearest) {
  EXPECT_EQ((*find_op("rms_norm"))->name, "rms_norm");
  EXPECT_EQ(find_op("rmsnorm").error().message, "unknown op 'rmsnorm'; did you mean 'rms_norm'?");
  EXPECT_EQ(find_op("convolution").error().message, "unknown op 'convolution'");
  EXPECT_EQ(find_op(std::string(1000, 'x')).error().code, ErrorCode::not_found);
}

TEST(Ops, AttributesAreCompletedInOrder) {
  const Op& rope = **find_op("rope");
  const auto complete =
      complete_attributes(rope, {{"rotary_dim", 64}, {"interleaved", true}}).value();
  EXPECT_EQ(complete,
            (Attributes{{"interleaved", true}, {"rotary_dim", 64}, {"layout", "tokens_heads"}}));
}

TEST(Ops, AttributeMistakesAreNamed) {
  const Op& gelu = **find_op("gelu");
  EXPECT_EQ(complete_attributes(gelu, {{"approximat", "tanh"}}).error().message,
            "gelu: unknown attribute 'approximat'; did you mean 'approximate'?");
  EXPECT_EQ(complete_attributes(gelu, {{"approximate", "sigmoid"}}).error().message,
            "gelu: attribute 'approximate': found 'sigmoid', expected one of none, tanh");
  EXPECT_EQ(complete_attributes(gelu, {{"approximate", 3}}).error().message,
            "gelu: attribute 'approximate': found integer '3', expected word");
  EXPECT_EQ(complete_attributes(**find_op("transpose"), {}).error().message,
            "transpose: attribute 'perm' (list of integers) is missing");
}

TEST(Ops, OperandsAreCountedAndTyped) {
  const Op& linear = **find_op("linear");
  const TensorType x{Type::f32, {"n", 4}};
  const TensorType w{Type::i8, {2, 4}};
  const TensorType* one[] = {&x};
  const TensorType* wrong[] = {&x, &w};
  const TensorType* missing[] = {&x, nullptr};
  EXPECT_EQ(infer_node(linear, one, {}, 1).error().message,
            "linear: found 1 operands, expected 2 to 3");
  EXPECT_EQ(infer_node(linear, wrong, {}, 1).error().message,
            "linear: operand 'w': found i8[2, 4], expected a float or block-quantised type");
  EXPECT_EQ(infer_node(linear, missing, {}, 1).error().message,
            "linear: operand 'w' is omitted, but it is required");
  const TensorType* fine[] = {&x, &x};
  EXPECT_EQ(infer_node(linear, fine, {}, 2).error().message, "linear: found 2 results, expected 1");
}

}  // namespace
}  // namespace lathe::ir::graph
