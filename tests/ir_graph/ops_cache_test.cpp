// Paged caches and writes into caches, by hand and under attention.
#include "ir/gguf_blocks.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

constexpr auto kGather =
    "graph g(%pool: f32[pages, 2, 1, 1], %t: i32[s, most], %l: i64[s]) -> (%y) {\n"
    "  %y = gather_pages(%pool, %t, %l)\n}";

TEST(GatherPages, PutsPagesInTheOrderOfTheTable) {
  const auto result =
      run(kGather, {f32({3, 2, 1, 1}, {1, 2, 3, 4, 5, 6}),
                    make_tensor(Type::i32, {2, 2}, {2, 0, 1, 2}), i64({2}, {4, 3})});
  EXPECT_EQ(result[0].shape, (std::vector<int64_t>{2, 4, 1, 1}));
  expect_close(result[0].values, {5, 6, 1, 2, 3, 4, 5, 0}, 0);
}

TEST(GatherPages, EntriesThatNoLengthNeedsAreNotRead) {
  const auto result =
      run_one(kGather, {f32({1, 2, 1, 1}, {1, kNan}),
                        make_tensor(Type::i32, {2, 2}, {0, -1, 77, 99}), i64({2}, {1, 0})});
  expect_close(result, {1, 0, 0, 0, 0, 0, 0, 0}, 0);
}

TEST(GatherPages, BothLayoutsAgree) {
  const auto results =
      run("graph g(%pool: f16[5, 3, 2, 4], %t: i64[2, most]) -> (%y, %z) {"
          "  %y = gather_pages(%pool, %t)"
          "  %p = transpose(%pool) {perm = [0, 2, 1, 3]}"
          "  %x = gather_pages(%p, %t) {layout = heads_tokens}"
          "  %z = transpose(%x) {perm = [0, 2, 1, 3]} }",
          {make_tensor(Type::f16, {5, 3, 2, 4}, to_doubles(to_array(random_f32({5, 3, 2, 4}, 1)))),
           i64({2, 3}, {4, 1, 0, 2, 2, 3})});
  EXPECT_EQ(results[0].shape, (std::vector<int64_t>{2, 9, 2, 4}));
  EXPECT_EQ(results[0].type, Type::f16);
  EXPECT_EQ(results[0].values, results[1].values);
}

TEST(GatherPages, ReadsQuantisedPools) {
  Tensor pool(Type::q8_0, {2, 1, 1, 32});
  quantize(Type::q8_0, random_f32({2, 32}, 3).as<float>(), pool.data());
  const auto result =
      run("graph g(%pool: q8_0[2, 1, 1, 32], %t: i64[1, 1]) -> (%y) { %y = gather_pages(%pool, %t) "
          "}",
          {pool, i64({1, 1}, {1})});
  EXPECT_EQ(result[0].type, Type::f32);
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_EQ(result[0].values[static_cast<size_t>(i)], pool.at(32 + i));
}

TEST(GatherPages, PagesAndLengthsAreChecked) {
  const auto error = [](const std::vector<double>& table, const std::vector<double>& lengths) {
    return run_error(kGather, {f32({3, 2, 1, 1}, {1, 2, 3, 4, 5, 6}),
                               make_tensor(Type::i32, {2, 2}, table), i64({2}, lengths)});
  };
  EXPECT_EQ(error({0, 1, 2, 3}, {4, 3}),
            "2:8: %y = gather_pages: block_table[1, 1]: found page 3, expected 0 to 2");
  EXPECT_EQ(error({-1, 1, 2, 0}, {1, 0}),
            "2:8: %y = gather_pages: block_table[0, 0]: found page -1, expected 0 to 2");
  EXPECT_EQ(error({0, 1, 2, 0}, {1, 5}),
            "2:8: %y = gather_pages: lengths[1]: found 5, expected 0 to 4, the rows of a "
            "sequence's pages");
  EXPECT_EQ(error({0, 1, 2, 0}, {-1, 0}),
            "2:8: %y = gather_pages: lengths[0]: found -1, expected 0 to 4, the rows of a "
            "sequence's pages");
}

