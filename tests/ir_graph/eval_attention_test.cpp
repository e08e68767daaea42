// What a token sees and how its scores become weights: by hand, and against the formula written
// down once more.
#include <algorithm>

#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

// One head whose scores are all 0, so that each token takes the mean of the values that it sees.
std::vector<double> windowed_means(std::string_view attributes, int64_t tokens,
                                   const std::vector<double>& values) {
  const auto keys = static_cast<int64_t>(values.size());
  return run_one(fmt::format("graph g(%q: f32[n, 1, 2], %k: f32[m, 1, 2], %v: f32[m, 1, 1]) -> "
                             "(%y) {{ %y = attention(%q, %k, %v) {{{}}} }}",
                             attributes),
                 {Tensor(Type::f32, {tokens, 1, 2}), Tensor(Type::f32, {keys, 1, 2}),
                  f32({keys, 1, 1}, values)});
}

TEST(AttentionWindow, CountsTheTokensOwnKey) {
  expect_close(windowed_means("causal = start, window = 1", 3, {1, 2, 4}), {1, 2, 4}, 0);
  expect_close(windowed_means("causal = start, window = 2", 4, {2, 4, 8, 16}), {2, 3, 6, 12}, 0);
  expect_close(windowed_means("causal = end, window = 2", 2, {2, 4, 8, 16}), {6, 12}, 0);
  expect_close(windowed_means("causal = start, window = 9", 3, {2, 4, 9}), {2, 3, 5}, 0);
}

TEST(AttentionWindow, LooksAheadWhereNotCausal) {
  expect_close(windowed_means("window = 2, lookahead = 1", 4, {3, 6, 12, 24}), {4.5, 7, 14, 18}, 0);
  expect_close(windowed_means("lookahead = 0", 3, {2, 4, 9}), {2, 3, 5}, 0);
  expect_close(windowed_means("window = 1", 3, {3, 5, 7}), {5, 6, 7}, 0);  // all after it
  expect_close(windowed_means("causal = start, lookahead = 2", 3, {2, 4, 9}), {2, 3, 5}, 0);
}

TEST(AttentionWindow, KeptKeysStayVisible) {
  expect_close(windowed_means("causal = start, window = 1, kept_keys = 1", 4, {2, 4, 8, 16}),
               {2, 3, 5, 9}, 0);
  expect_close(windowed_means("causal = start, window = 1, kept_keys = 2", 4, {3, 5, 7, 10}),
               {3, 4, 5, 6}, 0);
}

TEST(AttentionWindow, ATokenBeyondTheKeysSeesNoneOfThem) {
  expect_close(windowed_means("window = 2", 4, {2, 4}), {3, 3, 4, 0}, 0);
  expect_close(windowed_means("causal = start, window = 1", 4, {2, 4}), {2, 4, 0, 0}, 0);
}

// One token with the scores `scores` (their values 1, 10, 100, ...), with what `rest` adds.
std::vector<DoubleTensor> weigh(const std::vector<double>& scores, std::string_view operands,
                                std::string_view attributes, const std::string& inputs = "",
                                std::vector<Tensor> more = {}) {
  const auto keys = static_cast<int64_t>(scores.size());
  std::vector<double> values;
  for (size_t i = 0; i < scores.size(); ++i)
    values.push_back(std::pow(10.0, static_cast<double>(i)));
  more.insert(more.begin(),
              {f32({1, 1, 1}, {1}), f32({keys, 1, 1}, scores), f32({keys, 1, 1}, values)});
  return run(fmt::format("graph g(%q: f32[1, 1, 1], %k: f32[m, 1, 1], %v: f32[m, 1, 1]{}) -> (%y, "
                         "%l, %s) {{ %y, %l, %s = attention(%q, %k, %v{}) {{{}}} }}",
                         inputs, operands, attributes),
             more);
}

TEST(AttentionSoftcap, BoundsScoresBeforeTheMask) {
  const double capped = 2 * std::tanh(3.0 / 2);
  const auto result = weigh({3, 0}, ", %m", "softcap = 2", ", %m: f32[m]", {f32({2}, {5, 0})});
  expect_close(result[2].values, {capped + 5, 0}, 1e-15);
  expect_close(result[0].values, {(std::exp(capped + 5) + 10) / (std::exp(capped + 5) + 1)}, 1e-15);
  expect_close(weigh({1e30, -1e30}, "", "softcap = 2")[2].values, {2, -2}, 1e-15);
}

