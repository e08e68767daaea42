// Operands that kernels share: who reads which, in which layouts.
#include "compiler/shared_operand.h"

#include <gtest/gtest.h>

#include "compiler/choose_layout.h"
#include "compiler/family.h"

namespace lathe::compiler {
namespace {

Problem problem(const std::string& line) {
  auto parsed = parse_problem(line);
  EXPECT_TRUE(parsed) << line << ": " << parsed.error().message;
  return *parsed;
}

ir::Target avx2() {
  ir::Target target;
  target.lanes = 8;
  return target;
}

// The name of what the problem shares; empty where it shares nothing.
std::string shared_name(const std::string& line) {
  const auto shared = shared_by(problem(line), avx2());
  return shared ? shared->name() : "";
}

TEST(SharedOperand, EveryKindIsWhole) {
  ASSERT_EQ(shared_operands().size(), 2U);
  for (const SharedOperand* operand : shared_operands()) {
    EXPECT_FALSE(operand->kind.empty());
    EXPECT_FALSE(find_family(operand->kind))
        << "records of kernels and of layouts must not have one name";
    EXPECT_FALSE(operand->sizes.empty());
    for (const Family* family : catalogue()) {
      if (family->shared != operand) continue;
      const ParameterSpec* parameter = family->parameter(operand->parameter);
      ASSERT_NE(parameter, nullptr) << family->name;
      const auto shared = shared_by(problem(family->example), avx2());
      if (!shared) continue;
      for (const std::string& layout : shared->layouts) {
        const auto same = with_layout(problem(family->example), layout);
        ASSERT_TRUE(same) << same.error().message;
        EXPECT_EQ(layout_named_by(*same), layout);
        EXPECT_EQ(shared_by(*same, avx2())->name(), shared->name());
      }
    }
  }
}

TEST(SharedOperand, RevisionsAreThoseOfAllReaders) {
  EXPECT_EQ(revision_of(weight_operand()), (*find_family("linear"))->revision);
  int sum = 0;
  for (const char* family : {"attention_decode", "attention_low_rank", "attention_token_sparse",
                             "attention_prefill", "attention_block_sparse"})
    sum += (*find_family(family))->revision;
  EXPECT_EQ(revision_of(*(*find_family("attention_decode"))->shared), sum);
}

TEST(SharedOperand, AWeightIsOneWhateverMultipliesIt) {
  const std::string weight = "weight n=96 k=64 weight=bf16";
  EXPECT_EQ(shared_name("linear rows=1 n=96 k=64 weight=bf16"), weight);
  EXPECT_EQ(shared_name("linear rows=512 n=96 k=64 weight=bf16 panel=32 epilogue=add(y,vec(b))"),
            weight);
  EXPECT_EQ(shared_name("linear rows=1 n=96 k=64 weight=bf16 pair=true epilogue=add(y,z)"),
            weight + " pair=true");
  EXPECT_EQ(shared_name("relu rows=1 width=8"), "");
}

TEST(SharedOperand, ACacheIsOneWhoeverReadsIt) {
  const std::string cache = "cache kv_heads=2 dim=16 kv_type=f32";
  for (const char* line :
       {"attention_decode context=4096 heads=4 kv_heads=2 dim=16",
        "attention_decode tokens=9 context=512 heads=2 kv_heads=2 dim=16 kv_layout=hnd out=bf16",
        "attention_prefill tokens=512 heads=4 kv_heads=2 dim=16 causal=end",
        "attention_prefill tokens=512 heads=4 kv_heads=2 dim=16 causal=end packed=queries",
        "attention_block_sparse tokens=512 heads=4 kv_heads=2 dim=16 causal=end",
        "attention_token_sparse context=4096 heads=4 kv_heads=2 dim=16 kept=8"})
    EXPECT_EQ(shared_name(line), cache) << line;
  for (const char* line :
       {"attention_prefill tokens=512 heads=4 kv_heads=2 dim=16",
        "attention_prefill tokens=512 heads=4 kv_heads=2 dim=16 causal=start",
        "attention_prefill tokens=512 heads=4 kv_heads=2 dim=16 causal=end packed=shared",
        "attention_block_sparse tokens=512 heads=4 kv_heads=2 dim=16",
        "attention_decode context=512 heads=4 kv_heads=1 dim=16"})
    EXPECT_EQ(shared_name(line), "") << line;
  EXPECT_EQ(shared_name("attention_decode context=512 heads=4 kv_heads=2 dim=16 value_dim=8 "
                        "kv_type=bf16"),
            "cache kv_heads=2 dim=16 value_dim=8 kv_type=bf16");
  EXPECT_EQ(shared_name("attention_decode context=512 heads=4 kv_heads=2 dim=16 lengths=true "
                        "cache=paged page=64"),
            cache + " page=64");
  EXPECT_EQ(shared_name("attention_low_rank context=512 heads=4 kv_heads=2 dim=16 rank=8"),
            "cache kv_heads=2 rank=8 kv_type=f32");
  EXPECT_EQ(shared_name("attention_low_rank context=512 heads=4 kv_heads=2 dim=16 rank=8 "
                        "value_rank=4 recent=9"),
            "cache kv_heads=2 rank=8 value_rank=4 dim=16 kv_type=f32 recent=9");
}

// Lines without the parameter mean what they meant before there was one.
TEST(SharedOperand, TheDefaultLayoutIsLeftOut) {
  const Problem usual = problem("attention_decode context=512 heads=4 kv_heads=2 dim=16");
  EXPECT_EQ(usual.line(), "attention_decode context=512..2047 heads=4 kv_heads=2 dim=16");
  EXPECT_EQ(*with_layout(usual, "nhd"), usual);
  EXPECT_TRUE(order_in_memory(usual, "k").empty());
  const Problem heads_first = *with_layout(usual, "hnd");
  EXPECT_EQ(heads_first.line(), usual.line() + " kv_layout=hnd");
  for (const char* operand : {"k", "v"})
    EXPECT_EQ(order_in_memory(heads_first, operand), (std::vector<int>{0, 2, 1, 3}));
  for (const char* operand : {"q", "y", "lengths"})
    EXPECT_TRUE(order_in_memory(heads_first, operand).empty());
  const auto unknown = with_layout(usual, "dhn");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("nhd, hnd"), std::string::npos) << unknown.error().message;
}

}  // namespace
}  // namespace lathe::compiler
