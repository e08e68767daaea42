// Graphs of attention that reads less, compiled: against the oracle at awkward sizes, against dense
// attention where everything is kept, and what lists and scores that are wrong say.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/graph/reference.h"
#include "ir/graph/text.h"
#include "runtime/graph/executor.h"

namespace lathe::runtime {
namespace {

using ir::Tensor;
using ir::Type;
using testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Normally distributed, the same on every run.
Tensor normal(std::vector<int64_t> shape, unsigned seed, Type type = Type::f32) {
  Tensor tensor(type, std::move(shape));
  std::mt19937 engine(seed);
  std::normal_distribution<double> distribution;
  for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, distribution(engine));
  return tensor;
}

Tensor i32(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  Tensor tensor(Type::i32, std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, static_cast<double>(values[static_cast<size_t>(i)]));
  return tensor;
}

std::shared_ptr<KernelLibrary> library() {
  LibraryOptions options;
  options.store = "none";
  options.threads = 2;
  auto opened = KernelLibrary::open(options);
  EXPECT_TRUE(opened) << opened.error().message;
  return *opened;
}

// What a graph consists of, compiled: families and functions, and that no node is interpreted.
using Steps = std::multiset<std::string>;

class SparseGraph {
 public:
  explicit SparseGraph(const std::string& text, Execution execution = Execution::native) {
    auto parsed = ir::graph::parse(text);
    EXPECT_TRUE(parsed) << parsed.error().message;
    if (!parsed) return;
    graph_ = *parsed;
    auto executor = Executor::create(std::move(*parsed), library(), execution);
    EXPECT_TRUE(executor) << executor.error().message;
    if (executor) executor_ = std::move(*executor);
  }

  Steps steps(const std::vector<Tensor>& inputs) const {
    Steps names;
    const auto steps = executor_->steps(inputs);
    EXPECT_TRUE(steps) << steps.error().message;
    if (!steps) return names;
    for (const ExecutionStep& step : *steps) {
      EXPECT_FALSE(step.interpreted) << step.what;
      const size_t words = step.what.starts_with("function ") ? 2 : 1;
      size_t end = 0;
      for (size_t i = 0; i < words; ++i) end = step.what.find(' ', end + 1);
      if (step.what != "view") names.insert(step.what.substr(0, end));
    }
    return names;
  }

  std::vector<Tensor> run(const std::vector<Tensor>& inputs) const {
    auto outputs = executor_->run(inputs);
    EXPECT_TRUE(outputs) << outputs.error().message;
    return outputs ? std::move(*outputs) : std::vector<Tensor>{};
  }

  std::string error(const std::vector<Tensor>& inputs) const {
    const auto outputs = executor_->run(inputs);
    EXPECT_FALSE(outputs) << "it runs";
    if (outputs) return "";
    EXPECT_EQ(outputs.error().code, ErrorCode::invalid_argument);
    return outputs.error().message;
  }

  std::vector<Tensor> oracle(const std::vector<Tensor>& inputs) const {
    auto outputs = ir::graph::evaluate(graph_, inputs);
    EXPECT_TRUE(outputs) << outputs.error().message;
    return outputs ? std::move(*outputs) : std::vector<Tensor>{};
  }

  // Of the oracle, whose errors stand beside those of kernels.
  std::string oracle_error(const std::vector<Tensor>& inputs) const {
    const auto outputs = ir::graph::evaluate(graph_, inputs);
    EXPECT_FALSE(outputs) << "the oracle takes it";
    return outputs ? "" : outputs.error().message;
  }

 private:
  ir::graph::Graph graph_;
  std::unique_ptr<Executor> executor_;
};

// Lists are the same; numbers are near.
void expect_near(const std::vector<Tensor>& found, const std::vector<Tensor>& expected,
                 double limit = 2e-5) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].shape(), expected[i].shape());
    for (int64_t k = 0; k < found[i].elements(); ++k) {
      const double value = found[i].at(k), right = expected[i].at(k);
      if (value == right) continue;
      ASSERT_LE(std::abs(value - right),
                found[i].type() == Type::i32 ? 0 : limit * (1 + std::abs(right)))
          << "output " << i << " element " << k;
    }
  }
}