TEST(AttentionSinks, JoinTheDenominatorOnly) {
  const std::string input = ", %sink: f32[1]";
  const auto result =
      weigh({0, 1}, ", _, _, _, _, _, %sink", "scores = softmax", input, {f32({1}, {2})});
  const double sum = 1 + std::exp(1.0) + std::exp(2.0);
  expect_close(result[0].values, {(1 + 10 * std::exp(1.0)) / sum}, 1e-15);
  expect_close(result[1].values, {std::log(sum)}, 1e-15);
  expect_close(result[2].values, {1 / sum, std::exp(1.0) / sum}, 1e-15);
  // Without a key the sink is all there is; at -inf it is none.
  const auto alone = weigh({0}, ", %m, _, _, _, _, %sink", "", ", %m: bool[1]" + input,
                           {make_tensor(Type::boolean, {1}, {0}), f32({1}, {2})});
  expect_close(alone[0].values, {0}, 0);
  expect_close(alone[1].values, {2}, 0);
  const auto none = weigh({0, 1}, ", _, _, _, _, _, %sink", "", input, {f32({1}, {-kInf})});
  expect_close(none[1].values, weigh({0, 1}, "", "")[1].values, 0);
  const auto large = weigh({0, 1}, ", _, _, _, _, _, %sink", "", input, {f32({1}, {1e30F})});
  expect_close(large[0].values, {0}, 0);
}

TEST(AttentionScores, OfEachStage) {
  const std::string mask = ", %m: f32[m]";
  const auto scores = [&](std::string_view stage) {
    return weigh({2, -1, 4}, ", %m", fmt::format("scale = 0.5, softcap = 1, scores = {}", stage),
                 mask, {f32({3}, {1, -kInf, 0})})[2]
        .values;
  };
  expect_close(scores("scaled"), {1, -0.5, 2}, 0);
  expect_close(scores("capped"), {std::tanh(1.0), std::tanh(-0.5), std::tanh(2.0)}, 1e-15);
  expect_close(scores("masked"), {1 + std::tanh(1.0), -kInf, std::tanh(2.0)}, 1e-15);
  const double a = std::exp(1 + std::tanh(1.0));
  const double b = std::exp(std::tanh(2.0));
  expect_close(scores("softmax"), {a / (a + b), 0, b / (a + b)}, 1e-15);
}

TEST(AttentionSpecials, RowsWithoutKeysAreZero) {
  const std::string mask = ", %m: f32[m]";
  const auto hidden =
      weigh({kNan, kInf}, ", %m", "scores = softmax", mask, {f32({2}, {-kInf, -kInf})});
  expect_close(hidden[0].values, {0}, 0);
  expect_close(hidden[1].values, {-kInf}, 0);
  expect_close(hidden[2].values, {0, 0}, 0);
  const auto products = weigh({-kInf, -kInf}, "", "");  // as PyTorch's scaled dot product
  expect_close(products[0].values, {0}, 0);
  expect_close(products[1].values, {-kInf}, 0);
}

TEST(AttentionSpecials, ScoresBeyondTheOrdinary) {
  expect_close(weigh({-kInf, 0}, "", "")[0].values, {10}, 0);
  expect_close(weigh({1e30, 0}, "", "")[0].values, {1}, 0);
  expect_close(weigh({-1e30, 0}, "", "")[0].values, {10}, 0);
  expect_close(weigh({-1e30, -1e30}, "", "")[0].values, {5.5}, 1e-15);
  expect_close(weigh({kNan, 0}, "", "")[0].values, {kNan}, 0);
  expect_close(weigh({kNan, 0}, "", "")[1].values, {kNan}, 0);
  expect_close(weigh({kInf, 0}, "", "")[0].values, {kNan}, 0);  // inf - inf
  expect_close(weigh({kInf, 0}, "", "")[1].values, {kInf}, 0);
  const auto finite =
      weigh({kInf, kNan}, ", %m", "", ", %m: bool[m]", {make_tensor(Type::boolean, {2}, {0, 1})});
  expect_close(finite[0].values, {kNan}, 0);
}

TEST(AttentionSpecials, HiddenKeysAndValuesAreNotRead) {
  for (const char* attributes : {"causal = start, window = 1", "window = 1, lookahead = 0"}) {
    const auto y = run_one(
        fmt::format("graph g(%q: f32[3, 1, 1], %k: f32[3, 1, 1], %v: f32[3, 1, 1]) -> (%y) {{"
                    "  %t = slice(%q) {{axis = 0, begin = 1, end = 2}}"
                    "  %p = constant() {{value = 1, type = i64}}"
                    "  %y = attention(%t, %k, %v, _, _, _, _, %p) {{{}}} }}",
                    attributes),
        {f32({3, 1, 1}, {1, 1, 1}), f32({3, 1, 1}, {kNan, 5, kInf}),
         f32({3, 1, 1}, {kInf, 7, kNan})});
    expect_close(y, {7}, 0);
  }
}

// The formula, with none of the op's structure: q [tokens, heads, size], k and v [keys, kv_heads,
// size], additive mask [heads, tokens, keys] that holds causality and window, too.
struct Formula {
  std::vector<double> y, log_sum_exp;
};