TEST(WriteCache, ReplacesRowsAtTheirPositions) {
  const char* const text =
      "graph g(%c: f32[m, 1, 2], %r: f32[n, 1, 2], %p: i64[n]) -> (%y) {\n"
      "  %y = write_cache(%c, %r, %p)\n}";
  const Tensor cache = f32({3, 1, 2}, {1, 2, 3, 4, 5, 6});
  expect_close(run_one(text, {cache, f32({2, 1, 2}, {7, 8, 9, 10}), i64({2}, {2, 0})}),
               {9, 10, 3, 4, 7, 8}, 0);
  expect_close(run_one(text, {cache, f32({3, 1, 2}, {7, 7, 8, 8, 9, 9}), i64({3}, {-1, 1, -1})}),
               {1, 2, 8, 8, 5, 6}, 0);
  EXPECT_EQ(run_error(text, {cache, f32({3, 1, 2}, {7, 7, 8, 8, 9, 9}), i64({3}, {1, -1, 1})}),
            "2:8: %y = write_cache: positions[2]: found 1, as at [0]; expected a position of its "
            "own for each row of a sequence");
  EXPECT_EQ(
      run_error(text, {cache, f32({1, 1, 2}, {7, 8}), i64({1}, {3})}),
      "2:8: %y = write_cache: positions[0]: found 3, expected 0 to 2, or -1 for a row that is "
      "dropped");
  EXPECT_EQ(run_error(text, {cache, f32({1, 1, 2}, {7, 8}), i64({1}, {-2})}),
            "2:8: %y = write_cache: positions[0]: found -2, expected 0 to 2, or -1 for a row that "
            "is dropped");
}

TEST(WriteCache, BatchesHavePositionsOfTheirOwnOrShareThem) {
  const auto results =
      run("graph g(%c: f32[2, 1, 3, 1], %r: f32[2, 1, 2, 1], %each: i64[2, 2], %all: i32[2]) -> "
          "(%x, %y) {"
          "  %x = write_cache(%c, %r, %each) {layout = heads_tokens}"
          "  %y = write_cache(%c, %r, %all) {layout = heads_tokens} }",
          {f32({2, 1, 3, 1}, {1, 2, 3, 4, 5, 6}), f32({2, 1, 2, 1}, {10, 20, 30, 40}),
           i64({2, 2}, {0, 1, 2, 0}), make_tensor(Type::i32, {2}, {2, 1})});
  expect_close(results[0].values, {10, 20, 3, 40, 5, 30}, 0);
  expect_close(results[1].values, {1, 20, 10, 4, 40, 30}, 0);
}

TEST(WriteCache, MovesBlocksAsTheyAre) {
  Tensor cache(Type::q8_0, {3, 1, 32});
  quantize(Type::q8_0, random_f32({3, 32}, 1).as<float>(), cache.data());
  Tensor rows(Type::q8_0, {1, 1, 32});
  quantize(Type::q8_0, random_f32({1, 32}, 2).as<float>(), rows.data());
  const Graph graph = parse_valid(
      "graph g(%c: q8_0[3, 1, 32], %r: q8_0[1, 1, 32], %p: i64[1]) -> (%y) { %y = write_cache(%c, "
      "%r, %p) }");
  const auto written = evaluate(graph, std::vector<Tensor>{cache, rows, i64({1}, {1})}).value()[0];
  const std::ptrdiff_t bytes = rows.bytes();
  EXPECT_TRUE(std::equal(written.data(), written.data() + bytes, cache.data()));
  EXPECT_TRUE(std::equal(rows.data(), rows.data() + bytes, written.data() + bytes));
  EXPECT_TRUE(
      std::equal(written.data() + 2 * bytes, written.data() + 3 * bytes, cache.data() + 2 * bytes));
}