// Scores that rounding might put in another order would make other lists: none are so near.
void expect_far_apart(const Tensor& scores) {
  const int64_t columns = scores.shape().back();
  for (int64_t first = 0; first < scores.elements(); first += columns) {
    std::vector<double> row;
    for (int64_t i = 0; i < columns; ++i) row.push_back(scores.at(first + i));
    std::sort(row.begin(), row.end());
    for (size_t i = 1; i < row.size(); ++i)
      ASSERT_GT(row[i] - row[i - 1], 1e-5 * (1 + std::abs(row[i]))) << "choose another seed";
  }
}

class SparseGraphs : public testing::TestWithParam<Execution> {};

std::string listed_blocks(int64_t block, std::string_view more) {
  return fmt::format(
      "graph g(%q: f32[b, n, 6, 20], %k: f32[b, m, 2, 20], %v: f32[b, m, 2, 12], %c: i32[b, 2, r], "
      "%l: i32[b, 2, r, room]) -> (%y, %lse) {{\n"
      "  %m = block_mask(%q, %k, %c, %l) {{block = {}}}\n"
      "  %y, %lse = attention(%q, %k, %v, %m) {{{}}}\n}}",
      block, more);
}

// Lists of up to `room` blocks, of every length; what lies behind them is no block.
std::pair<Tensor, Tensor> random_lists(int64_t batch, int64_t rows, int64_t key_blocks,
                                       int64_t room, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<int64_t> counts, blocks;
  for (int64_t row = 0; row < batch * 2 * rows; ++row) {
    std::vector<int64_t> all(static_cast<size_t>(key_blocks));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    std::shuffle(all.begin(), all.end(), engine);
    all.resize(std::min(all.size(), static_cast<size_t>(row % (room + 1))));
    std::sort(all.begin(), all.end());
    counts.push_back(static_cast<int64_t>(all.size()));
    all.resize(static_cast<size_t>(room), -7);
    blocks.insert(blocks.end(), all.begin(), all.end());
  }
  return {i32({batch, 2, rows}, counts), i32({batch, 2, rows, room}, blocks)};
}

TEST_P(SparseGraphs, ListedBlocksAsTheOracle) {
  for (const auto& [tokens, keys, block, more] :
       std::vector<std::tuple<int64_t, int64_t, int64_t, std::string>>{
           {70, 70, 16, "causal = end"},
           {1, 33, 32, "causal = end"},
           {47, 130, 32, "window = 50, scale = 0.3"},
           {33, 20, 16, "causal = start, softcap = 5"}}) {
    SCOPED_TRACE(fmt::format("{} tokens, {} keys, blocks of {}", tokens, keys, block));
    const int64_t rows = (tokens + block - 1) / block, columns = (keys + block - 1) / block;
    const auto [counts, blocks] = random_lists(2, rows, columns, 3, 5);
    const SparseGraph graph(listed_blocks(block, more), GetParam());
    const std::vector<Tensor> inputs = {normal({2, tokens, 6, 20}, 1), normal({2, keys, 2, 20}, 2),
                                        normal({2, keys, 2, 12}, 3), counts, blocks};
    EXPECT_EQ(graph.steps(inputs), Steps{"attention_block_sparse"});
    expect_near(graph.run(inputs), graph.oracle(inputs));
  }
}

TEST_P(SparseGraphs, AllBlocksAreDenseAttention) {
  const int64_t tokens = 70, block = 16, blocks = 5;
  std::vector<int64_t> counts(2 * blocks, blocks), numbers;
  for (int64_t i = 0; i < 2 * blocks * blocks; ++i) numbers.push_back(i % blocks);
  const std::vector<Tensor> inputs = {normal({1, tokens, 6, 20}, 1), normal({1, tokens, 2, 20}, 2),
                                      normal({1, tokens, 2, 12}, 3), i32({1, 2, blocks}, counts),
                                      i32({1, 2, blocks, blocks}, numbers)};
  const SparseGraph graph(listed_blocks(block, "causal = end"), GetParam());
  const SparseGraph dense(
      "graph g(%q: f32[b, n, 6, 20], %k: f32[b, m, 2, 20], %v: f32[b, m, 2, 12]) -> (%y, %lse) {\n"
      "  %y, %lse = attention(%q, %k, %v) {causal = end}\n}",
      GetParam());
  const std::vector<Tensor> all = {inputs[0], inputs[1], inputs[2]};
  expect_near(graph.run(inputs), dense.run(all));
  expect_near(graph.oracle(inputs), dense.oracle(all), 0);
}

