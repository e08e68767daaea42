// Problem lines: canonical form, defaults, sizes.
#include "compiler/problem.h"

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "compiler/sizes.h"

namespace lathe::compiler {
namespace {

TEST(Problem, PrintsParametersInTheFamilysOrderWithoutDefaults) {
  const auto problem = parse_problem("rms_norm eps=1e-6 width=2048  type=f32 rows=600");
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_EQ(problem->line(), "rms_norm rows=512..2047 width=2048");
}

TEST(Problem, KeepsWhatDiffersFromTheDefaults) {
  const auto problem = parse_problem("rms_norm eps=1e-05 weight=false rows=1 width=72 type=bf16");
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_EQ(problem->line(), "rms_norm rows=1 width=72 type=bf16 weight=false eps=1e-05");
}

TEST(Problem, TheDefaultOfOneParameterMayBeAnother) {
  const auto problem = parse_problem("rms_norm rows=1 width=72 type=bf16");
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->type("out"), ir::Type::bf16);
  EXPECT_EQ(parse_problem("rms_norm rows=1 width=72 type=bf16 out=bf16")->line(), problem->line());
  EXPECT_EQ(parse_problem("rms_norm rows=1 width=72 type=bf16 out=f32")->line(),
            "rms_norm rows=1 width=72 type=bf16 out=f32");
}

TEST(Problem, BlocksAreNobodysDefault) {
  const auto problem = parse_problem("linear rows=1 n=8 k=32 type=q8_0 weight=q8_0");
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_EQ(problem->type("out"), ir::Type::f32);
  EXPECT_EQ(problem->line(), "linear rows=1 n=8 k=32 type=q8_0 weight=q8_0");
}

TEST(Problem, FragmentsAreCanonical) {
  EXPECT_EQ(parse_problem("elementwise rows=1 width=8 expr=mul(x,1.50)")->line(),
            "elementwise rows=1 width=8 expr=mul(x,1.5)");
}

TEST(Problem, EveryExampleOfTheCatalogueReadsBack) {
  for (const Family* family : catalogue()) {
    const auto problem = parse_problem(family->example);
    ASSERT_TRUE(problem) << problem.error().message;
    const auto again = parse_problem(problem->line());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(problem->line(), again->line());
    EXPECT_EQ(*problem, *again);
  }
}

TEST(Problem, ValuesAreTyped) {
  const auto problem = parse_problem("rope rows=5 kind=vision heads=16 dim=72 norm=true eps=0.5");
  ASSERT_TRUE(problem) << problem.error().message;
  EXPECT_EQ(problem->text("kind"), "vision");
  EXPECT_EQ(problem->integer("heads"), 16);
  EXPECT_EQ(problem->number("eps"), 0.5);
  EXPECT_TRUE(problem->flag("norm"));
  EXPECT_EQ(problem->bucket("rows"), bucket_of(5));
  EXPECT_TRUE(problem->has("dim"));
  EXPECT_FALSE(problem->has("width"));
}

TEST(Sizes, TextReadsBack) {
  const auto sizes = parse_sizes("rows=512,positions=4096");
  ASSERT_TRUE(sizes);
  EXPECT_EQ(sizes->at("rows"), 512);
  EXPECT_EQ(print(*sizes), "positions=4096,rows=512");
  EXPECT_EQ(parse_sizes("")->size(), 0U);
}

TEST(Sizes, WhatFollowsFromOthersIsFilledIn) {
  const Problem problem =
      *parse_problem("attention_block_sparse tokens=600 heads=1 dim=8 block=32 kept=3");
  const auto sizes = complete_sizes(problem, {{"tokens", 600}, {"kept", 3}});
  ASSERT_TRUE(sizes) << sizes.error().message;
  EXPECT_EQ(sizes->at("query_blocks"), 19);
  EXPECT_EQ(sizes->at("kept"), 3);
  EXPECT_EQ(complete_sizes(problem, {{"tokens", 600}, {"query_blocks", 20}}).error().message,
            "size query_blocks=20: expected 19, as other sizes have it; leave it out");
}

TEST(Sizes, ALineMayNameThem) {
  EXPECT_EQ(sizes_named_in("linear rows=16 n=64 k=64"), (Sizes{{"rows", 16}}));
  EXPECT_EQ(sizes_named_in("relu width=8 rows=7"), (Sizes{{"rows", 7}}));
  for (const char* none : {"relu rows=8..31 width=8", "relu rows=512.. width=8", "relu width=8",
                           "relu rows=x width=8", "relu rows=0 width=8", "relu grows=4", ""})
    EXPECT_TRUE(sizes_named_in(none).empty()) << none;
}

}  // namespace
}  // namespace lathe::compiler
