// Sparse decode: which pages are selected, what the bounds bound, and attention over the selected.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/token_sparse.h>

#include "compiler/check_inputs.h"

namespace lathe::runtime {
namespace {

std::vector<float> normal_numbers(int64_t count, uint64_t seed) {
  compiler::Random random(seed);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = static_cast<float>(random.normal());
  return numbers;
}

// By sorting all scores.
std::vector<int32_t> sorted_selection(const std::vector<float>& scores, int64_t pages, int64_t kept,
                                      const AlwaysRead& always) {
  std::vector<int32_t> order(static_cast<size_t>(pages));
  std::iota(order.begin(), order.end(), 0);
  const auto rank = [&](int32_t page) {
    const float score = scores[static_cast<size_t>(page)];
    if (page < always.sinks || page >= pages - always.local) return std::pair(2, 0.0F);
    return std::isnan(score) ? std::pair(1, 0.0F) : std::pair(0, score);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return rank(a) > rank(b); });
  order.resize(static_cast<size_t>(std::min(kept, pages)));
  std::sort(order.begin(), order.end());
  order.resize(static_cast<size_t>(kept), pages > 0 ? static_cast<int32_t>(pages - 1) : 0);
  return order;
}

TEST(SelectPages, TakesTheGreatestTheLowerPageFirst) {
  compiler::Random random(3);
  for (const int64_t pages : {1, 2, 7, 64, 1000}) {
    for (const int64_t kept : {2, 5, 63, 64, 200}) {
      for (const bool has_ties : {false, true}) {
        std::vector<float> scores = normal_numbers(pages, random.next());
        if (has_ties)
          for (float& score : scores) score = std::floor(score);
        if (pages > 9) {
          scores[4] = std::numeric_limits<float>::quiet_NaN();
          scores[5] = -0.0F;
          scores[6] = 0.0F;
          scores[8] = -std::numeric_limits<float>::infinity();
        }
        for (const AlwaysRead& always : {AlwaysRead{0, 1}, AlwaysRead{1, 1}, AlwaysRead{0, 2}}) {
          std::vector<int32_t> list(static_cast<size_t>(kept), -1);
          const Status status = select_pages({scores.data(), {1, 1, pages}}, {}, 16, always,
                                             {list.data(), {1, 1, kept}});
          ASSERT_TRUE(status) << status.error().message;
          EXPECT_EQ(list, sorted_selection(scores, pages, kept, always)) << pages << " " << kept;
        }
      }
    }
  }
}

TEST(SelectPages, EachSequenceHasItsLengthAndEachHeadItsList) {
  const std::vector<float> scores = {9, 1, 8, 2, 1, 9, 2, 8,   // 30 keys: pages 0 and 1
                                     1, 2, 3, 4, 4, 3, 2, 1,   // 49 keys: all
                                     1, 2, 3, 4, 4, 3, 2, 1};  // none
  const std::vector<int32_t> lengths = {30, 49, 0};
  std::vector<int32_t> list(3 * 2 * 3, -1);
  const Status status = select_pages({scores.data(), {3, 2, 4}}, {lengths.data(), {3}}, 16,
                                     {.sinks = 0, .local = 1}, {list.data(), {3, 2, 3}});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(list, (std::vector<int32_t>{0, 1, 1, 0, 1, 1, 1, 2, 3, 0, 1, 3, 0, 0, 0, 0, 0, 0}));
}

TEST(SelectPages, ErrorsNameWhatWasFound) {
  const std::vector<float> scores(8);
  std::vector<int32_t> list(8);
  const auto message = [&](const TensorView& lengths, const AlwaysRead& always, int64_t kept) {
    const Status status =
        select_pages({scores.data(), {1, 2, 4}}, lengths, 16, always, {list.data(), {1, 2, kept}});
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(
      message({}, {2, 2}, 3),
      "found 3 pages kept, of them the first 2 and the last 2; expected 0 or more, 1 or more, "
      "and together at most those kept");
  EXPECT_NE(message({}, {0, 0}, 3), "");
  const int32_t length = 65, negative = -1;
  EXPECT_EQ(message({&length, {1}}, {0, 1}, 3),
            "lengths[0]: found 65, expected 0 to 64, the keys of 4 pages");
  EXPECT_EQ(message({&negative, {1}}, {0, 1}, 3),
            "lengths[0]: found -1, expected 0 to 64, the keys of 4 pages");
  EXPECT_NE(message({scores.data(), {1}}, {0, 1}, 3).find("lengths: found rank 1"),
            std::string::npos);
}

class SparseDecodeTest : public testing::Test {
 protected:
  static constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 32, kPage = 16, kPages = 40;
  static constexpr int64_t kContext = kPages * kPage;

  void SetUp() override {
    auto library = Library::open({.target = "", .threads = 2, .store = "none"});
    ASSERT_TRUE(library) << library.error().message;
    library_ = *library;
    const auto bounds = library_->fetch(
        AttentionPageBounds{.kv_heads = kKvHeads, .dim = kDim, .page = kPage, .pages = kPages});
    ASSERT_TRUE(bounds) << bounds.error().message;
    plant();
    const Status status =
        (*bounds)({{k_.data(), {1, kPages, kPage, kKvHeads, kDim}}},
                  {{bounds_.data(), DataType::f32, {1, kPages, kKvHeads, 2 * kDim}}});
    ASSERT_TRUE(status) << status.error().message;
  }

  // Weak keys everywhere, but two in each of a few pages that meet their head's queries.
  void plant() {
    for (float& number : k_) number *= 0.3F;
    for (int64_t head = 0; head < kKvHeads; ++head) {
      for (const int64_t page : {5, 17, 30}) {
        for (const int64_t row : {page * kPage + 2, page * kPage + 9}) {
          for (int64_t i = 0; i < kDim; ++i) {
            const float sum = q_[static_cast<size_t>((2 * head) * kDim + i)] +
                              q_[static_cast<size_t>((2 * head + 1) * kDim + i)];
            k_[static_cast<size_t>(((row + head) * kKvHeads + head) * kDim + i)] = 3 * sum;
          }
        }
      }
    }
  }

  std::vector<float> dense() {
    std::vector<float> y(q_.size());
    const auto kernel = library_->fetch(Attention{
        .heads = kHeads, .kv_heads = kKvHeads, .dim = kDim, .tokens = 1, .context = kContext});
    EXPECT_TRUE(kernel);
    EXPECT_TRUE((*kernel)({q(), k(), v()}, {view_of_y(y)}));
    return y;
  }

  // y, with so many pages read.
  std::vector<float> sparse(int64_t kept, std::vector<int32_t>* pages = nullptr) {
    auto decode = SparseDecode::fetch(*library_,
                                      {.heads = kHeads,
                                       .kv_heads = kKvHeads,
                                       .dim = kDim,
                                       .page = kPage,
                                       .context = kContext,
                                       .kept = kept},
                                      {.pages = kPages});
    EXPECT_TRUE(decode) << decode.error().message;
    std::vector<float> y(q_.size());
    const Status status = (*decode)({.q = q(),
                                     .k = k(),
                                     .v = v(),
                                     .bounds = {bounds_.data(), {1, kPages, kKvHeads, 2 * kDim}},
                                     .y = view_of_y(y)});
    EXPECT_TRUE(status) << status.error().message;
    if (pages != nullptr) *pages = decode->pages();
    return y;
  }

  TensorView q() const { return {q_.data(), {1, 1, kHeads, kDim}}; }
  TensorView k() const { return {k_.data(), {1, kContext, kKvHeads, kDim}}; }
  TensorView v() const { return {v_.data(), {1, kContext, kKvHeads, kDim}}; }
  static TensorView view_of_y(std::vector<float>& y) {
    return {y.data(), DataType::f32, {1, 1, kHeads, kDim}};
  }

  std::optional<Library> library_;
  std::vector<float> q_ = normal_numbers(kHeads * kDim, 1);
  std::vector<float> k_ = normal_numbers(kContext * kKvHeads * kDim, 2);
  std::vector<float> v_ = normal_numbers(kContext * kKvHeads * kDim, 3);
  std::vector<float> bounds_ = std::vector<float>(kPages * kKvHeads * 2 * kDim);
};

TEST_F(SparseDecodeTest, OfAllPagesIsTheDenseResult) {
  const std::vector<float> expected = dense();
  for (const int64_t kept : {kPages, kPages + 7}) {
    const std::vector<float> found = sparse(kept);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5) << kept;
  }
}

TEST_F(SparseDecodeTest, ReadsThePagesThatMatter) {
  const std::vector<float> expected = dense();
  std::vector<int32_t> pages;
  const std::vector<float> found = sparse(6, &pages);
  ASSERT_EQ(pages.size(), static_cast<size_t>(6 * kKvHeads));
  for (int64_t head = 0; head < kKvHeads; ++head) {
    const std::vector<int32_t> list(pages.begin() + head * 6, pages.begin() + (head + 1) * 6);
    for (const int32_t page : {0, 5, 17, 30, static_cast<int32_t>(kPages - 1)})
      EXPECT_EQ(std::count(list.begin(), list.end(), page), 1) << head << " " << page;
  }
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 0.02);
}

