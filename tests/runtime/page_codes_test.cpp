// Codes of pages: fitted to planted structure, made of keys, kept as files.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "bench/recall/planted.h"
#include "bench/recall/recall.h"
#include "compiler/check_inputs.h"
#include "ir/half.h"
#include "tests/temporary_folder.h"

namespace lathe {
namespace {

using bench::PageRecall;
using bench::Planted;
using bench::PlantedSizes;

std::vector<float> normal_values(int64_t count, uint64_t seed) {
  compiler::Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

// Divergence in nats of the softmax of scores from the shares of dense attention, as the header
// says: of each token and head of k over the pages that need a score, by the mass of these.
double divergence(const RouterSample& sample, const PageCodeWeights& w, int64_t page) {
  const int64_t tokens = sample.q.shape[0], group = w.heads / w.kv_heads, pages = tokens / page;
  const auto mass_of_token = [&](int64_t token) {
    // A block of one token, and keys up to it.
    const auto* q = static_cast<const float*>(sample.q.data);
    const RouterSample one{
        {q + token * w.heads * w.dim, {1, w.heads, w.dim}},
        {static_cast<const float*>(sample.k.data), {token + 1, w.kv_heads, w.dim}}};
    return *block_mass(one, page, Attention::Causal::end);
  };
  std::vector<float> codes(static_cast<size_t>(pages * w.kv_heads * w.rank));
  EXPECT_TRUE(
      page_codes({static_cast<const float*>(sample.k.data), {1, pages, page, w.kv_heads, w.dim}}, w,
                 {codes.data(), {1, pages, w.kv_heads, w.rank}}));
  std::vector<double> sums(static_cast<size_t>(w.kv_heads)), weights(sums.size());
  for (int64_t token = 0; token < tokens; ++token) {
    const std::vector<float> mass = mass_of_token(token);
    const int64_t seen = token / page + 1;
    for (int64_t head = 0; head < w.kv_heads && seen > 3; ++head) {
      std::vector<double> scores, shares;
      for (int64_t p = 1; p < seen - 1; ++p) {  // neither the sink nor the last
        double score = 0;
        for (int64_t h = head * group; h < (head + 1) * group; ++h) {
          for (int64_t d = 0; d < w.dim; ++d) {
            const double q =
                static_cast<const float*>(sample.q.data)[(token * w.heads + h) * w.dim + d];
            for (int64_t r = 0; r < w.rank; ++r)
              score += q * double{w.w[static_cast<size_t>((h * w.dim + d) * w.rank + r)]} *
                       double{codes[static_cast<size_t>((p * w.kv_heads + head) * w.rank + r)]};
          }
        }
        scores.push_back(score);
        shares.push_back(double{mass[static_cast<size_t>(head * seen + p)]});
      }
      const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
      const double largest = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (const double score : scores) sum += std::exp(score - largest);
      for (size_t i = 0; i < scores.size() && all > 0; ++i) {
        const double share = shares[i] / all;
        if (share > 0)
          sums[static_cast<size_t>(head)] +=
              all * share * (std::log(share) - (scores[i] - largest - std::log(sum)));
      }
      weights[static_cast<size_t>(head)] += all;
    }
  }
  double mean = 0;
  for (size_t head = 0; head < sums.size(); ++head)
    mean += sums[head] / weights[head] / static_cast<double>(sums.size());
  return mean;
}

TEST(FitPageCodes, FindsWhatMeansHideAndBoundsOverrate) {
  const PlantedSizes sizes{.tokens = 768};
  std::vector<Planted> planted;
  std::vector<RouterSample> samples;
  for (uint64_t seed = 1; seed <= 4; ++seed) planted.push_back(bench::plant(sizes, seed));
  for (const Planted& each : planted) samples.push_back(each.sample());
  const std::span<const RouterSample> all(samples);
  const PageCodeFit fit{.page = sizes.block, .rank = sizes.hidden, .stride = 3};
  const auto weights = fit_page_codes(all.first(3), all.last(1), fit);
  ASSERT_TRUE(weights) << weights.error().message;
  const Planted fresh = bench::plant(sizes, 77);
  const auto library = Library::open({.store = "none"});
  ASSERT_TRUE(library);
  const auto recall = PageRecall::of(*library, fresh.sample(), sizes.block, 0.1, 5);
  ASSERT_TRUE(recall) << recall.error().message;
  const auto oracle = recall->oracle(), learned = recall->codes(*weights), means = recall->means(),
             bounds = recall->bounds();
  ASSERT_TRUE(oracle && learned && means && bounds);
  RecordProperty("oracle", std::to_string(*oracle));
  RecordProperty("learned", std::to_string(*learned));
  RecordProperty("means", std::to_string(*means));
  RecordProperty("bounds", std::to_string(*bounds));
  EXPECT_GE(*learned, 0.9 * *oracle);
  EXPECT_GT(*learned, *means + 0.2);
  EXPECT_GT(*learned, *bounds);
}

TEST(FitPageCodes, SaysItsLosses) {
  const PlantedSizes sizes{.tokens = 192};
  const Planted a = bench::plant(sizes, 1), b = bench::plant(sizes, 2);
  const RouterSample sample = a.sample(), held_out = b.sample();
  const PageCodeFit fit{.page = sizes.block, .rank = 5, .steps = 40};
  const auto weights = fit_page_codes({&sample, 1}, {&held_out, 1}, fit);
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_NEAR(weights->loss, divergence(sample, *weights, sizes.block), 1e-3);
  EXPECT_NEAR(weights->held_out_loss, divergence(held_out, *weights, sizes.block), 1e-3);
  PageCodeFit start = fit;
  start.steps = 0;
  const auto at_start = fit_page_codes({&sample, 1}, {&held_out, 1}, start);
  ASSERT_TRUE(at_start);
  EXPECT_LT(weights->held_out_loss, at_start->held_out_loss);
  const auto again = fit_page_codes({&sample, 1}, {&held_out, 1}, fit);
  EXPECT_EQ(again->w, weights->w);
  EXPECT_EQ(again->wk, weights->wk);
}

// Attention that is nearly even has nothing to learn: codes of the whole rank are then as good as
// means, which a fit to few samples alone would not be.
TEST(FitPageCodes, IsNoWorseThanMeansWhereThereIsNothingToLearn) {
  constexpr int64_t kTokens = 256, kHeads = 2, kDim = 12, kPage = 8;
  std::vector<std::vector<float>> q, k;
  std::vector<RouterSample> samples;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    q.push_back(normal_values(kTokens * kHeads * kDim, 2 * seed + 1));
    k.push_back(normal_values(kTokens * kDim, 2 * seed + 2));
    samples.push_back(
        {{q.back().data(), {kTokens, kHeads, kDim}}, {k.back().data(), {kTokens, 1, kDim}}});
  }
  const auto weights =
      fit_page_codes({&samples[0], 1}, {&samples[1], 1}, {.page = kPage, .rank = kDim});
  ASSERT_TRUE(weights) << weights.error().message;
  const auto library = Library::open({.store = "none"});
  ASSERT_TRUE(library);
  const auto recall = PageRecall::of(*library, samples[2], kPage, 0.2);
  ASSERT_TRUE(recall) << recall.error().message;
  EXPECT_GE(*recall->codes(*weights), 0.98 * *recall->means());
}

TEST(FitPageCodes, ArgumentsAreChecked) {
  std::vector<float> q = normal_values(20 * 4 * 8, 1), k = normal_values(40 * 2 * 8, 2);
  const RouterSample good{{q.data(), {20, 4, 8}}, {k.data(), {40, 2, 8}}};
  const auto error_of = [&](const RouterSample& sample, const RouterSample& held_out,
                            const PageCodeFit& fit) {
    const auto weights = fit_page_codes({&sample, 1}, {&held_out, 1}, fit);
    if (!weights) return weights.error().message;
    for (const float value : weights->w) EXPECT_TRUE(std::isfinite(value));
    for (const float value : weights->wk) EXPECT_TRUE(std::isfinite(value));
    return std::string("(runs)");
  };
  const PageCodeFit fit{.page = 4, .rank = 2, .steps = 3};
  EXPECT_EQ(error_of(good, good, fit), "(runs)");
  for (const int64_t page : {1, 3, 40, 1000})
    EXPECT_EQ(error_of(good, good, {.page = page, .rank = 8, .steps = 3}), "(runs)") << page;
  for (const auto causal : {Attention::Causal::none, Attention::Causal::start})
    EXPECT_EQ(error_of(good, good, {.page = 4, .rank = 2, .causal = causal, .steps = 3}), "(runs)");
  const std::string expected = "expected page, local and stride from 1 on, a rank of 1 to 8";
  for (const PageCodeFit& bad :
       {PageCodeFit{.page = 0}, PageCodeFit{.rank = 9}, PageCodeFit{.rank = 2, .local = 0},
        PageCodeFit{.rank = 2, .stride = 0}, PageCodeFit{.rank = 2, .learning_rate = NAN}})
    EXPECT_THAT(error_of(good, good, bad), testing::HasSubstr(expected));
  const RouterSample other{{q.data(), {20, 2, 16}}, {k.data(), {40, 1, 16}}};
  EXPECT_THAT(error_of(good, other, fit),
              testing::HasSubstr("found a sample of 2 and 1 heads of 16, expected 4 and 2 of 8"));
  const RouterSample empty{{q.data(), {0, 4, 8}}, {k.data(), {40, 2, 8}}};
  EXPECT_THAT(error_of(empty, good, fit), testing::HasSubstr("none of them 0"));
  EXPECT_THAT(fit_page_codes({}, {&good, 1}, fit).error().message,
              testing::HasSubstr("found 0 samples and 1 that are held out"));
  EXPECT_THAT(fit_page_codes({&good, 1}, {}, fit).error().message,
              testing::HasSubstr("found 1 samples and 0 that are held out"));
  q[5] = NAN;
  EXPECT_THAT(error_of(good, good, fit), testing::HasSubstr("q: found nan at [5]"));
  q[5] = 0;
  k[6] = -INFINITY;
  EXPECT_THAT(error_of(good, good, fit), testing::HasSubstr("k: found -inf at [6]"));
}

// 2 heads of k of 2, rank 2: the mean, the least, the greatest of each dimension times known rows.
class PageCodes : public testing::Test {
 protected:
  void SetUp() override {
    weights_.heads = weights_.kv_heads = weights_.dim = weights_.rank = 2;
    weights_.w.resize(8);
    // Head 0: the mean of dimension 0, and the least of dimension 1; head 1: the greatest of
    // dimension 0 less that of 1, and 10 times the mean of dimension 1.
    weights_.wk = {1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 1, 0, -1, 0};
  }
  PageCodeWeights weights_;
};

TEST_F(PageCodes, AreMadeOfMeansAndBounds) {
  // Two pages of 3 keys.
  const std::vector<float> k = {1, 9, 5, 1, 2,  4, 7, 2,  3, 5, 6, 3,
                                0, 0, 0, 0, -3, 1, 1, -1, 0, 2, 2, 4};
  const std::vector<float> expected = {2, 4, 4, 20, -1, 0, -2, 10};
  std::vector<float> codes(8);
  const TensorView of_codes(codes.data(), {1, 2, 2, 2});
  ASSERT_TRUE(page_codes({k.data(), {1, 2, 3, 2, 2}}, weights_, of_codes));
  EXPECT_EQ(codes, expected);
  std::vector<uint16_t> halves;
  for (const float value : k) halves.push_back(ir::float_to_f16(value));
  std::fill(codes.begin(), codes.end(), 0);
  ASSERT_TRUE(page_codes({halves.data(), DataType::f16, {1, 2, 3, 2, 2}}, weights_, of_codes));
  EXPECT_EQ(codes, expected);
  // The pages as a batch of one each, in another order in memory.
  TensorView by_page(k.data(), {2, 1, 3, 2, 2});
  by_page.data = const_cast<float*>(k.data()) + 12;
  by_page.strides[0] = -12;
  TensorView backwards(codes.data(), {2, 1, 2, 2});
  backwards.data = codes.data() + 4;
  backwards.strides[0] = -4;
  std::fill(codes.begin(), codes.end(), 0);
  ASSERT_TRUE(page_codes(by_page, weights_, backwards));
  EXPECT_EQ(codes, expected);
}

TEST_F(PageCodes, OfKeysThatAreNoNumbersAreNone) {
  std::vector<float> k(12, 1), codes(4);
  k[4] = NAN;
  ASSERT_TRUE(page_codes({k.data(), {1, 1, 3, 2, 2}}, weights_, {codes.data(), {1, 1, 2, 2}}));
  EXPECT_TRUE(std::isnan(codes[0]));
}

TEST_F(PageCodes, ArgumentsAreChecked) {
  std::vector<float> k(24), codes(8, 7);
  const TensorView good(k.data(), {1, 2, 3, 2, 2}), to(codes.data(), {1, 2, 2, 2});
  const auto error_of = [&](const TensorView& keys, const TensorView& codes_view) {
    const Status status = page_codes(keys, weights_, codes_view);
    return status ? std::string("(runs)") : status.error().message;
  };
  EXPECT_EQ(
      error_of({k.data(), {1, 2, 3, 4}}, to),
      "page codes: k: found type number 0 of shape [1, 2, 3, 4], expected f32, f16 or bf16 of "
      "[1, 1, 1, 2, 2]");
  EXPECT_THAT(error_of({k.data(), DataType::i32, {1, 2, 3, 2, 2}}, to),
              testing::HasSubstr("k: found type number 8"));
  EXPECT_THAT(error_of({k.data(), {1, 4, 0, 2, 2}}, to), testing::HasSubstr("[1, 4, 0, 2, 2]"));
  EXPECT_THAT(error_of({static_cast<const float*>(nullptr), {1, 2, 3, 2, 2}}, to),
              testing::HasSubstr("at a null pointer"));
  EXPECT_THAT(
      error_of(good, {codes.data(), {1, 2, 2, 1}}),
      testing::HasSubstr("codes: found type number 0 of shape [1, 2, 2, 1], expected f32 of "
                         "[1, 2, 2, 2]"));
  weights_.wk.pop_back();
  EXPECT_THAT(error_of(good, to), testing::HasSubstr("8 numbers in w and 23 in wk"));
  for (const float code : codes) EXPECT_EQ(code, 7);
}

TEST_F(PageCodes, WeightsAreSavedAndLoaded) {
  const tests::TemporaryFolder folder;
  const std::string stem = folder.path() / "codes";
  std::iota(weights_.w.begin(), weights_.w.end(), 0.5F);
  ASSERT_TRUE(weights_.save(stem));
  const auto loaded = PageCodeWeights::load(stem);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->w, weights_.w);
  EXPECT_EQ(loaded->wk, weights_.wk);
  EXPECT_EQ(loaded->heads, 2);
  EXPECT_EQ(loaded->kv_heads, 2);
  EXPECT_EQ(loaded->dim, 2);
  EXPECT_EQ(loaded->rank, 2);
  EXPECT_EQ(PageCodeWeights::load(stem + "x").error().code, ErrorCode::not_found);
  // A router's weights have a dim of k's that is not three times q's.
  RouterWeights router{.heads = 2, .kv_heads = 2, .dim = 2, .rank = 2, .wq = {}, .wk = {}};
  router.wq.resize(8);
  router.wk.resize(8);
  ASSERT_TRUE(router.save(stem));
  EXPECT_THAT(PageCodeWeights::load(stem).error().message,
              testing::HasSubstr("found [2, 2, 2] beside w of [2, 2, 2], expected three times"));
  weights_.wk[1] = INFINITY;
  ASSERT_TRUE(weights_.save(stem));
  EXPECT_THAT(PageCodeWeights::load(stem).error().message,
              testing::HasSubstr("codes.wk.npy: found inf at [1]"));
  weights_.w.pop_back();
  EXPECT_THAT(weights_.save(stem).error().message, testing::HasSubstr("7 numbers in w"));
}

}  // namespace
}  // namespace lathe