std::string routed(int64_t block, int64_t kept, std::string_view scores, std::string_view more) {
  return fmt::format(
      "graph g(%q: f32[b, n, 4, 20], %k: f32[b, m, 2, 20], %v: f32[b, m, 2, 12], %wq: f32[4, 20, "
      "5], %wk: f32[2, 20, 5]) -> (%s, %c, %l, %y) {{\n"
      "  %s = block_scores({2}) {{block = {0}, query_blocks = [r], key_blocks = [c]}}\n"
      "  %c, %l = select_blocks(%s) {{block = {0}, tokens = [n], keys = [m], kept = {1}, causal = "
      "end{3}}}\n"
      "  %m = block_mask(%q, %k, %c, %l) {{block = {0}}}\n"
      "  %y = attention(%q, %k, %v, %m) {{causal = end}}\n}}",
      block, kept, scores, more);
}

TEST_P(SparseGraphs, RoutedBlocksAsTheOracle) {
  for (const auto& [tokens, keys, block, kept, scores, more] :
       std::vector<std::tuple<int64_t, int64_t, int64_t, int64_t, std::string, std::string>>{
           {170, 170, 16, 3, "%q, %k, %wq, %wk", ""},
           {33, 190, 16, 5, "%q, %k", ", sinks = 2, local = 2"},
           {100, 100, 32, 4, "%q, %k, %wq, %wk", ", threshold = 0.2, sinks = 0"},
           {1, 5, 16, 2, "%q, %k", ""}}) {
    SCOPED_TRACE(fmt::format("{} tokens, {} keys, blocks of {}", tokens, keys, block));
    const SparseGraph graph(routed(block, kept, scores, more), GetParam());
    const std::vector<Tensor> inputs = {normal({2, tokens, 4, 20}, 1), normal({2, keys, 2, 20}, 2),
                                        normal({2, keys, 2, 12}, 3), normal({4, 20, 5}, 4),
                                        normal({2, 20, 5}, 5)};
    EXPECT_EQ(graph.steps(inputs),
              (Steps{"attention_router", "function select_blocks", "attention_block_sparse"}));
    const std::vector<Tensor> expected = graph.oracle(inputs);
    ASSERT_NO_FATAL_FAILURE(expect_far_apart(expected.front()));
    expect_near(graph.run(inputs), expected);
  }
}

std::string paged_decode(int64_t page, int64_t kept, std::string_view more = "") {
  return fmt::format(
      "graph g(%q: f32[b, n, 6, 20], %k: f32[b, {0}*p, 2, 20], %v: f32[b, {0}*p, 2, 12], %lengths: "
      "i32[b]) -> (%s, %list, %y) {{\n"
      "  %pages = reshape(%k) {{shape = [b, -1, {0}, 2, 20]}}\n"
      "  %bounds = page_bounds(%pages)\n  %s = page_scores(%q, %bounds)\n"
      "  %list = select_pages(%s, %lengths) {{page = {0}, kept = {1}{2}}}\n"
      "  %m = page_mask(%list) {{page = {0}, heads = 6, keys = [{0}*p]}}\n"
      "  %y = attention(%q, %k, %v, %m, _, _, %lengths) {{causal = end}}\n}}",
      page, kept, more);
}

const Steps kDecodeSteps = {"attention_page_bounds", "attention_page_scores",
                            "function select_pages", "attention_token_sparse"};

