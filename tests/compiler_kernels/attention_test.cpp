// The attention families through the interpreter: every variant at awkward lengths, every knob.
#include "tests/compiler_kernels/interpreted_attention.h"

namespace lathe::tests {
namespace {

class Attention : public InterpretedAttention {};

TEST_P(Attention, EveryVariantAtAwkwardLengths) {
  for (const AttentionCase& each : attention_prefill_cases()) check(each, /*every_knob=*/false);
}

TEST_P(Attention, PackedSequences) {
  for (const AttentionCase& each : attention_packed_cases()) check(each, /*every_knob=*/false);
}

TEST_P(Attention, FewTokensAgainstACache) {
  for (const AttentionCase& each : attention_decode_cases()) check(each, /*every_knob=*/false);
}

TEST_P(Attention, FewTokensAgainstPages) {
  for (const AttentionCase& each : attention_paged_cases()) check(each, /*every_knob=*/false);
}

TEST_P(Attention, FewTokensAgainstBlocks) {
  for (const AttentionCase& each : attention_block_cases()) check(each, /*every_knob=*/false);
}

TEST_P(Attention, EveryKnobOfPagesOfBlocks) {
  check(paged_case("heads=4 kv_heads=2 dim=32 kv_type=q8_0 causal=end", 16, 1, 601, 2),
        /*every_knob=*/true);
  check(paged_case("heads=4 kv_heads=1 dim=20", 3, 1, 301, 2), /*every_knob=*/true);
}

TEST_P(Attention, PagesInAnyLayoutAndNumberOfThreads) {
  for (const int threads : {1, 3, 16}) {
    for (const char* type : {"f32", "q8_0"}) {
      check(paged_case(fmt::format("heads=4 kv_heads=2 dim=32 kv_type={}", type), 16, 2, 300),
            /*every_knob=*/false, {.padding = 3, .threads = threads});
    }
  }
}

TEST_P(Attention, ListedBlocks) {
  for (const AttentionCase& each : attention_block_sparse_cases())
    check(each, /*every_knob=*/false);
}

TEST_P(Attention, EveryKnobOfListedBlocks) {
  for (const char* rest : {"causal=end", "window=90"}) {
    check({fmt::format("attention_block_sparse tokens=150 context=260 heads=2 kv_heads=1 dim=12 "
                       "block=32 kept=9 {}",
                       rest),
           {{"batch", 1}, {"tokens", 150}, {"context", 260}, {"kept", 9}}},
          /*every_knob=*/true, {.padding = 3, .threads = 3});
  }
}

TEST_P(Attention, ScoresOfBlocks) {
  for (const AttentionCase& each : attention_router_cases()) check(each, /*every_knob=*/false);
}

TEST_P(Attention, EveryKnobOfScoresOfBlocks) {
  check({"attention_router tokens=50 context=70 heads=4 kv_heads=2 dim=20 block=16 rank=9",
         {{"batch", 2}, {"tokens", 50}, {"context", 70}}},
        /*every_knob=*/true, {.padding = 3, .threads = 3});
}

TEST_P(Attention, EveryKnobOfDecode) {
  const char* line =
      "attention_decode tokens=3 context=1100 heads=4 kv_heads=1 dim=20 causal=end lengths=true";
  check({line, {{"batch", 2}, {"tokens", 3}, {"context", 1100}}}, /*every_knob=*/true);
}

TEST_P(Attention, EveryKnob) {
  const char* line = "attention_prefill tokens=70 context=150 heads=2 kv_heads=1 dim=20 causal=end";
  check({line, {{"batch", 1}, {"tokens", 70}, {"context", 150}}}, /*every_knob=*/true);
}

TEST_P(Attention, EveryKnobOfPackedSequences) {
  const char* line =
      "attention_prefill tokens=110 heads=2 kv_heads=1 dim=12 packed=shared causal=end";
  check({line, {{"tokens", 110}, {"bounds", 4}}, {{"cu_seqlens", {0, 33, 33, 110}}}},
        /*every_knob=*/true);
}

TEST_P(Attention, AnyLayoutAndNumberOfThreads) {
  const char* line = "attention_prefill tokens=40 context=70 heads=4 kv_heads=2 dim=12 lse=true";
  for (const int threads : {1, 3, 16}) {
    check({line, {{"batch", 2}, {"tokens", 40}, {"context", 70}}}, /*every_knob=*/false,
          {.padding = 3, .threads = threads});
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Attention, testing::Values("scalar", "sse", "avx2", "avx512"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lathe::tests
