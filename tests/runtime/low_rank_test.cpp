// Factors of low rank: what they are made of, what they lose, attention against them.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/library.h>
#include <lathe/low_rank.h>

#include "compiler/check_inputs.h"
#include "runtime/attention/matrix.h"

namespace lathe::runtime {
namespace {

constexpr int64_t kTokens = 90, kHeads = 2, kDim = 24, kPlanted = 5;

std::vector<float> random_numbers(int64_t count, uint64_t seed) {
  compiler::Random random(seed);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = static_cast<float>(random.normal());
  return numbers;
}

TensorView heads_view(const std::vector<float>& numbers, int64_t tokens, int64_t heads,
                      int64_t width) {
  return {numbers.data(), {tokens, heads, width}};
}

// Rows of a head in few directions, and a little of all others.
std::vector<float> planted(uint64_t seed, double noise) {
  const auto left = random_numbers(kTokens * kHeads * kPlanted, seed);
  const auto right = random_numbers(kHeads * kPlanted * kDim, seed + 1);
  std::vector<float> x = random_numbers(kTokens * kHeads * kDim, seed + 2);
  for (int64_t row = 0; row < kTokens * kHeads; ++row) {
    for (int64_t i = 0; i < kDim; ++i) {
      double sum = 0;
      for (int64_t r = 0; r < kPlanted; ++r) {
        sum += static_cast<double>(left[static_cast<size_t>(row * kPlanted + r)]) *
               static_cast<double>(
                   right[static_cast<size_t>((row % kHeads * kPlanted + r) * kDim + i)]);
      }
      float& value = x[static_cast<size_t>(row * kDim + i)];
      value = static_cast<float>(sum + noise * static_cast<double>(value));
    }
  }
  return x;
}

// The norm of x - rows · up in parts of that of x.
double measured_error(const std::vector<float>& x, const LowRankFactors& factors) {
  double lost = 0, all = 0;
  for (int64_t row = 0; row < kTokens * kHeads; ++row) {
    for (int64_t i = 0; i < kDim; ++i) {
      double sum = 0;
      for (int64_t r = 0; r < factors.rank; ++r) {
        sum += static_cast<double>(factors.rows[static_cast<size_t>(row * factors.rank + r)]) *
               static_cast<double>(
                   factors.up[static_cast<size_t>((row % kHeads * factors.rank + r) * kDim + i)]);
      }
      const auto value = static_cast<double>(x[static_cast<size_t>(row * kDim + i)]);
      lost += (value - sum) * (value - sum);
      all += value * value;
    }
  }
  return std::sqrt(lost / all);
}

TEST(Matrices, EigenvectorsGiveBackTheMatrix) {
  for (const int64_t n : {1, 2, 7, 40}) {
    const auto numbers = random_numbers(n * n, static_cast<uint64_t>(n));
    Matrix matrix(n, n);
    for (int64_t i = 0; i < n * n; ++i) {
      matrix.values[static_cast<size_t>(i)] =
          static_cast<double>(numbers[static_cast<size_t>(i)]) +
          static_cast<double>(numbers[static_cast<size_t>(i % n * n + i / n)]);
    }
    const auto eigen = symmetric_eigen(matrix);
    ASSERT_TRUE(eigen) << eigen.error().message;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, product = 0;
        for (int64_t r = 0; r < n; ++r) {
          const double* vector = eigen->vectors.row(r);
          sum += vector[i] * eigen->values[static_cast<size_t>(r)] * vector[j];
          product += eigen->vectors.row(i)[r] * eigen->vectors.row(j)[r];
        }
        EXPECT_NEAR(sum, matrix.row(i)[j], 1e-12) << n;
        EXPECT_NEAR(product, i == j ? 1 : 0, 1e-13) << n;
      }
    }
    for (size_t r = 1; r < eigen->values.size(); ++r)
      EXPECT_LE(eigen->values[r], eigen->values[r - 1]);
  }
}