TEST_P(SparseGraphs, ChosenPagesAsTheOracle) {
  for (const auto& [tokens, page, pages, kept, more] :
       std::vector<std::tuple<int64_t, int64_t, int64_t, int64_t, std::string>>{
           {1, 16, 21, 5, ""},
           {3, 5, 40, 9, ", sinks = 0, local = 3"},
           {1, 1, 70, 11, ""},
           {2, 7, 3, 6, ""}}) {
    SCOPED_TRACE(fmt::format("{} tokens, {} pages of {}", tokens, pages, page));
    const SparseGraph graph(paged_decode(page, kept, more), GetParam());
    // Full, some pages, one key.
    const std::vector<Tensor> inputs = {
        normal({3, tokens, 6, 20}, 1), normal({3, page * pages, 2, 20}, 2),
        normal({3, page * pages, 2, 12}, 3),
        i32({3}, {page * pages, std::max<int64_t>(page * pages - 2 * page - 1, 1), 1})};
    EXPECT_EQ(graph.steps(inputs), kDecodeSteps);
    const std::vector<Tensor> expected = graph.oracle(inputs);
    ASSERT_NO_FATAL_FAILURE(expect_far_apart(expected.front()));
    expect_near(graph.run(inputs), expected);
  }
}

TEST_P(SparseGraphs, AllPagesAreDenseDecode) {
  const SparseGraph graph(paged_decode(5, 9), GetParam());
  const SparseGraph dense(
      "graph g(%q: f32[b, n, 6, 20], %k: f32[b, m, 2, 20], %v: f32[b, m, 2, 12], %l: i32[b]) -> "
      "(%y) {\n  %y = attention(%q, %k, %v, _, _, _, %l) {causal = end}\n}",
      GetParam());
  const std::vector<Tensor> inputs = {normal({2, 2, 6, 20}, 1), normal({2, 45, 2, 20}, 2),
                                      normal({2, 45, 2, 12}, 3), i32({2}, {45, 23})};
  expect_near({graph.run(inputs).back()}, dense.run(inputs));
  expect_near({graph.oracle(inputs).back()}, dense.oracle(inputs), 0);
}

// What select_pages and select_blocks give is what the ops say, whatever the scores.
TEST_P(SparseGraphs, ListsOfEqualAndInfiniteScoresAreTheOracles) {
  const SparseGraph graph(
      "graph g(%s: f32[b, 3, p], %l: i32[b], %t: f32[1, 2, r, c], %x: f32[n], %z: f32[m]) -> (%y, "
      "%all, %n, %k, %o, %j) {\n"
      "  %y = select_pages(%s, %l) {page = 3, kept = 7, sinks = 2, local = 2}\n"
      "  %all = select_pages(%s) {page = 3, kept = 5, sinks = 0}\n"
      "  %n, %k = select_blocks(%t) {block = 4, tokens = [n], keys = [m], kept = 6, causal = end}\n"
      "  %o, %j = select_blocks(%t) {block = 4, tokens = [n], keys = [m], kept = 6, threshold = "
      "0.1}\n}",
      GetParam());
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {-0.0, 0.0, 1.0, 1.0, -2.0, inf, -inf, 3.0};
  std::mt19937 engine(9);
  const auto drawn = [&](std::vector<int64_t> shape) {
    Tensor tensor(Type::f32, std::move(shape));
    for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, values[engine() % values.size()]);
    return tensor;
  };
  for (const int64_t pages : {1, 7, 8, 50}) {
    const int64_t keys = 3 * pages;
    const std::vector<Tensor> inputs = {
        drawn({4, 3, pages}), i32({4}, {keys, keys - 1, keys / 2, 0}), drawn({1, 2, 4, 9}),
        Tensor(Type::f32, {13}), Tensor(Type::f32, {34})};
    EXPECT_EQ(graph.steps(inputs), (Steps{"function select_pages", "function select_pages",
                                          "function select_blocks", "function select_blocks"}));
    expect_near(graph.run(inputs), graph.oracle(inputs), 0);
  }
}

