// Lists from scores by hand, weights as files, and a router that is fitted to planted structure.
#include <cmath>
#include <filesystem>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "bench/recall/planted.h"
#include "bench/recall/recall.h"
#include "compiler/check_inputs.h"
#include "tests/temporary_folder.h"

namespace lathe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Lists = std::vector<std::vector<int32_t>>;

// Of one head: a list for each block of tokens.
Result<Lists> lists_of(const std::vector<float>& scores, const BlockSelection& selection,
                       int64_t room) {
  const int64_t rows = (selection.tokens + selection.block - 1) / selection.block;
  const int64_t columns = static_cast<int64_t>(scores.size()) / rows;
  std::vector<int32_t> counts(static_cast<size_t>(rows), -1);
  std::vector<int32_t> blocks(static_cast<size_t>(rows * room), -1);
  const Status status =
      select_blocks({scores.data(), {1, 1, rows, columns}}, selection,
                    {counts.data(), {1, 1, rows}}, {blocks.data(), {1, 1, rows, room}});
  if (!status) {
    for (const int32_t count : counts) EXPECT_EQ(count, -1);
    return tl::unexpected(status.error());
  }
  Lists lists;
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto first = blocks.begin() + static_cast<std::ptrdiff_t>(i) * room;
    lists.emplace_back(first, first + counts[i]);
    for (int64_t j = counts[i]; j < room; ++j)
      EXPECT_EQ(first[j], counts[i] == 0 ? 0 : first[counts[i] - 1]);
  }
  return lists;
}

TEST(SelectBlocks, KeepsSinksDiagonalAndTheBest) {
  const std::vector<float> row = {9, 1, 5, 7, 3, 8};
  std::vector<float> scores;
  for (int i = 0; i < 6; ++i) scores.insert(scores.end(), row.begin(), row.end());
  BlockSelection selection{.block = 4, .tokens = 24, .context = 24, .kept = 3};
  EXPECT_THAT(*lists_of(scores, selection, 4),
              ElementsAre(ElementsAre(0), ElementsAre(0, 1), ElementsAre(0, 1, 2),
                          ElementsAre(0, 2, 3), ElementsAre(0, 3, 4), ElementsAre(0, 3, 5)));
  selection.sinks = 0;
  selection.local = 2;
  EXPECT_THAT((*lists_of(scores, selection, 4))[5], ElementsAre(0, 4, 5));
  selection.causal = Attention::Causal::none;
  EXPECT_THAT((*lists_of(scores, selection, 4))[2], ElementsAre(0, 1, 2));
  EXPECT_THAT((*lists_of(scores, selection, 4))[0], ElementsAre(0, 3, 5));
}

TEST(SelectBlocks, BehindACacheTheDiagonalMayBeTwoBlocks) {
  // Tokens stand at keys 6 to 9: blocks 1 and 2 of four keys each.
  const BlockSelection selection{.block = 4, .tokens = 4, .context = 10, .sinks = 0};
  EXPECT_THAT(*lists_of({0, 0, 0}, selection, 2), ElementsAre(ElementsAre(1, 2)));
  EXPECT_THAT(*lists_of({0, 0, 0}, selection, 3), ElementsAre(ElementsAre(0, 1, 2)));
  const auto error = lists_of({0, 0, 0}, selection, 1);
  ASSERT_FALSE(error);
  EXPECT_THAT(error.error().message, HasSubstr("found room for 1 blocks, expected 2, which block "
                                               "of tokens 0 keeps always (0 sinks, 1 local ones"));
  // More tokens than keys: the first stand before all of them.
  const BlockSelection before{.block = 4, .tokens = 12, .context = 4};
  EXPECT_THAT(*lists_of({0, 0, 0}, before, 2),
              ElementsAre(ElementsAre(), ElementsAre(), ElementsAre(0)));
}

TEST(SelectBlocks, ThresholdIsAShareOfTheSoftmax) {
  // Shares of about 0.64, 0.24, 0.09, 0.03; what is seen is kept by its share, or always.
  const std::vector<float> scores = {0, -1, -2, -3};
  BlockSelection selection{.block = 4, .tokens = 4, .context = 16, .threshold = 0.2, .sinks = 0};
  EXPECT_THAT(*lists_of(scores, selection, 4), ElementsAre(ElementsAre(0, 1, 3)));
  selection.threshold = 0.5;
  EXPECT_THAT(*lists_of(scores, selection, 4), ElementsAre(ElementsAre(0, 3)));
  selection.threshold = 0.05;
  selection.kept = 2;
  EXPECT_THAT(*lists_of(scores, selection, 4), ElementsAre(ElementsAre(0, 3)));
}