// Codes that are the keys themselves, and a projection that changes nothing: the choice of keys
// that dense attention would make.
TEST_F(SparseDecodeTest, LearnedCodesChooseKeys) {
  constexpr int64_t kKept = 12;
  auto decode = SparseDecode::fetch(
      *library_,
      {.heads = kHeads,
       .kv_heads = kKvHeads,
       .dim = kDim,
       .page = 1,
       .context = kContext,
       .kept = kKept},
      {.select = AttentionPageScores::Select::learned, .rank = kDim, .pages = kContext});
  ASSERT_TRUE(decode) << decode.error().message;
  std::vector<float> w(kHeads * kDim * kDim), y(q_.size());
  for (int64_t i = 0; i < kHeads * kDim; ++i) w[static_cast<size_t>(i * kDim + i % kDim)] = 1;
  const Status status = (*decode)({.q = q(),
                                   .k = k(),
                                   .v = v(),
                                   .bounds = k(),
                                   .w = {w.data(), {kHeads, kDim, kDim}},
                                   .y = view_of_y(y)});
  ASSERT_TRUE(status) << status.error().message;
  for (int64_t head = 0; head < kKvHeads; ++head) {
    const auto first = decode->pages().begin() + head * kKept;
    for (const int64_t page : {5, 17, 30}) {
      for (const int64_t row : {page * kPage + 2, page * kPage + 9})
        EXPECT_EQ(std::count(first, first + kKept, row + head), 1) << head << " " << row;
    }
  }
  const std::vector<float> expected = dense();
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(y[i], expected[i], 0.02);
}