Formula formula(const Tensor& q, const Tensor& k, const Tensor& v, const std::vector<double>& mask,
                const std::vector<double>& sinks, double scale, double cap) {
  const int64_t tokens = q.shape()[0], heads = q.shape()[1], size = q.shape()[2];
  const int64_t keys = k.shape()[0], kv_heads = k.shape()[1], width = v.shape()[2];
  Formula result;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t g = h / (heads / kv_heads);
      double sum = std::exp(sinks[static_cast<size_t>(h)]);
      std::vector<double> row(static_cast<size_t>(width), 0);
      for (int64_t j = 0; j < keys; ++j) {
        double score = 0;
        for (int64_t i = 0; i < size; ++i)
          score += q.at((t * heads + h) * size + i) * k.at((j * kv_heads + g) * size + i);
        score *= scale;
        if (cap > 0) score = cap * std::tanh(score / cap);
        const double e = std::exp(score + mask[static_cast<size_t>((h * tokens + t) * keys + j)]);
        sum += e;
        for (int64_t i = 0; i < width; ++i)
          row[static_cast<size_t>(i)] += e * v.at((j * kv_heads + g) * width + i);
      }
      for (const double x : row) result.y.push_back(sum == 0 ? 0 : x / sum);
      result.log_sum_exp.push_back(std::log(sum));
    }
  }
  return result;
}

struct Form {
  const char* attributes;
  int64_t tokens, keys, heads, kv_heads, size;
  int64_t offset;       // where token 0 stands
  int64_t left, right;  // keys before and after a token's own that it sees
  int64_t kept = 0;
  double cap = 0;
};

constexpr int64_t kAll = 1000;

const Form kForms[] = {
    {"", 5, 7, 4, 2, 3, 0, kAll, kAll},
    {"causal = start", 7, 5, 3, 3, 1, 0, kAll, 0},
    {"causal = end", 5, 13, 6, 2, 8, 8, kAll, 0},
    {"causal = end", 9, 4, 2, 1, 5, -5, kAll, 0},
    {"causal = end, window = 4", 6, 11, 4, 1, 7, 5, 3, 0},
    {"causal = start, window = 1", 5, 5, 1, 1, 2, 0, 0, 0},
    {"window = 3, lookahead = 2", 9, 9, 2, 2, 4, 0, 2, 2},
    {"window = 2, lookahead = 0, kept_keys = 2", 9, 8, 2, 1, 4, 0, 1, 0, 2},
    {"causal = end, window = 3, kept_keys = 3, softcap = 0.75", 4, 17, 4, 2, 3, 13, 2, 0, 3, 0.75},
    {"softcap = 30", 3, 8, 8, 1, 9, 0, kAll, kAll, 0, 30},
};

TEST(AttentionFormula, HoldsForEveryCombination) {
  for (const Form& form : kForms) {
    for (const bool with_sinks : {false, true}) {
      for (const bool with_mask : {false, true}) {
        SCOPED_TRACE(fmt::format("{} sinks {} mask {}", form.attributes, with_sinks, with_mask));
        const Tensor q = random_f32({form.tokens, form.heads, form.size}, 1);
        const Tensor k = random_f32({form.keys, form.kv_heads, form.size}, 2);
        const Tensor v = random_f32({form.keys, form.kv_heads, form.size + 1}, 3);
        const Tensor sinks = random_f32({form.heads}, 4);
        Tensor mask = random_f32({form.heads, form.tokens, form.keys}, 5);
        std::vector<double> bias;
        for (int64_t i = 0; i < mask.elements(); ++i) {
          if (mask.at(i) > 1) mask.set(i, -kInf);
          const int64_t j = i % form.keys;
          const int64_t p = i / form.keys % form.tokens + form.offset;
          const bool seen = j <= p + form.right && (j >= p - form.left || j < form.kept);
          bias.push_back(seen ? (with_mask ? mask.at(i) : 0) : -kInf);
        }
        const std::vector<double> logits =
            with_sinks ? to_doubles(to_array(sinks))
                       : std::vector<double>(static_cast<size_t>(form.heads), -kInf);
        const Formula expected =
            formula(q, k, v, bias, logits, 1 / std::sqrt(static_cast<double>(form.size)), form.cap);
        const auto found = run(
            fmt::format("graph g(%q: f32[n, {0}, {2}], %k: f32[m, {1}, {2}], %v: f32[m, {1}, w], "
                        "%m: f32[{0}, n, m], %s: f32[{0}]) -> (%y, %l) {{"
                        "  %y, %l = attention(%q, %k, %v, {3}, _, _, _, _, {4}) {{{5}}} }}",
                        form.heads, form.kv_heads, form.size, with_mask ? "%m" : "_",
                        with_sinks ? "%s" : "_", form.attributes),
            {q, k, v, mask, sinks});
        expect_close(found[0].values, expected.y, 1e-12, 1e-13);
        expect_close(found[1].values, expected.log_sum_exp, 1e-12, 1e-13);
      }
    }
  }
}

}  // namespace
}  // namespace lathe::ir::graph