TEST(Matrices, Products) {
  Matrix a(2, 3), b(3, 2);
  a.values = {1, 2, 3, 4, 5, 6};
  b.values = {7, 8, 9, 10, 11, 12};
  EXPECT_EQ(product(a, b).values, (std::vector<double>{58, 64, 139, 154}));
  EXPECT_EQ(product_transposed(a, a).values, (std::vector<double>{14, 32, 32, 77}));
  Matrix c(3, 3);
  c.values.front() = 100;
  add_transposed_product(a, a, c);
  EXPECT_EQ(c.values, (std::vector<double>{117, 22, 27, 22, 29, 36, 27, 36, 45}));
}

TEST(LowRank, FindsThePlantedRank) {
  const auto exact = planted(1, 0), noisy = planted(1, 0.01);
  const auto factors = factorise(heads_view(exact, kTokens, kHeads, kDim), kPlanted);
  ASSERT_TRUE(factors) << factors.error().message;
  EXPECT_LT(measured_error(exact, *factors), 1e-6);
  EXPECT_GT(factors->errors[kPlanted - 1], 0.05);
  EXPECT_LT(factors->errors[kPlanted], 1e-6);
  EXPECT_DOUBLE_EQ(factors->errors.front(), 1);
  const auto with_noise = factorise(heads_view(noisy, kTokens, kHeads, kDim), kPlanted);
  ASSERT_TRUE(with_noise);
  EXPECT_GT(with_noise->errors[kPlanted], 1e-3);
  EXPECT_LT(with_noise->errors[kPlanted], 2e-2);
}

TEST(LowRank, SaysWhatEachRankLoses) {
  const auto x = random_numbers(kTokens * kHeads * kDim, 3);
  for (const int64_t rank : {int64_t{1}, int64_t{10}, kDim - 1, kDim}) {
    const auto factors = factorise(heads_view(x, kTokens, kHeads, kDim), rank);
    ASSERT_TRUE(factors) << factors.error().message;
    ASSERT_EQ(factors->errors.size(), static_cast<size_t>(kDim) + 1);
    EXPECT_NEAR(measured_error(x, *factors), factors->errors[static_cast<size_t>(rank)], 1e-6);
    for (size_t r = 1; r < factors->errors.size(); ++r)
      EXPECT_LE(factors->errors[r], factors->errors[r - 1]);
    const auto rows = low_rank_rows(heads_view(x, kTokens, kHeads, kDim), *factors);
    ASSERT_TRUE(rows) << rows.error().message;
    EXPECT_EQ(*rows, factors->rows);
  }
}

TEST(LowRank, LossesEndWithTheWholeRank) {
  const auto q = random_numbers(7 * 2 * kHeads * kDim, 5);
  const auto k = planted(6, 0.1), v = planted(9, 0.1);
  const int64_t ranks[] = {1, kPlanted, kDim};
  const auto losses =
      low_rank_losses(heads_view(q, 7, 2 * kHeads, kDim), heads_view(k, kTokens, kHeads, kDim),
                      heads_view(v, kTokens, kHeads, kDim), ranks);
  ASSERT_TRUE(losses) << losses.error().message;
  ASSERT_EQ(losses->size(), 3U);
  EXPECT_GT((*losses)[0].output, 0.3);
  EXPECT_LT((*losses)[1].output, (*losses)[0].output);
  EXPECT_LT((*losses)[1].keys, (*losses)[0].keys);
  EXPECT_GT((*losses)[1].output, 1e-3);
  EXPECT_LT((*losses)[2].output, 1e-12);
  EXPECT_EQ((*losses)[2].values, 0);
}