TEST(SelectBlocks, ScoresThatAreNoNumbersComeLast) {
  const BlockSelection selection{.block = 1, .tokens = 1, .context = 5, .sinks = 0};
  EXPECT_THAT(*lists_of({NAN, -INFINITY, 2, INFINITY, 0}, selection, 4),
              ElementsAre(ElementsAre(0, 2, 3, 4)));
  EXPECT_THAT(*lists_of({NAN, NAN, NAN, NAN, NAN}, selection, 2), ElementsAre(ElementsAre(0, 4)));
}

TEST(SelectBlocks, ArgumentsAreChecked) {
  const auto error_of = [](const BlockSelection& selection, int64_t room) {
    const auto lists = lists_of({0, 0, 0, 0}, selection, room);
    return lists ? "(runs)" : lists.error().message;
  };
  EXPECT_THAT(error_of({.block = 4, .tokens = 4, .context = 12}, 3),
              HasSubstr("scores: found shape [1, 1, 1, 4], expected a dense f32 of [1, 1, 1, 3]"));
  EXPECT_THAT(error_of({.block = 4, .tokens = 4, .context = 16, .kept = 4}, 3),
              HasSubstr("kept: found 4, expected at most the 3 that a list has room for"));
  EXPECT_THAT(error_of({.block = 4, .tokens = 4, .context = 16, .threshold = NAN}, 3),
              HasSubstr("expected block, tokens, context and local from 1 on"));
}

TEST(RouterWeights, SaveAndLoad) {
  const tests::TemporaryFolder folder;
  const std::string stem = folder.path() / "router";
  RouterWeights weights{.heads = 4, .kv_heads = 2, .dim = 3, .rank = 2, .wq = {}, .wk = {}};
  weights.wq.resize(24);
  weights.wk.resize(12);
  std::iota(weights.wq.begin(), weights.wq.end(), 1.5F);
  std::iota(weights.wk.begin(), weights.wk.end(), -3.0F);
  ASSERT_TRUE(weights.save(stem));
  const auto loaded = RouterWeights::load(stem);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->heads, 4);
  EXPECT_EQ(loaded->kv_heads, 2);
  EXPECT_EQ(loaded->dim, 3);
  EXPECT_EQ(loaded->rank, 2);
  EXPECT_EQ(loaded->wq, weights.wq);
  EXPECT_EQ(loaded->wk, weights.wk);

  weights.wk[5] = NAN;
  ASSERT_TRUE(weights.save(stem));
  EXPECT_THAT(RouterWeights::load(stem).error().message,
              HasSubstr("router.wk.npy: found nan at [5], expected finite numbers"));
  const RouterWeights other{.heads = 3,
                            .kv_heads = 3,
                            .dim = 3,
                            .rank = 2,
                            .wq = std::vector<float>(18),
                            .wk = std::vector<float>(18)};
  ASSERT_TRUE(other.save(folder.path() / "other"));
  std::filesystem::copy_file(folder.path() / "other.wk.npy", stem + ".wk.npy",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(RouterWeights::load(stem).error().message,
              HasSubstr("found [3, 3, 2] beside wq of [4, 3, 2]"));
  EXPECT_EQ(RouterWeights::load(stem + "x").error().code, ErrorCode::not_found);
  weights.wk.pop_back();
  EXPECT_THAT(weights.save(stem).error().message, HasSubstr("found 11 weights, expected 12"));
}

TEST(FitRouter, FindsWhatMeansHide) {
  const bench::PlantedSizes sizes{.tokens = 512, .block = 8, .alike = 8};
  std::vector<bench::Planted> planted;
  for (uint64_t seed = 1; seed <= 6; ++seed) planted.push_back(bench::plant(sizes, seed));
  std::vector<RouterSample> samples;
  for (const bench::Planted& each : planted) samples.push_back(each.sample());
  const RouterFit fit{.block = sizes.block, .rank = sizes.hidden};
  const auto weights = fit_router(samples, fit);
  ASSERT_TRUE(weights) << weights.error().message;
  // Lists of three: of all pairs of blocks that a token may see, 9 %.
  const bench::Planted fresh = bench::plant(sizes, 77);
  const auto library = Library::open({.store = "none"});
  ASSERT_TRUE(library);
  const auto recall = bench::BlockRecall::of(*library, fresh.sample(), sizes.block, 0.09);
  ASSERT_TRUE(recall) << recall.error().message;
  const auto oracle = recall->oracle(), learned = recall->router(&*weights),
             pooled = recall->router(nullptr);
  ASSERT_TRUE(oracle && learned && pooled);
  RecordProperty("learned", std::to_string(*learned / *oracle));
  RecordProperty("pooled", std::to_string(*pooled / *oracle));
  EXPECT_GE(*learned, 0.9 * *oracle);
  EXPECT_GT(*learned, *pooled + 0.2);
  const auto again = fit_router(samples, fit);
  EXPECT_EQ(again->wq, weights->wq);
  EXPECT_EQ(again->wk, weights->wk);
}