// Three decode steps through a paged cache give what attention over the whole sequences gives.
TEST(PagedAttention, IsAttentionOverTheRowsOfTheTable) {
  const Tensor q = random_f32({2, 3, 4, 8}, 1);
  const Tensor k = random_f32({2, 3, 2, 8}, 2);
  const Tensor v = random_f32({2, 3, 2, 5}, 3);
  const auto whole = run_one(
      "graph g(%q: f32[2, n, 4, 8], %k: f32[2, n, 2, 8], %v: f32[2, n, 2, 5]) -> (%y) {"
      "  %y = attention(%q, %k, %v) {causal = end} }",
      {q, k, v});
  // Pages of 2 rows; sequence 0 has pages 3 and 0, sequence 1 has 1 and 4.
  const Tensor table = i64({2, 2}, {3, 0, 1, 4});
  const double slots[][2] = {{6, 2}, {7, 3}, {0, 8}};
  const Graph step = parse_valid(
      "graph step(%q: f32[2, 3, 4, 8], %k: f32[2, 3, 2, 8], %v: f32[2, 3, 2, 5], %kp: f32[5, 2, 2, "
      "8], %vp: f32[5, 2, 2, 5], %t: i64[2, 2], %slots: i64[2], %i: i64[1], %l: i64[]) -> (%y, "
      "%kn, %vn) {"
      "  %qi = gather(%q, %i) {axis = 1}"
      "  %ki = gather(%k, %i) {axis = 1}  %kr = reshape(%ki) {shape = [2, 2, 8]}"
      "  %vi = gather(%v, %i) {axis = 1}  %vr = reshape(%vi) {shape = [2, 2, 5]}"
      "  %kf = reshape(%kp) {shape = [10, 2, 8]}  %kw = write_cache(%kf, %kr, %slots)"
      "  %vf = reshape(%vp) {shape = [10, 2, 5]}  %vw = write_cache(%vf, %vr, %slots)"
      "  %kn = reshape(%kw) {shape = [5, 2, 2, 8]}  %vn = reshape(%vw) {shape = [5, 2, 2, 5]}"
      "  %ks = gather_pages(%kn, %t, %l)  %vs = gather_pages(%vn, %t, %l)"
      "  %y = attention(%qi, %ks, %vs, _, _, _, %l) {causal = end} }");
  Tensor k_pool(Type::f32, {5, 2, 2, 8});
  Tensor v_pool(Type::f32, {5, 2, 2, 5});
  for (Tensor* pool : {&k_pool, &v_pool})
    for (int64_t i = 0; i < pool->elements(); ++i) pool->set(i, kNan);
  for (int64_t i = 0; i < 3; ++i) {
    const auto& now = slots[i];
    const std::vector<Tensor> inputs = {q,
                                        k,
                                        v,
                                        k_pool,
                                        v_pool,
                                        table,
                                        i64({2}, {now[0], now[1]}),
                                        i64({1}, {static_cast<double>(i)}),
                                        i64({}, {static_cast<double>(i + 1)})};
    const auto outputs = evaluate_double(step, inputs).value();
    const std::vector<Tensor> rounded = evaluate(step, inputs).value();
    for (int64_t b = 0; b < 2; ++b) {
      const auto first = whole.begin() + (b * 3 + i) * 20;
      const auto found = outputs[0].values.begin() + b * 20;
      EXPECT_EQ(std::vector<double>(found, found + 20), std::vector<double>(first, first + 20));
    }
    k_pool = rounded[1];
    v_pool = rounded[2];
  }
}

TEST(PagedAttention, PackedTokensReadTheirSequencesPages) {
  const auto results =
      run("graph g(%q: f32[n, 4, 8], %k: f32[pages, 2, 2, 8], %v: f32[pages, 2, 2, 5], %t: "
          "i64[2, most], %c: i64[3], %l: i64[2]) -> (%y, %z) {"
          "  %ks = gather_pages(%k, %t, %l)  %vs = gather_pages(%v, %t, %l)"
          "  %y = attention(%q, %ks, %vs, _, %c, _, %l) {causal = end, window = 3}"
          // The same with the keys 8, 9, 2, 3, 4 and 0 picked out and packed.
          "  %kf = reshape(%k) {shape = [-1, 2, 8]}  %vf = reshape(%v) {shape = [-1, 2, 5]}"
          "  %a = slice(%kf) {axis = 0, begin = 8, end = 10}"
          "  %b = slice(%kf) {axis = 0, begin = 2, end = 5}"
          "  %d = slice(%kf) {axis = 0, begin = 0, end = 1}"
          "  %e = slice(%vf) {axis = 0, begin = 8, end = 10}"
          "  %f = slice(%vf) {axis = 0, begin = 2, end = 5}"
          "  %h = slice(%vf) {axis = 0, begin = 0, end = 1}"
          "  %kk = concat(%a, %b, %d) {axis = 0}  %vv = concat(%e, %f, %h) {axis = 0}"
          "  %five = constant() {value = 5, type = i64, shape = [1]}"
          "  %zero = constant() {value = 0, type = i64, shape = [1]}"
          "  %six = constant() {value = 6, type = i64, shape = [1]}"
          "  %ck = concat(%zero, %five, %six) {axis = 0}"
          "  %z = attention(%q, %kk, %vv, _, %c, %ck) {causal = end, window = 3} }",
          {random_f32({4, 4, 8}, 1), random_f32({6, 2, 2, 8}, 2), random_f32({6, 2, 2, 5}, 3),
           i64({2, 3}, {4, 1, 2, 0, -1, -1}), i64({3}, {0, 3, 4}), i64({2}, {5, 1})});
  EXPECT_EQ(results[0].values, results[1].values);
}

}  // namespace
}  // namespace lathe::ir::graph
