// Sequences of attention, packed or in a batch, against attention of each alone; and their errors.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

// Rows `begin` to `end` of a tensor's first dimension.
Tensor rows_of(const Tensor& x, int64_t begin, int64_t end) {
  std::vector<int64_t> shape = x.shape();
  const int64_t width = x.elements() / shape[0];
  shape[0] = end - begin;
  Tensor rows(x.type(), shape);
  for (int64_t i = 0; i < rows.elements(); ++i) rows.set(i, x.at(begin * width + i));
  return rows;
}

// An item of a batch, without the batch.
Tensor item_of(const Tensor& x, int64_t i) {
  Tensor item(x.type(), {x.shape().begin() + 1, x.shape().end()});
  for (int64_t k = 0; k < item.elements(); ++k) item.set(k, x.at(i * item.elements() + k));
  return item;
}

// Result and log-sum-exp of one sequence.
std::vector<DoubleTensor> alone(const Tensor& q, const Tensor& k, const Tensor& v,
                                std::string_view attributes) {
  return run(fmt::format("graph g(%q: f32[n, 4, 8], %k: f32[m, 2, 8], %v: f32[m, 2, 5]) -> (%y, "
                         "%l) {{ %y, %l = attention(%q, %k, %v) {{{}}} }}",
                         attributes),
             {q, k, v});
}

