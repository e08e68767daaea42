// Attention as machine code: every variant at awkward lengths, in memory that ends at protected
// pages; every knob.
#include "tests/kernels_native/native_attention.h"

namespace lathe::tests {
namespace {

class NativeAttention : public NativeAttentionCases {};

TEST_P(NativeAttention, EveryVariantAtAwkwardLengths) {
  std::vector<AttentionCase> cases = attention_prefill_cases();
  for (const auto& more :
       {attention_packed_cases(), attention_decode_cases(), attention_paged_cases(),
        attention_block_cases(), attention_block_sparse_cases(), attention_router_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  check_all(cases);
}

TEST_P(NativeAttention, EveryKnobAtTheSizeOfAModel) {
  const char* line =
      "attention_prefill tokens=300 context=300 heads=2 kv_heads=1 dim=128 causal=end";
  check({line, {{"batch", 1}, {"tokens", 300}, {"context", 300}}},
        /*every_knob=*/std::string(GetParam()).starts_with("avx"));
}

TEST_P(NativeAttention, EveryKnobOfDecodeAtTheSizeOfAModel) {
  const char* line = "attention_decode context=2500 heads=4 kv_heads=2 dim=128 causal=end";
  check({line, {{"batch", 1}, {"tokens", 1}, {"context", 2500}}},
        /*every_knob=*/std::string(GetParam()).starts_with("avx"));
}

TEST_P(NativeAttention, EveryKnobOfPagesAndBlocksAtTheSizeOfAModel) {
  const bool every_knob = std::string(GetParam()).starts_with("avx");
  check(paged_case("heads=4 kv_heads=2 dim=128 causal=end", 16, 1, 1100, 2), every_knob);
  check(paged_case("heads=4 kv_heads=1 dim=128 causal=end kv_type=q8_0", 16, 1, 1100, 2),
        every_knob);
  const char* line = "attention_decode context=1100 heads=4 kv_heads=2 dim=128 kv_type=q8_0";
  check({line, {{"batch", 1}, {"tokens", 1}, {"context", 1100}}}, every_knob);
}

TEST_P(NativeAttention, EveryKnobOfListedBlocks) {
  const char* line =
      "attention_block_sparse tokens=400 context=400 heads=2 kv_heads=1 dim=128 causal=end kept=7";
  check({line, {{"batch", 1}, {"tokens", 400}, {"context", 400}, {"kept", 7}}},
        /*every_knob=*/std::string(GetParam()).starts_with("avx"));
}

// Lists of every block give what attention without lists gives.
TEST_P(NativeAttention, AllBlocksKeptIsDense) {
  const std::string rest = "tokens=333 context=333 heads=4 kv_heads=2 dim=64 causal=end";
  const compiler::Sizes at = {{"batch", 2}, {"tokens", 333}, {"context", 333}, {"kept", 6}};
  const auto dense = make_case("attention_prefill " + rest, at);
  auto sparse = make_case("attention_block_sparse " + rest, at);
  ASSERT_TRUE(dense && sparse);
  for (size_t i = 0; i < dense->inputs.size(); ++i) sparse->inputs[i] = dense->inputs[i];
  for (int64_t i = 0; i < sparse->inputs[3].elements(); ++i) sparse->inputs[3].set(i, 6);
  for (int64_t i = 0; i < sparse->inputs[4].elements(); ++i)
    sparse->inputs[4].set(i, static_cast<double>(i % 6));
  sparse->expected = dense->expected;
  sparse->rounded = dense->rounded;
  const auto space = sparse->problem.family().space(sparse->problem, executor_->target());
  const Status status =
      run_case(*sparse, space.default_schedule(), executor_->target(), executor_->executor(), {});
  EXPECT_TRUE(status) << status.error().message;
}

TEST_P(NativeAttention, LargeScores) {
  // Up to some 30 in magnitude over a long context, and far beyond.
  for (const char* scale : {"0.4", "1e3", "1e30"}) {
    check({fmt::format("attention_prefill tokens=5 context=2000 heads=1 dim=64 scale={}", scale),
           {{"batch", 1}, {"tokens", 5}, {"context", 2000}}},
          /*every_knob=*/false);
  }
  check({"attention_decode tokens=2 context=16384 heads=2 kv_heads=1 dim=64 scale=0.9 causal=end",
         {{"batch", 1}, {"tokens", 2}, {"context", 16384}}},
        /*every_knob=*/false);
  check({"attention_prefill tokens=40 context=16384 heads=1 dim=64 scale=0.9 causal=end",
         {{"batch", 1}, {"tokens", 40}, {"context", 16384}}},
        /*every_knob=*/false);
}

INSTANTIATE_TEST_SUITE_P(Targets, NativeAttention,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