std::string low_rank(std::string_view type, int64_t kv_heads, int64_t up_heads) {
  return fmt::format(
      "graph g(%q: f32[b, 6, n, 20], %ck: {0}[b, {1}, m, 7], %cv: {0}[b, {1}, m, 9], %uk: {0}[{2}, "
      "7, 20], %uv: {0}[{2}, 9, 12], %l: i32[b], %sinks: f32[6]) -> (%y, %lse) {{\n"
      "  %k = matmul(%ck, %uk)\n  %v = matmul(%cv, %uv)\n"
      "  %y, %lse = attention(%q, %k, %v, _, _, _, %l, _, %sinks) {{causal = end, layout = "
      "heads_tokens}}\n}}",
      type, kv_heads, up_heads);
}

TEST_P(SparseGraphs, FactorsAsTheOracle) {
  for (const auto& [type, tokens, keys, kv_heads, up_heads] :
       std::vector<std::tuple<Type, int64_t, int64_t, int64_t, int64_t>>{{Type::f32, 1, 131, 2, 2},
                                                                         {Type::bf16, 3, 70, 2, 2},
                                                                         {Type::f32, 5, 19, 1, 6},
                                                                         {Type::f16, 1, 1, 6, 6}}) {
    SCOPED_TRACE(fmt::format("{} tokens, {} keys of {} heads", tokens, keys, kv_heads));
    const SparseGraph graph(low_rank(ir::name(type), kv_heads, up_heads), GetParam());
    const std::vector<Tensor> inputs = {normal({2, 6, tokens, 20}, 1),
                                        normal({2, kv_heads, keys, 7}, 2, type),
                                        normal({2, kv_heads, keys, 9}, 3, type),
                                        normal({up_heads, 7, 20}, 4, type),
                                        normal({up_heads, 9, 12}, 5, type),
                                        i32({2}, {keys, keys / 2}),
                                        normal({6}, 6)};
    EXPECT_EQ(graph.steps(inputs), Steps{"attention_low_rank"});
    expect_near(graph.run(inputs), graph.oracle(inputs));
  }
}

TEST_P(SparseGraphs, FactorsWithAWindowAsTheOracle) {
  const SparseGraph graph(
      "graph g(%q: f32[b, n, 6, 20], %ck: f32[b, m, 2, 7], %cv: f32[b, m, 2, 9], %uk: f32[2, 7, "
      "20], %uv: f32[2, 9, 12], %l: i32[b], %k: f32[b, 13, 2, 20], %v: f32[b, 13, 2, 12], %r: "
      "i32[b]) -> (%y, %lse) {\n"
      "  %kt = transpose(%ck) {perm = [0, 2, 1, 3]}\n  %vt = transpose(%cv) {perm = [0, 2, 1, 3]}\n"
      "  %km = matmul(%kt, %uk)\n  %vm = matmul(%vt, %uv)\n"
      "  %keys = transpose(%km) {perm = [0, 2, 1, 3]}\n"
      "  %values = transpose(%vm) {perm = [0, 2, 1, 3]}\n"
      "  %far, %fs = attention(%q, %keys, %values, _, _, _, %l)\n"
      "  %near, %ns = attention(%q, %k, %v, _, _, _, %r) {causal = end}\n"
      "  %y, %lse = merge_attention(%near, %ns, %far, %fs)\n}",
      GetParam());
  for (const auto& [tokens, keys] : std::vector<std::pair<int64_t, int64_t>>{{1, 67}, {3, 5}}) {
    const std::vector<Tensor> inputs = {
        normal({4, tokens, 6, 20}, 1), normal({4, keys, 2, 7}, 2), normal({4, keys, 2, 9}, 3),
        normal({2, 7, 20}, 4),         normal({2, 9, 12}, 5),      i32({4}, {keys, 3, 0, 0}),
        normal({4, 13, 2, 20}, 6),     normal({4, 13, 2, 12}, 7),  i32({4}, {13, 0, 6, 0})};
    EXPECT_EQ(graph.steps(inputs), Steps{"attention_low_rank"});
    expect_near(graph.run(inputs), graph.oracle(inputs));
  }
}