TEST_F(SparseDecodeTest, ScoresAreBounds) {
  const auto kernel = library_->fetch(
      AttentionPageScores{.heads = kHeads, .kv_heads = kKvHeads, .dim = kDim, .pages = kPages});
  ASSERT_TRUE(kernel) << kernel.error().message;
  std::vector<float> scores(kKvHeads * kPages);
  ASSERT_TRUE((*kernel)({q(), {bounds_.data(), {1, kPages, kKvHeads, 2 * kDim}}},
                        {{scores.data(), DataType::f32, {1, kKvHeads, kPages}}}));
  for (int64_t head = 0; head < kKvHeads; ++head) {
    for (int64_t page = 0; page < kPages; ++page) {
      double sum = 0;
      for (int64_t of_group = 0; of_group < kHeads / kKvHeads; ++of_group) {
        double best = -std::numeric_limits<double>::infinity();
        for (int64_t key = page * kPage; key < (page + 1) * kPage; ++key) {
          double product = 0;
          for (int64_t i = 0; i < kDim; ++i) {
            product +=
                static_cast<double>(
                    q_[static_cast<size_t>((head * kHeads / kKvHeads + of_group) * kDim + i)]) *
                static_cast<double>(k_[static_cast<size_t>((key * kKvHeads + head) * kDim + i)]);
          }
          best = std::max(best, product);
        }
        sum += best;
      }
      EXPECT_GE(static_cast<double>(scores[static_cast<size_t>(head * kPages + page)]) + 1e-4, sum);
    }
  }
}

TEST_F(SparseDecodeTest, AListThatDoesNotAscendIsRefused) {
  const auto kernel = library_->fetch(AttentionTokenSparse{.heads = kHeads,
                                                           .kv_heads = kKvHeads,
                                                           .dim = kDim,
                                                           .page = kPage,
                                                           .context = kContext,
                                                           .kept = 2});
  ASSERT_TRUE(kernel) << kernel.error().message;
  std::vector<float> y(q_.size());
  const auto message = [&](std::vector<int32_t> list) {
    const Status status =
        (*kernel)({q(), k(), v(), {list.data(), {1, kKvHeads, 2}}}, {view_of_y(y)});
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(message({0, 39, 3, 3}), "");
  EXPECT_NE(message({0, 40, 3, 3}).find("pages"), std::string::npos);
  EXPECT_NE(message({5, 4, 3, 3}).find("ascending"), std::string::npos);
}

}  // namespace
}  // namespace lathe::runtime