void append(std::vector<double>& to, const std::vector<double>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

const char* const kVisibility[] = {"", "causal = start", "causal = end", "causal = end, window = 3",
                                   "window = 2, lookahead = 1, softcap = 2"};

TEST(AttentionSequences, PackedTokensSeeTheirOwnSegment) {
  const std::vector<double> q_bounds = {0, 3, 3, 4, 9, 11};   // the second has no tokens
  const std::vector<double> k_bounds = {0, 5, 7, 7, 10, 16};  // the third has no keys
  const Tensor q = random_f32({11, 4, 8}, 1);
  const Tensor k = random_f32({16, 2, 8}, 2);
  const Tensor v = random_f32({16, 2, 5}, 3);
  for (const char* attributes : kVisibility) {
    std::vector<double> y, log_sum_exp;
    for (size_t s = 0; s + 1 < q_bounds.size(); ++s) {
      const auto at = [s](const std::vector<double>& bounds, size_t i) {
        return static_cast<int64_t>(bounds[s + i]);
      };
      const auto part = alone(rows_of(q, at(q_bounds, 0), at(q_bounds, 1)),
                              rows_of(k, at(k_bounds, 0), at(k_bounds, 1)),
                              rows_of(v, at(k_bounds, 0), at(k_bounds, 1)), attributes);
      append(y, part[0].values);
      append(log_sum_exp, part[1].values);
    }
    const auto packed =
        run(fmt::format("graph g(%q: f32[n, 4, 8], %k: f32[m, 2, 8], %v: f32[m, 2, 5], %b: i32[s], "
                        "%c: i64[s]) -> (%y, %l) {{"
                        "  %y, %l = attention(%q, %k, %v, _, %b, %c) {{{}}} }}",
                        attributes),
            {q, k, v, make_tensor(Type::i32, {6}, q_bounds), i64({6}, k_bounds)});
    EXPECT_EQ(packed[0].values, y) << attributes;
    EXPECT_EQ(packed[1].values, log_sum_exp) << attributes;
  }
}

TEST(AttentionSequences, KeysHaveTheBoundsOfTokensWhereNoneAreGiven) {
  const char* const text =
      "graph g(%q: f32[n, 4, 8], %k: f32[n, 2, 8], %v: f32[n, 2, 5], %b: i64[s]) -> (%x, %y) {"
      "  %x = attention(%q, %k, %v, _, %b) {causal = start}"
      "  %y = attention(%q, %k, %v, _, %b, %b) {causal = end} }";
  const auto results = run(text, {random_f32({7, 4, 8}, 1), random_f32({7, 2, 8}, 2),
                                  random_f32({7, 2, 5}, 3), i64({4}, {0, 2, 2, 7})});
  EXPECT_EQ(results[0].values, results[1].values);
  const auto none = run(text, {random_f32({0, 4, 8}, 1), random_f32({0, 2, 8}, 2),
                               random_f32({0, 2, 5}, 3), i64({1}, {0})});
  EXPECT_EQ(none[0].shape, (std::vector<int64_t>{0, 4, 5}));
}

TEST(AttentionSequences, MasksAndScoresCountInThePackedDimensions) {
  const auto results =
      run("graph g(%q: f32[n, 1, 1], %k: f32[n, 1, 1], %v: f32[n, 1, 1], %m: f32[n, n], %b: "
          "i64[s]) -> (%y, %s, %w) {"
          "  %y, %l, %s = attention(%q, %k, %v, %m, %b)"
          "  %a, %c, %w = attention(%q, %k, %v, %m, %b) {scores = softmax} }",
          {f32({3, 1, 1}, {1, 1, 1}), f32({3, 1, 1}, {1, 2, 3}), f32({3, 1, 1}, {4, 5, 6}),
           f32({3, 3}, {0, 0, 0, 0, -kInf, 9, 9, 9, 0.5}), i64({3}, {0, 2, 3})});
  expect_close(results[1].values, {1, 2, -kInf, 1, -kInf, -kInf, -kInf, -kInf, 3.5}, 0);
  const double e = std::exp(1.0);
  expect_close(results[2].values, {1 / (1 + e), e / (1 + e), 0, 1, 0, 0, 0, 0, 1}, 1e-15);
  expect_close(results[0].values, {(4 + 5 * e) / (1 + e), 4, 6}, 1e-15);
}

// Batches of 3 with room for 7 keys, of which 4, none and 7 are valid; the rest is NaN.
class PaddedKeys : public testing::Test {
 protected:
  PaddedKeys() {
    for (size_t b = 0; b < 3; ++b) {
      const auto lengths = static_cast<int64_t>(valid[b]);
      for (Tensor* x : {&k, &v}) {
        const int64_t width = 2 * x->shape().back();
        for (int64_t i = lengths * width; i < 7 * width; ++i)
          x->set(static_cast<int64_t>(b) * 7 * width + i, kNan);
      }
    }
  }
  // Attention of item b of the keys, with some rows of q.
  std::vector<DoubleTensor> item(const Tensor& rows, size_t b, const char* attributes) const {
    const auto length = static_cast<int64_t>(valid[b]);
    const auto i = static_cast<int64_t>(b);
    return alone(rows, rows_of(item_of(k, i), 0, length), rows_of(item_of(v, i), 0, length),
                 attributes);
  }

  const std::vector<double> valid = {4, 0, 7};
  Tensor k = random_f32({3, 7, 2, 8}, 2);
  Tensor v = random_f32({3, 7, 2, 5}, 3);
};

TEST_F(PaddedKeys, OfABatch) {
  const Tensor q = random_f32({3, 5, 4, 8}, 1);
  for (const char* attributes : kVisibility) {
    std::vector<double> y, log_sum_exp;
    for (size_t b = 0; b < 3; ++b) {
      const auto part = item(item_of(q, static_cast<int64_t>(b)), b, attributes);
      append(y, part[0].values);
      append(log_sum_exp, part[1].values);
    }
    const auto padded =
        run(fmt::format("graph g(%q: f32[b, n, 4, 8], %k: f32[b, m, 2, 8], %v: f32[b, m, 2, 5], "
                        "%p: i64[b]) -> (%y, %l) {{"
                        "  %y, %l = attention(%q, %k, %v, _, _, _, %p) {{{}}} }}",
                        attributes),
            {q, k, v, i64({3}, valid)});
    EXPECT_EQ(padded[0].values, y) << attributes;
    EXPECT_EQ(padded[1].values, log_sum_exp) << attributes;
  }
}

TEST_F(PaddedKeys, OfPackedTokens) {
  const std::vector<double> bounds = {0, 1, 3, 8};
  const Tensor q = random_f32({8, 4, 8}, 1);
  for (const char* attributes : kVisibility) {
    std::vector<double> y;
    for (size_t b = 0; b < 3; ++b) {
      const Tensor rows =
          rows_of(q, static_cast<int64_t>(bounds[b]), static_cast<int64_t>(bounds[b + 1]));
      append(y, item(rows, b, attributes)[0].values);
    }
    const auto padded = run_one(
        fmt::format("graph g(%q: f32[n, 4, 8], %k: f32[b, m, 2, 8], %v: f32[b, m, 2, 5], %c: "
                    "i32[s], %p: i32[b]) -> (%y) {{"
                    "  %y = attention(%q, %k, %v, _, %c, _, %p) {{{}}} }}",
                    attributes),
        {q, k, v, make_tensor(Type::i32, {4}, bounds), make_tensor(Type::i32, {3}, valid)});
    EXPECT_EQ(padded, y) << attributes;
  }
}

TEST(AttentionSequences, OneLengthForAll) {
  const char* const text =
      "graph g(%q: f32[n, 1, 1], %k: f32[m, 1, 1], %v: f32[m, 1, 1], %p: i64[]) -> (%y) {"
      "  %y = attention(%q, %k, %v, _, _, _, %p) {causal = end} }";
  expect_close(run_one(text, {f32({2, 1, 1}, {0, 0}), f32({4, 1, 1}, {1, 1, kNan, kNan}),
                              f32({4, 1, 1}, {2, 4, kNan, kNan}), i64({}, {2})}),
               {2, 3}, 0);
}

// Before the mask a score exists for each key that there is room for; after it, for each seen one.
TEST(AttentionSequences, ScoresOfKeysThatAreNotValid) {
  const auto results =
      run("graph g(%q: f32[1, 1, 1], %k: f32[3, 1, 1], %p: i64[]) -> (%s, %m) {"
          "  %a, %b, %s = attention(%q, %k, %k, _, _, _, %p) {scores = scaled}"
          "  %c, %d, %m = attention(%q, %k, %k, _, _, _, %p) }",
          {f32({1, 1, 1}, {2}), f32({3, 1, 1}, {1, 2, 3}), i64({}, {1})});
  expect_close(results[0].values, {2, 4, 6}, 0);
  expect_close(results[1].values, {2, -kInf, -kInf}, 0);
}

// A batch of 2 whose tokens stand after 5 earlier keys: concat and end, or an offset.
TEST(AttentionSequences, ThePastIsAnOffset) {
  const auto results = run(
      "graph g(%q: f32[2, 3, 4, 8], %k: f32[2, 3, 2, 8], %v: f32[2, 3, 2, 5], %pk: f32[2, 5, "
      "2, 8], %pv: f32[2, 5, 2, 5], %one: i64[], %each: i64[2]) -> (%x, %y, %z) {"
      "  %ks = concat(%pk, %k) {axis = 1}  %vs = concat(%pv, %v) {axis = 1}"
      "  %x = attention(%q, %ks, %vs) {causal = end, window = 4}"
      "  %y = attention(%q, %ks, %vs, _, _, _, _, %one) {causal = start, window = 4}"
      "  %z = attention(%q, %ks, %vs, _, _, _, _, %each) {window = 4, lookahead = 0} }",
      {random_f32({2, 3, 4, 8}, 1), random_f32({2, 3, 2, 8}, 2), random_f32({2, 3, 2, 5}, 3),
       random_f32({2, 5, 2, 8}, 4), random_f32({2, 5, 2, 5}, 5), i64({}, {5}), i64({2}, {5, 5})});
  EXPECT_EQ(results[0].values, results[1].values);
  EXPECT_EQ(results[0].values, results[2].values);
}

TEST(AttentionSequences, EachStandsAtItsOwnOffset) {
  expect_close(run_one("graph g(%q: f32[3, 2, 1, 1], %k: f32[3, 3, 1, 1], %v: f32[3, 3, 1, 1], %p: "
                       "i64[3]) -> (%y) {"
                       "  %y = attention(%q, %k, %v, _, _, _, _, %p) {causal = start} }",
                       {Tensor(Type::f32, {3, 2, 1, 1}), Tensor(Type::f32, {3, 3, 1, 1}),
                        f32({3, 3, 1, 1}, {2, 4, 9, 2, 4, 9, 2, 4, 9}), i64({3}, {-1, 0, 1})}),
               {0, 2, 2, 3, 3, 5}, 1e-15);
}

std::string packed_error(const std::vector<double>& q_bounds, const std::vector<double>& k_bounds,
                         const std::vector<double>& lengths, int64_t offset = 0) {
  const auto sequences = static_cast<int64_t>(q_bounds.size()) - 1;
  const std::string message = run_error(
      "graph g(%q: f32[n, 1, 1], %k: f32[m, 1, 1], %b: i64[s], %c: i64[s], %l: i64[r], "
      "%o: i64[]) -> (%y) {\n  %y = attention(%q, %k, %k, _, %b, %c, %l, %o) }",
      {Tensor(Type::f32, {4, 1, 1}), Tensor(Type::f32, {6, 1, 1}), i64({sequences + 1}, q_bounds),
       i64({sequences + 1}, k_bounds), i64({static_cast<int64_t>(lengths.size())}, lengths),
       i64({}, {static_cast<double>(offset)})});
  return message.substr(message.rfind("attention: ") + 11);
}

TEST(AttentionSequences, EveryBoundLengthAndOffsetIsChecked) {
  EXPECT_EQ(packed_error({1, 4}, {0, 6}, {0}), "cu_seqlens[0]: found 1, expected 0");
  EXPECT_EQ(packed_error({0, 3, 2, 4}, {0, 0, 0, 6}, {0, 0, 0}),
            "cu_seqlens[2]: found 2 after 3, expected bounds that do not decrease");
  EXPECT_EQ(packed_error({0, 5}, {0, 6}, {0}),
            "cu_seqlens[1]: found 5 as the last bound, expected "
            "4");
  EXPECT_EQ(packed_error({0, 4}, {0, 4}, {0}),
            "cu_seqlens_k[1]: found 4 as the last bound, expected 6");
  EXPECT_EQ(packed_error({0, 2, 4}, {0, 2, 6}, {2, 5}),
            "lengths[1]: found 5, expected 0 to 4, the keys of sequence 1");
  EXPECT_EQ(packed_error({0, 4}, {0, 6}, {-1}),
            "lengths[0]: found -1, expected 0 to 6, the keys of sequence 0");
  EXPECT_EQ(packed_error({0, 4}, {0, 6}, {0}, int64_t{1} << 50),
            "offset[0]: found 1125899906842624, expected -1099511627776 to 1099511627776");
  EXPECT_EQ(packed_error({0, 2, 4}, {0, 2, 6}, {2, 2, 2}),
            "operand 'lengths': found shape [3], expected [] or [2]");
}

TEST(AttentionSequences, NumbersOfSequencesAreChecked) {
  EXPECT_EQ(run_error("graph g(%q: f32[n, 1, 1], %k: f32[b, m, 1, 1], %c: i64[s]) -> (%y) {\n"
                      "  %y = attention(%q, %k, %k, _, %c) }",
                      {Tensor(Type::f32, {4, 1, 1}), Tensor(Type::f32, {3, 2, 1, 1}),
                       i64({3}, {0, 2, 4})}),
            "2:8: %y = attention: attention: operand 'k': found 3 sequences, expected 2 as "
            "cu_seqlens has");
}

}  // namespace
}  // namespace lathe::ir::graph
