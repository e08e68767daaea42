// Families of decode against caches of other forms, through the interpreter: every variant at
// awkward lengths, every knob.
#include "tests/compiler_kernels/interpreted_attention.h"

namespace lathe::tests {
namespace {

class DecodeFamilies : public InterpretedAttention {};

TEST_P(DecodeFamilies, LowRank) {
  for (const AttentionCase& each : attention_low_rank_cases()) check(each, /*every_knob=*/false);
}

TEST_P(DecodeFamilies, EveryKnobOfLowRank) {
  const char* line =
      "attention_low_rank tokens=3 context=1100 heads=4 kv_heads=2 dim=20 rank=7 recent=300 "
      "causal=end lengths=true";
  const compiler::Sizes sizes = {{"batch", 2}, {"tokens", 3}, {"context", 1100}};
  check({line, sizes}, /*every_knob=*/true);
  for (const int threads : {1, 3, 16})
    check({line, sizes}, /*every_knob=*/false, {.padding = 3, .threads = threads});
}

TEST_P(DecodeFamilies, TokenSparse) {
  for (const AttentionCase& each : attention_token_sparse_cases())
    check(each, /*every_knob=*/false);
}

TEST_P(DecodeFamilies, EveryKnobOfTokenSparse) {
  const compiler::Sizes sizes = {{"batch", 2}, {"tokens", 3}, {"context", 1500}, {"kept", 60}};
  const char* line =
      "attention_token_sparse tokens=3 context=1500 heads=4 kv_heads=2 dim=20 page=16 kept=60 "
      "causal=end lengths=true";
  check({line, sizes}, /*every_knob=*/true);
  for (const int threads : {1, 3, 16})
    check({line, sizes}, /*every_knob=*/false, {.padding = 3, .threads = threads});
  const compiler::Sizes pages = {{"batch", 2}, {"tokens", 2}, {"pages", 300}};
  for (const char* each :
       {"attention_page_scores pages=300 tokens=2 heads=4 kv_heads=2 dim=20",
        "attention_page_scores pages=300 tokens=2 heads=4 kv_heads=2 dim=20 select=learned rank=9",
        "attention_page_bounds pages=300 kv_heads=2 dim=20"}) {
    check({each, pages}, /*every_knob=*/true);
    check({each, pages}, /*every_knob=*/false, {.padding = 3, .threads = 3});
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, DecodeFamilies,
                         testing::Values("scalar", "sse", "avx2", "avx512"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lathe::tests