INSTANTIATE_TEST_SUITE_P(Executions, SparseGraphs,
                         testing::Values(Execution::native, Execution::interpreted),
                         [](const auto& info) {
                           return info.param == Execution::native ? "native" : "interpreted";
                         });

// What is wrong with lists and scores is named before anything reads by them, and the oracle
// refuses it, too.
TEST(SparseGraphErrors, ListsOfBlocks) {
  const SparseGraph graph(listed_blocks(16, ""));
  const auto inputs = [](const std::vector<int64_t>& counts, const std::vector<int64_t>& blocks) {
    return std::vector<Tensor>{normal({1, 20, 6, 20}, 1), normal({1, 40, 2, 20}, 2),
                               normal({1, 40, 2, 12}, 3), i32({1, 2, 2}, counts),
                               i32({1, 2, 2, 2}, blocks)};
  };
  const std::vector<int64_t> counts = {2, 2, 2, 2};
  const auto out_of_range = inputs(counts, {0, 1, 0, 3, 0, 1, 0, 1});
  EXPECT_THAT(graph.error(out_of_range),
              HasSubstr("operand 'blocks': found 3 at [1, 1], one of the 2 that counts[1] = 2 asks "
                        "for, expected 0..2"));
  EXPECT_THAT(graph.oracle_error(out_of_range),
              HasSubstr("blocks[1, 1]: found 3, expected 0 to 2"));
  const auto descending = inputs(counts, {0, 1, 0, 1, 2, 1, 0, 1});
  EXPECT_THAT(graph.error(descending),
              HasSubstr("less than the 2 before it; expected distinct, ascending elements"));
  EXPECT_THAT(graph.oracle_error(descending), HasSubstr("found 1 after 2, expected ascending"));
  const auto too_many = inputs({2, 3, 2, 2}, {0, 1, 0, 1, 0, 1, 0, 1});
  EXPECT_THAT(graph.error(too_many), HasSubstr("operand 'counts': found 3 at [1], expected 0..2"));
  EXPECT_THAT(graph.oracle_error(too_many), HasSubstr("counts[1]: found 3, expected 0 to 2"));
}

TEST(SparseGraphErrors, ListsOfPages) {
  const SparseGraph graph(
      "graph g(%q: f32[1, 1, 2, 8], %k: f32[1, 21, 1, 8], %p: i32[1, 1, n]) -> (%y) {\n"
      "  %m = page_mask(%p) {page = 4, heads = 2, keys = [21]}\n"
      "  %y = attention(%q, %k, %k, %m)\n}");
  const auto inputs = [](const std::vector<int64_t>& pages) {
    return std::vector<Tensor>{normal({1, 1, 2, 8}, 1), normal({1, 21, 1, 8}, 2),
                               i32({1, 1, static_cast<int64_t>(pages.size())}, pages)};
  };
  EXPECT_EQ(graph.steps(inputs({1, 5})), Steps{"attention_token_sparse"});
  expect_near(graph.run(inputs({1, 5, 5})), graph.oracle(inputs({1, 5, 5})));
  EXPECT_THAT(graph.error(inputs({0, 6})),
              HasSubstr("operand 'pages': found 6 at [1], expected 0..5"));
  EXPECT_THAT(graph.oracle_error(inputs({0, 6})), HasSubstr("pages[0, 0, 1]: found 6"));
  EXPECT_THAT(graph.error(inputs({3, 2})), HasSubstr("found 2 at [1], less than the 3 before it"));
  EXPECT_THAT(graph.oracle_error(inputs({3, 2})), HasSubstr("found 2 after 3"));
}