// Of queries and keys without structure attention is nearly even: a router that is fitted to few of
// them learns them by heart, unless others are held out.
TEST(FitRouter, HeldOutSamplesChoose) {
  constexpr int64_t kTokens = 192, kHeads = 2, kDim = 12;
  std::vector<std::vector<float>> q, k;
  std::vector<RouterSample> samples;
  for (uint64_t seed = 0; seed < 2; ++seed) {
    compiler::Random random(seed + 1);
    for (auto* values : {&q.emplace_back(kTokens * kHeads * kDim), &k.emplace_back(kTokens * kDim)})
      for (float& value : *values) value = static_cast<float>(random.normal());
    samples.push_back(
        {{q.back().data(), {kTokens, kHeads, kDim}}, {k.back().data(), {kTokens, 1, kDim}}});
  }
  const RouterFit fit{.block = 8, .rank = kDim};
  const auto learned = fit_router({&samples[0], 1}, fit);
  const auto chosen = fit_router({&samples[0], 1}, fit, {&samples[1], 1});
  ASSERT_TRUE(learned && chosen);
  EXPECT_LT(learned->loss, chosen->loss);
  RouterFit start = fit;
  start.steps = 0;
  const auto at_start = fit_router({&samples[0], 1}, start, {&samples[1], 1});
  ASSERT_TRUE(at_start);
  EXPECT_LE(chosen->held_out_loss, at_start->held_out_loss);
  EXPECT_EQ(learned->held_out_loss, 0);
}

TEST(FitRouter, ArgumentsAreChecked) {
  std::vector<float> q(2 * 4 * 8, 1), k(3 * 2 * 8, 1);
  const auto error_of = [&](const RouterFit& fit, std::initializer_list<int64_t> q_shape,
                            std::initializer_list<int64_t> k_shape) {
    const RouterSample sample{{q.data(), q_shape}, {k.data(), k_shape}};
    const auto weights = fit_router(std::span(&sample, 1), fit);
    return weights ? "(runs)" : weights.error().message;
  };
  EXPECT_EQ(error_of({.rank = 2}, {2, 4, 8}, {3, 2, 8}), "(runs)");
  EXPECT_THAT(error_of({.block = 1, .rank = 2, .sinks = 0, .learning_rate = INFINITY}, {2, 4, 8},
                       {3, 2, 8}),
              HasSubstr("found a learning_rate of inf, expected a lower one"));
  EXPECT_THAT(error_of({.rank = 9}, {2, 4, 8}, {3, 2, 8}),
              HasSubstr("expected block and local "
                        "from 1 on, a rank of 1 to 8"));
  EXPECT_THAT(error_of({.rank = 2}, {2, 4, 8}, {3, 3, 5}), HasSubstr("a multiple of k's heads"));
  k[7] = INFINITY;
  EXPECT_THAT(error_of({.rank = 2}, {2, 4, 8}, {3, 2, 8}),
              HasSubstr("k: found inf at [7], expected finite numbers"));
  EXPECT_THAT(fit_router({}, {}).error().message, HasSubstr("found no samples"));
}

TEST(AttentionRouter, WeightsMustBeFinite) {
  const auto library = Library::open({.store = "none"});
  ASSERT_TRUE(library);
  const auto kernel = library->fetch(AttentionRouter{.block = 16, .heads = 1, .dim = 4, .rank = 2});
  ASSERT_TRUE(kernel) << kernel.error().message;
  std::vector<float> q(20 * 4), k(20 * 4), wq(8), wk(8), scores(4, 7);
  wk[3] = NAN;
  const Status status = (*kernel)({{q.data(), {1, 20, 1, 4}},
                                   {k.data(), {1, 20, 1, 4}},
                                   {wq.data(), {1, 4, 2}},
                                   {wk.data(), {1, 4, 2}}},
                                  {{scores.data(), {1, 1, 2, 2}}});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message,
              HasSubstr("operand 'wk': found nan at [3], expected finite numbers"));
  EXPECT_EQ(scores[0], 7);
}

}  // namespace
}  // namespace lathe
