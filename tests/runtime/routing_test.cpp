// Lists from scores by hand, weights as files, and a router that is fitted to planted structure.
#include <cmath>
#include <filesystem>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/lathe.h>

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

// A sequence whose blocks of tokens each look for one block of keys. One key of that block answers
// in a hidden half of the dimensions; the others repel every token in the other half, each block as
// strongly as it likes: that makes the mean of a block, and says nothing of its one key.
struct Planted {
  static constexpr int64_t kBlock = 8, kTokens = 512, kBlocks = kTokens / kBlock;
  static constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 24, kHidden = 12;

  explicit Planted(uint64_t seed) : random(seed) {
    for (int64_t head = 0; head < kKvHeads; ++head) plant(head);
  }
  RouterSample sample() const {
    return {{q.data(), {kTokens, kHeads, kDim}}, {k.data(), {kTokens, kKvHeads, kDim}}};
  }

 private:
  void plant(int64_t head) {
    constexpr float kAsked = 9, kAnswer = 10, kNoise = 5;
    std::vector<std::vector<float>> codes;
    for (int64_t j = 0; j < kBlocks; ++j) {
      std::vector<float>& code = codes.emplace_back();
      double squares = 0;
      for (int64_t d = 0; d < kHidden; ++d) {
        code.push_back(static_cast<float>(random.normal()));
        squares += double{code.back()} * code.back();
      }
      for (float& value : code) value /= static_cast<float>(std::sqrt(squares));
      const auto answering = static_cast<int64_t>(random.below(kBlock));
      const auto strength = static_cast<float>(5 + 20 * random.uniform());
      for (int64_t t = 0; t < kBlock; ++t) {
        float* key = k.data() + ((j * kBlock + t) * kKvHeads + head) * kDim;
        for (int64_t d = 0; d < kDim; ++d) {
          const bool is_hidden = d < kHidden;
          key[d] = 0.1F * static_cast<float>(random.normal());
          if (is_hidden && t == answering) key[d] = kAnswer * code[static_cast<size_t>(d)];
          if (!is_hidden && t != answering) key[d] -= strength / std::sqrt(float{kDim - kHidden});
        }
      }
    }
    for (int64_t i = 0; i < kBlocks; ++i) {
      const size_t wanted = i < 3 ? 0 : 1 + random.below(static_cast<uint64_t>(i) - 2);
      for (int64_t t = i * kBlock; t < (i + 1) * kBlock; ++t) {
        for (int64_t h = head * 2; h < head * 2 + 2; ++h) {
          float* query = q.data() + (t * kHeads + h) * kDim;
          for (int64_t d = 0; d < kDim; ++d) {
            query[d] = d < kHidden ? kAsked * codes[wanted][static_cast<size_t>(d)]
                                   : kNoise / std::sqrt(float{kDim - kHidden});
            query[d] += 0.1F * static_cast<float>(random.normal());
          }
        }
      }
    }
  }

  compiler::Random random;

 public:
  std::vector<float> q = std::vector<float>(kTokens * kHeads * kDim);
  std::vector<float> k = std::vector<float>(kTokens * kKvHeads * kDim);
};

// The attention mass that lists keep, as a share of what as many blocks could keep at most.
double recall(const Planted& planted, const RouterWeights* weights, int64_t kept) {
  using P = Planted;
  const auto library = Library::open({.store = "none"});
  EXPECT_TRUE(library);
  const auto kernel = library->fetch(AttentionRouter{.block = P::kBlock,
                                                     .heads = P::kHeads,
                                                     .kv_heads = P::kKvHeads,
                                                     .dim = P::kDim,
                                                     .rank = weights == nullptr ? 0 : weights->rank,
                                                     .tokens = P::kTokens,
                                                     .context = P::kTokens});
  EXPECT_TRUE(kernel) << kernel.error().message;
  std::vector<float> scores(P::kKvHeads * P::kBlocks * P::kBlocks);
  std::vector<TensorView> inputs = {
      TensorView(planted.q.data(), {1, P::kTokens, P::kHeads, P::kDim}),
      TensorView(planted.k.data(), {1, P::kTokens, P::kKvHeads, P::kDim})};
  if (weights != nullptr) {
    inputs.push_back(weights->wq_view());
    inputs.push_back(weights->wk_view());
  }
  const TensorView of_scores(scores.data(), {1, P::kKvHeads, P::kBlocks, P::kBlocks});
  const Status run = (*kernel)(inputs, std::span(&of_scores, 1));
  EXPECT_TRUE(run) << run.error().message;
  std::vector<int32_t> counts(P::kKvHeads * P::kBlocks);
  std::vector<int32_t> blocks(counts.size() * static_cast<size_t>(kept));
  EXPECT_TRUE(select_blocks(of_scores,
                            {.block = P::kBlock, .tokens = P::kTokens, .context = P::kTokens},
                            {counts.data(), {1, P::kKvHeads, P::kBlocks}},
                            {blocks.data(), {1, P::kKvHeads, P::kBlocks, kept}}));
  const auto mass = block_mass(planted.sample(), P::kBlock, Attention::Causal::end);
  EXPECT_TRUE(mass);
  double found = 0, most = 0;
  for (size_t row = 0; row < counts.size(); ++row) {
    std::vector<float> of_row(mass->begin() + static_cast<std::ptrdiff_t>(row) * P::kBlocks,
                              mass->begin() + static_cast<std::ptrdiff_t>(row + 1) * P::kBlocks);
    for (int32_t i = 0; i < counts[row]; ++i)
      found += double{of_row[static_cast<size_t>(
          blocks[row * static_cast<size_t>(kept) + static_cast<size_t>(i)])]};
    std::sort(of_row.begin(), of_row.end(), std::greater<>());
    most += std::accumulate(of_row.begin(), of_row.begin() + counts[row], 0.0);
  }
  return found / most;
}

TEST(FitRouter, FindsWhatMeansHide) {
  std::vector<Planted> planted;
  for (uint64_t seed = 1; seed <= 6; ++seed) planted.emplace_back(seed);
  std::vector<RouterSample> samples;
  for (const Planted& each : planted) samples.push_back(each.sample());
  const RouterFit fit{.block = Planted::kBlock, .rank = Planted::kHidden};
  const auto weights = fit_router(samples, fit);
  ASSERT_TRUE(weights) << weights.error().message;
  // Lists of three: of all pairs of blocks that a token may see, 9 %.
  const Planted fresh(77);
  const double learned = recall(fresh, &*weights, 3), pooled = recall(fresh, nullptr, 3);
  RecordProperty("learned", std::to_string(learned));
  RecordProperty("pooled", std::to_string(pooled));
  EXPECT_GE(learned, 0.9);
  EXPECT_GT(learned, pooled + 0.2);
  const auto again = fit_router(samples, fit);
  EXPECT_EQ(again->wq, weights->wq);
  EXPECT_EQ(again->wk, weights->wk);
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
