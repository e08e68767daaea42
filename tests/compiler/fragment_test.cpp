// Fragments: text, inputs, shared nodes, work.
#include "compiler/fragment.h"

#include <gtest/gtest.h>

namespace lathe::compiler {
namespace {

Fragment parse(std::string_view text) {
  auto fragment = Fragment::parse(text);
  EXPECT_TRUE(fragment) << fragment.error().message;
  return fragment ? *fragment : Fragment{};
}

TEST(Fragment, TextReadsBack) {
  for (const char* text :
       {"x", "add(x,r)", "mul(silu(gate),up)", "fma(y,vec(scale),col(shift))",
        "where(lt(x,0),mul(x,0.01),x)", "round_bf16(div(x,1e-05))", "max(x,-3.5)"}) {
    EXPECT_EQ(parse(text).text(), text);
    EXPECT_EQ(parse(parse(text).text()), parse(text));
  }
}

TEST(Fragment, NumbersPrintTheirShortestText) {
  EXPECT_EQ(parse("mul(x,0.5000)").text(), "mul(x,0.5)");
}

TEST(Fragment, InputsStandInOrderOfAppearance) {
  const auto inputs = parse("add(mul(b,vec(w)),fma(a,b,col(s)))").inputs();
  ASSERT_EQ(inputs.size(), 4U);
  EXPECT_EQ(inputs[0], (FragmentInput{"b", LeafKind::full}));
  EXPECT_EQ(inputs[1], (FragmentInput{"w", LeafKind::vector}));
  EXPECT_EQ(inputs[2], (FragmentInput{"a", LeafKind::full}));
  EXPECT_EQ(inputs[3], (FragmentInput{"s", LeafKind::column}));
}

TEST(Fragment, EqualSubexpressionsAreOneNode) {
  EXPECT_EQ(parse("mul(exp(x),exp(x))").nodes().size(), 3U);
  EXPECT_DOUBLE_EQ(parse("mul(exp(x),exp(x))").flops(), 2);
}

TEST(Fragment, KnowsWhatDependsOnTheColumn) {
  const auto fragment = parse("mul(x,rsqrt(col(s)))");
  int per_row = 0;
  for (const auto& node : fragment.nodes()) per_row += node.per_element ? 0 : 1;
  EXPECT_EQ(per_row, 2);
}

TEST(Fragment, ALeafIsOneInput) {
  EXPECT_TRUE(parse("x").is_leaf());
  EXPECT_FALSE(parse("neg(x)").is_leaf());
  EXPECT_FALSE(parse("1").is_leaf());
}

}  // namespace
}  // namespace lathe::compiler
