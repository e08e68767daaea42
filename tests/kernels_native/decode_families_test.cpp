// Families of decode against caches of other forms as machine code: every variant at awkward
// lengths, in memory that ends at protected pages.
#include "tests/kernels_native/native_attention.h"

namespace lathe::tests {
namespace {

class NativeDecodeFamilies : public NativeAttentionCases {};

TEST_P(NativeDecodeFamilies, LowRank) { check_all(attention_low_rank_cases()); }

TEST_P(NativeDecodeFamilies, TokenSparse) { check_all(attention_token_sparse_cases()); }

INSTANTIATE_TEST_SUITE_P(Targets, NativeDecodeFamilies,
                         testing::Values("scalar", "sse", "avx2", "avx512", "llvm"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lathe::tests
