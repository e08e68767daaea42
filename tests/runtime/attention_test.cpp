// Attention through the library: packed sequences as if each were alone, the same bits whatever the
// threads and the memory, and bounds that are wrong.
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "compiler/check_inputs.h"

namespace lathe {
namespace {

using testing::HasSubstr;

constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 24;

Library library_with(int threads) {
  LibraryOptions options;
  options.store = "none";
  options.threads = threads;
  auto library = Library::open(options);
  EXPECT_TRUE(library.has_value()) << library.error().message;
  return *library;
}

std::vector<float> normal(int64_t count, uint64_t seed) {
  compiler::Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

class PackedAttention : public testing::Test {
 protected:
  using Bounds = std::vector<int32_t>;

  Attention op(Attention::Packed packed) const {
    return {.heads = kHeads,
            .kv_heads = kKvHeads,
            .dim = kDim,
            .causal = Attention::Causal::end,
            .packed = packed,
            .tokens = 100};
  }
  TensorView q() const { return {q_.data(), {1, kTokens, kHeads, kDim}}; }
  TensorView k() const { return {k_.data(), {1, kTokens, kKvHeads, kDim}}; }
  TensorView v() const { return {v_.data(), {1, kTokens, kKvHeads, kDim}}; }
  static TensorView view_of(const Bounds& bounds) {
    return {bounds.data(), {static_cast<int64_t>(bounds.size())}};
  }
  static std::vector<float> result() {
    return std::vector<float>(static_cast<size_t>(kTokens * kHeads * kDim), 7.0F);
  }
  static TensorView view_of(const std::vector<float>& y) {
    return {y.data(), {1, kTokens, kHeads, kDim}};
  }

  std::vector<float> run(const Library& library, const Attention& attention) const {
    const auto kernel = library.fetch(attention);
    EXPECT_TRUE(kernel) << kernel.error().message;
    std::vector<float> y = result();
    if (!kernel) return y;
    const Status status = (*kernel)({q(), k(), v(), view_of(bounds_)}, {view_of(y)});
    EXPECT_TRUE(status) << status.error().message;
    return y;
  }

  // What a call with these bounds says; it must have written nothing.
  std::string error_of(const Bounds& bounds, const Bounds& key_bounds) const {
    const auto kernel = library_with(1).fetch(op(Attention::Packed::separate));
    EXPECT_TRUE(kernel) << kernel.error().message;
    if (!kernel) return "";
    const std::vector<float> y = result();
    const Status status =
        (*kernel)({q(), k(), v(), view_of(bounds), view_of(key_bounds)}, {view_of(y)});
    if (status) return "(runs)";
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(y, result()) << "written in spite of the error";
    return status.error().message;
  }

  static constexpr int64_t kTokens = 700;
  const Bounds bounds_ = {0, 1, 1, 300, 371, 700};
  const std::vector<float> q_ = normal(kTokens * kHeads * kDim, 1);
  const std::vector<float> k_ = normal(kTokens * kKvHeads * kDim, 2);
  const std::vector<float> v_ = normal(kTokens * kKvHeads * kDim, 3);
};

TEST_F(PackedAttention, IsThatOfEachSequenceAlone) {
  const Library library = library_with(2);
  const std::vector<float> packed = run(library, op(Attention::Packed::shared));
  const auto alone = library.fetch(op(Attention::Packed::none));
  ASSERT_TRUE(alone) << alone.error().message;
  std::vector<float> y = result();
  const auto part = [](const TensorView& all, int64_t first, int64_t count) {
    TensorView view = all;
    view.data = static_cast<float*>(all.data) + first * all.strides[1];
    view.shape[1] = count;
    return view;
  };
  for (size_t s = 0; s + 1 < bounds_.size(); ++s) {
    const int64_t first = bounds_[s], count = bounds_[s + 1] - first;
    const Status status =
        (*alone)({part(q(), first, count), part(k(), first, count), part(v(), first, count)},
                 {part(view_of(y), first, count)});
    ASSERT_TRUE(status) << status.error().message;
  }
  EXPECT_EQ(packed, y);
}

TEST_F(PackedAttention, HasTheSameBitsForAnyThreadsAndMemory) {
  const std::vector<float> expected = run(library_with(1), op(Attention::Packed::shared));
  for (const int threads : {2, 3, 8}) {
    const Library library = library_with(threads);
    EXPECT_EQ(run(library, op(Attention::Packed::shared)), expected) << threads << " threads";
    // Room for all threads, and for one or two.
    for (const int64_t memory : {int64_t{1} << 30, int64_t{400} << 10}) {
      Attention limited = op(Attention::Packed::shared);
      limited.memory = memory;
      EXPECT_EQ(run(library, limited), expected) << threads << " threads, " << memory << " bytes";
    }
  }
}

TEST_F(PackedAttention, MemoryThatIsTooLittleIsNamedWithTheLeast) {
  Attention limited = op(Attention::Packed::shared);
  limited.memory = 1000;
  const auto kernel = library_with(1).fetch(limited);
  ASSERT_FALSE(kernel);
  EXPECT_THAT(kernel.error().message,
              HasSubstr("the working memory of a thread must fit memory=1000; the least that any "
                        "schedule needs are "));
}

TEST_F(PackedAttention, KeysOfNoneGiveRowsOfZeros) {
  const auto kernel = library_with(1).fetch(op(Attention::Packed::separate));
  ASSERT_TRUE(kernel) << kernel.error().message;
  const Bounds none(bounds_.size());
  std::vector<float> y = result();
  TensorView no_k = k(), no_v = v();
  no_k.shape[1] = no_v.shape[1] = 0;
  no_k.data = no_v.data = nullptr;
  const Status status = (*kernel)({q(), no_k, no_v, view_of(bounds_), view_of(none)}, {view_of(y)});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(y, std::vector<float>(y.size()));
}

TEST(Attention, WithoutKeysIsZero) {
  for (const int64_t tokens : {2, 20}) {
    const auto kernel =
        library_with(1).fetch(Attention{.dim = 8, .lse = true, .tokens = tokens, .context = 600});
    ASSERT_TRUE(kernel) << kernel.error().message;
    const std::vector<float> q = normal(tokens * 8, 4);
    std::vector<float> y(q.size(), 7.0F), lse(static_cast<size_t>(tokens), 7.0F);
    const TensorView none(static_cast<const float*>(nullptr), {1, 0, 1, 8});
    const Status status = (*kernel)(
        {TensorView(q.data(), {1, tokens, 1, 8}), none, none},
        {TensorView(y.data(), {1, tokens, 1, 8}), TensorView(lse.data(), {1, tokens, 1, 1})});
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(y, std::vector<float>(y.size())) << kernel->problem();
    for (const float each : lse) EXPECT_EQ(each, -std::numeric_limits<float>::infinity());
  }
}

TEST_F(PackedAttention, BoundsThatAreWrongAreNamedBeforeAnythingRuns) {
  const Bounds& good = bounds_;
  EXPECT_EQ(error_of(good, good), "(runs)");
  EXPECT_THAT(error_of({1, 1, 1, 300, 371, 700}, good),
              HasSubstr("operand 'cu_seqlens': found 1 at [0], expected 0 as the first bound"));
  EXPECT_THAT(error_of({0, 1, 300, 1, 371, 700}, good),
              HasSubstr("operand 'cu_seqlens': found 1 at [3], less than the 300 before it"));
  EXPECT_THAT(error_of({0, 1, 1, 300, 371, 699}, good),
              HasSubstr("operand 'cu_seqlens': found 699 at [5], expected 700 as the last bound"));
  EXPECT_THAT(error_of({0, 1, 1, 300, 371, 701}, good),
              HasSubstr("operand 'cu_seqlens': found 701 at [5], expected 0..700"));
  EXPECT_THAT(error_of(good, {0, 1, 1, 300, 371, 690}),
              HasSubstr("operand 'cu_seqlens_k': found 690 at [5], expected 700"));
  EXPECT_THAT(
      error_of(good, {0, 700}),
      HasSubstr("operand 'cu_seqlens_k': found shape [2], expected [bounds] with bounds = 6"));
  EXPECT_THAT(error_of({}, {}),
              HasSubstr("operand 'cu_seqlens': found no elements, expected bounds from 0 to 700"));
}

TEST_F(PackedAttention, KeysOfABatchWantABoundMore) {
  const auto kernel = library_with(1).fetch(op(Attention::Packed::queries));
  ASSERT_TRUE(kernel) << kernel.error().message;
  const std::vector<float> y = result();
  TensorView keys(k_.data(), {7, 100, kKvHeads, kDim}), values(v_.data(), {7, 100, kKvHeads, kDim});
  const Status status = (*kernel)({q(), keys, values, view_of(bounds_)}, {view_of(y)});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message,
              HasSubstr("operand 'cu_seqlens': found 6 elements, expected 8"));
}

}  // namespace
}  // namespace lathe