TEST(SparseGraphErrors, ScoresAndLengths) {
  const SparseGraph blocks(
      "graph g(%s: f32[1, 1, 2, 2], %x: f32[n]) -> (%c, %b) {\n"
      "  %c, %b = select_blocks(%s) {block = 2, tokens = [n], keys = [n], kept = 2}\n}");
  Tensor scores(Type::f32, {1, 1, 2, 2});
  scores.set(2, kNaN);
  const std::vector<Tensor> of_blocks = {scores, Tensor(Type::f32, {4})};
  const std::string nan = "scores[0, 0, 1, 0]: found NaN, expected numbers to choose by";
  EXPECT_EQ(blocks.error(of_blocks), "2:12: %c = select_blocks: " + nan);
  EXPECT_EQ(blocks.oracle_error(of_blocks), "2:12: %c = select_blocks: " + nan);

  const SparseGraph pages(
      "graph g(%s: f32[b, 1, p], %l: i32[b]) -> (%y) {\n"
      "  %y = select_pages(%s, %l) {page = 4, kept = 2}\n}");
  const auto of_pages = [](int64_t judged, int64_t length) {
    Tensor of_page(Type::f32, {2, 1, 5});
    of_page.set(5 + judged, kNaN);
    return std::vector<Tensor>{of_page, i32({2}, {20, length})};
  };
  const std::string place = "2:8: %y = select_pages: ";
  EXPECT_EQ(pages.error(of_pages(3, 20)),
            place + "scores[1, 0, 3]: found NaN, expected numbers to choose by");
  EXPECT_EQ(pages.error(of_pages(0, 21)),
            place + "lengths[1]: found 21, expected 0 to 20, the keys of 5 pages");
  EXPECT_EQ(pages.oracle_error(of_pages(3, 20)), pages.error(of_pages(3, 20)));
  EXPECT_EQ(pages.oracle_error(of_pages(0, 21)), pages.error(of_pages(0, 21)));
  // A page that is always read, and one behind the keys.
  expect_near(pages.run(of_pages(0, 20)), pages.oracle(of_pages(0, 20)), 0);
  expect_near(pages.run(of_pages(3, 9)), pages.oracle(of_pages(3, 9)), 0);
}

std::string example(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path("examples") / name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path << ": run from the repository's root";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(SparseGraphExamples, AreCompiledAndAsTheOracle) {
  const SparseGraph routed(example("routed.lir"));
  const std::vector<Tensor> prefill = {normal({1, 100, 16, 128}, 1), normal({1, 100, 8, 128}, 2),
                                       normal({1, 100, 8, 128}, 3), normal({16, 128, 16}, 4),
                                       normal({8, 128, 16}, 5)};
  EXPECT_EQ(routed.steps(prefill),
            (Steps{"attention_router", "function select_blocks", "attention_block_sparse"}));
  expect_near(routed.run(prefill), routed.oracle(prefill), 5e-5);

  // Bounds as they are kept beside the cache: those of the page that fills up are anything.
  const SparseGraph decode(example("sparse_decode.lir"));
  const SparseGraph bounds(
      "graph g(%k: f32[b, 16*p, 8, 128]) -> (%y) {\n"
      "  %pages = reshape(%k) {shape = [b, -1, 16, 8, 128]}\n  %y = page_bounds(%pages)\n}");
  const Tensor keys = normal({1, 640, 8, 128}, 2);
  const std::vector<Tensor> step = {normal({1, 1, 16, 128}, 1), keys, normal({1, 640, 8, 128}, 3),
                                    bounds.run({keys}).front(), i32({1}, {630})};
  EXPECT_EQ(decode.steps(step),
            (Steps{"attention_page_scores", "function select_pages", "attention_token_sparse"}));
  expect_near(decode.run(step), decode.oracle(step), 5e-5);

  const SparseGraph low_rank(example("low_rank.lir"));
  const std::vector<Tensor> factored = {
      normal({2, 16, 1, 128}, 1), normal({2, 8, 70, 32}, 2),  normal({2, 8, 70, 32}, 3),
      normal({8, 32, 128}, 4),    normal({8, 32, 128}, 5),    i32({2}, {70, 9}),
      normal({2, 8, 64, 128}, 6), normal({2, 8, 64, 128}, 7), i32({2}, {64, 30})};
  EXPECT_EQ(low_rank.steps(factored), Steps{"attention_low_rank"});
  expect_near(low_rank.run(factored), low_rank.oracle(factored), 2e-4);
}

}  // namespace
}  // namespace lathe::runtime