TEST(LowRank, ErrorsNameWhatWasFound) {
  auto x = random_numbers(kTokens * kHeads * kDim, 3);
  const TensorView view = heads_view(x, kTokens, kHeads, kDim);
  const auto message = [](const auto& result) {
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(message(factorise(view, 0)), "rank: found 0, expected 1 to 24, the size of a head");
  EXPECT_EQ(message(factorise(view, 25)), "rank: found 25, expected 1 to 24, the size of a head");
  EXPECT_NE(message(factorise({x.data(), {kTokens, kHeads * kDim}}, 2)).find("found rank 2"),
            std::string::npos);
  const auto factors = factorise(view, 3);
  ASSERT_TRUE(factors);
  EXPECT_NE(message(low_rank_rows({x.data(), {1, 3, kDim}}, *factors)).find("found 3 heads"),
            std::string::npos);
  const int64_t ranks[] = {2};
  const TensorView fewer = heads_view(x, kTokens - 1, kHeads, kDim);
  EXPECT_NE(message(low_rank_losses(view, view, fewer, ranks)).find("as many values as keys"),
            std::string::npos);
  x[kDim] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(message(factorise(view, 3)).find("at [0, 1, 0]"), std::string::npos);
}

// Attention of whole keys and values, and of factors of them: of every rank that there is, with the
// last keys kept whole or not.
TEST(LowRank, OfFullRankIsTheDenseResult) {
  const auto library = Library::open({.target = "", .threads = 2, .store = "none"});
  ASSERT_TRUE(library) << library.error().message;
  const int64_t heads = 2 * kHeads, tokens = 3, recent = 20, old = kTokens - recent;
  const auto q = random_numbers(tokens * heads * kDim, 11);
  const auto k = random_numbers(kTokens * kHeads * kDim, 12);
  const auto v = random_numbers(kTokens * kHeads * kDim, 13);
  std::vector<float> dense(q.size()), found(q.size());
  const auto decode = library->fetch(Attention{.heads = heads,
                                               .kv_heads = kHeads,
                                               .dim = kDim,
                                               .causal = Attention::Causal::end,
                                               .tokens = tokens,
                                               .context = kTokens});
  ASSERT_TRUE(decode) << decode.error().message;
  const TensorView queries(q.data(), {1, tokens, heads, kDim});
  const TensorView y(dense.data(), {1, tokens, heads, kDim});
  const TensorView x(found.data(), {1, tokens, heads, kDim});
  ASSERT_TRUE((*decode)(
      {queries, {k.data(), {1, kTokens, kHeads, kDim}}, {v.data(), {1, kTokens, kHeads, kDim}}},
      {y}));
  for (const int64_t window : {int64_t{0}, recent}) {
    const int64_t context = window > 0 ? old : kTokens;
    const auto keys = factorise(heads_view(k, context, kHeads, kDim), kDim);
    const auto values = factorise(heads_view(v, context, kHeads, kDim), kDim);
    ASSERT_TRUE(keys && values);
    const auto kernel = library->fetch(AttentionLowRank{.heads = heads,
                                                        .kv_heads = kHeads,
                                                        .dim = kDim,
                                                        .rank = kDim,
                                                        .recent = window,
                                                        .causal = true,
                                                        .tokens = tokens,
                                                        .context = context});
    ASSERT_TRUE(kernel) << kernel.error().message;
    std::vector<TensorView> inputs = {queries,
                                      {keys->rows.data(), {1, context, kHeads, kDim}},
                                      {values->rows.data(), {1, context, kHeads, kDim}},
                                      {keys->up.data(), {kHeads, kDim, kDim}},
                                      {values->up.data(), {kHeads, kDim, kDim}}};
    const auto rows = static_cast<int32_t>(window);
    if (window > 0) {
      const int64_t first = old * kHeads * kDim;
      inputs.push_back({k.data() + first, {1, window, kHeads, kDim}});
      inputs.push_back({v.data() + first, {1, window, kHeads, kDim}});
      inputs.push_back({&rows, {1}});
    }
    const Status status = (*kernel)(inputs, std::vector<TensorView>{x});
    ASSERT_TRUE(status) << status.error().message;
    for (size_t i = 0; i < dense.size(); ++i) EXPECT_NEAR(found[i], dense[i], 2e-5) << window;
  }
}

}  // namespace
}  // namespace lathe::runtime
