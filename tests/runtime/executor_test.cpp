// Whole graphs: native and interpreted against the reference interpreter, for several sizes.
#include "runtime/graph/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include <gtest/gtest.h>

#include "ir/gguf_blocks.h"
#include "ir/graph/reference.h"
#include "ir/graph/text.h"

namespace lathe::runtime {
namespace {

constexpr std::string_view kBlock = R"(
graph block(%x: f32[tokens, 64], %r: f32[tokens, 64], %w: f32[64], %g: f32[tokens, 64]) -> (%h, %z, %t) {
  %h = add(%x, %r)
  %n = rms_norm(%h, %w) {eps = 1e-06}
  %a = swiglu(%n, %g)
  %s = softmax(%a)
  %z = add(%s, %h)
  %t = transpose(%z) {perm = [1, 0]}
}
)";

constexpr std::string_view kHeads = R"(
graph heads(%q: f32[tokens, 4, 32], %w: f32[32], %p: i32[3, tokens]) -> (%y) {
  %cos, %sin = rope_table() {theta = 5000000.0, dim = 32, positions = 64}
  %n = rms_norm(%q, %w)
  %y = mrope(%n, %cos, %sin, %p) {section = [6, 5, 5]}
}
)";

constexpr std::string_view kMlp = R"(
graph mlp(%x: f32[tokens, 64], %g: f32[97, 64], %u: f32[97, 64], %d: f32[64, 97], %b: f32[64], %w: f32[64], %m: f32[64, 5]) -> (%h, %n, %t) {
  %gate = linear(%x, %g)
  %up = linear(%x, %u)
  %a = swiglu(%gate, %up)
  %down = linear(%a, %d, %b)
  %h = add(%x, %down)
  %n = rms_norm(%h, %w)
  %t = matmul(%n, %m)
}
)";

// The same whether or not somebody sees what is quantised.
constexpr std::string_view kQuantised =
    R"((%x: f32[tokens, 64], %r: f32[tokens, 64], %g: q8_0[96, 64], %u: q8_0[96, 64], %d: q4_0[64, 96], %b: bf16[64], %w: f32[64]) -> {
  %h = add(%x, %r)
  %n = rms_norm(%h, %w)
  %nq = quantize(%n)
  %nd = dequantize(%nq)
  %gate = linear(%nd, %g)
  %up = linear(%nd, %u)
  %a = swiglu(%gate, %up)
  %aq = quantize(%a)
  %ad = dequantize(%aq)
  %down = linear(%ad, %d, %b)
  %y = add(%h, %down)
}
)";

ir::Tensor filled(ir::Type type, std::vector<int64_t> shape, int seed) {
  ir::Tensor tensor(type, std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, type == ir::Type::i32 ? static_cast<double>((i * 7 + seed) % 64)
                                        : std::sin(0.37 * static_cast<double>(i + 100 * seed)));
  return tensor;
}

size_t kernels_of(const std::vector<ExecutionStep>& steps) {
  return static_cast<size_t>(std::count_if(steps.begin(), steps.end(), [](const auto& step) {
    return step.what.rfind("host", 0) != 0 && step.what != "view" &&
           step.what.rfind("pack", 0) != 0;
  }));
}

void compare(std::string_view text, const std::vector<ir::Tensor>& inputs, Execution execution,
             size_t kernels) {
  auto graph = ir::graph::parse(text);
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  const auto expected = ir::graph::evaluate(*graph, inputs);
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  LibraryOptions options;
  options.store = "none";
  options.threads = 2;
  auto library = KernelLibrary::open(options);
  ASSERT_TRUE(library.has_value()) << library.error().message;
  auto executor = Executor::create(std::move(*graph), *library, execution);
  ASSERT_TRUE(executor.has_value()) << executor.error().message;
  const auto steps = (*executor)->steps(inputs);
  ASSERT_TRUE(steps.has_value()) << steps.error().message;
  EXPECT_EQ(kernels_of(*steps), kernels);
  for (int run = 0; run < 2; ++run) {
    const auto found = (*executor)->run(inputs);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    ASSERT_EQ(found->size(), expected->size());
    for (size_t i = 0; i < found->size(); ++i) {
      ASSERT_EQ((*found)[i].shape(), (*expected)[i].shape());
      for (int64_t k = 0; k < (*found)[i].elements(); ++k)
        ASSERT_NEAR((*found)[i].at(k), (*expected)[i].at(k),
                    2e-5 * (1 + std::abs((*expected)[i].at(k))))
            << "output " << i << " element " << k;
    }
  }
}

class ExecutorRuns : public testing::TestWithParam<Execution> {};

TEST_P(ExecutorRuns, ABlockOfAnyLength) {
  for (const int64_t tokens : {1, 5, 130}) {
    compare(kBlock,
            {filled(ir::Type::f32, {tokens, 64}, 1), filled(ir::Type::f32, {tokens, 64}, 2),
             filled(ir::Type::f32, {64}, 3), filled(ir::Type::f32, {tokens, 64}, 4)},
            GetParam(), 2);
  }
}

// Longer than any fragment may be, and deeper: several kernels, each as long as one may be.
TEST_P(ExecutorRuns, ALongChain) {
  std::string text = "graph chain(%x: f32[tokens, 8]) -> (%v99) {\n  %v0 = abs(%x)\n";
  for (int i = 1; i < 100; ++i)
    text += fmt::format("  %v{} = {}(%v{})\n", i, i % 3 == 0 ? "silu" : "neg", i - 1);
  compare(text + "}\n", {filled(ir::Type::f32, {5, 8}, 1)}, GetParam(), 4);
}

TEST_P(ExecutorRuns, HeadNormAndRotation) {
  compare(kHeads,
          {filled(ir::Type::f32, {9, 4, 32}, 1), filled(ir::Type::f32, {32}, 2),
           filled(ir::Type::i32, {3, 9}, 3)},
          GetParam(), 1);
}

TEST_P(ExecutorRuns, AGatedMlp) {
  for (const int64_t tokens : {1, 5, 130}) {
    std::vector<ir::Tensor> inputs = {filled(ir::Type::f32, {tokens, 64}, 1)};
    for (const auto& shape :
         std::vector<std::vector<int64_t>>{{97, 64}, {97, 64}, {64, 97}, {64}, {64}, {64, 5}}) {
      inputs.push_back(filled(ir::Type::f32, shape, static_cast<int>(inputs.size()) + 1));
      // Small weights: sums of 64 such regular values cancel, and rounding shows.
      ir::Tensor& tensor = inputs.back();
      for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, tensor.at(i) / 16);
    }
    compare(kMlp, inputs, GetParam(), 4);
  }
}

TEST_P(ExecutorRuns, QuantisedProducts) {
  const auto run = [&](const char* outputs, const std::vector<ir::Tensor>& inputs, size_t kernels) {
    std::string text = "graph mlp" + std::string(kQuantised);
    text.insert(text.find("-> ") + 3, outputs);
    auto graph = ir::graph::parse(text);
    EXPECT_TRUE(graph.has_value()) << graph.error().message;
    const auto oracle = ir::graph::evaluate(*graph, inputs);
    EXPECT_TRUE(oracle.has_value());
    LibraryOptions options;
    options.store = "none";
    options.threads = 2;
    auto executor = Executor::create(std::move(*graph), *KernelLibrary::open(options), GetParam());
    EXPECT_EQ(kernels_of(*(*executor)->steps(inputs)), kernels);
    const auto found = (*executor)->run(inputs);
    EXPECT_TRUE(found.has_value()) << found.error().message;
    // Values at the edge of a code may fall to the other side of it.
    for (int64_t i = 0; i < found->front().elements(); ++i)
      EXPECT_NEAR(found->front().at(i), oracle->front().at(i), 0.005);
    return found->front();
  };
  for (const int64_t tokens : {1, 5, 130}) {
    std::vector<ir::Tensor> inputs = {filled(ir::Type::f32, {tokens, 64}, 1),
                                      filled(ir::Type::f32, {tokens, 64}, 2)};
    for (const auto& [type, n, k] :
         {std::tuple{ir::Type::q8_0, 96, 64}, std::tuple{ir::Type::q8_0, 96, 64},
          std::tuple{ir::Type::q4_0, 64, 96}}) {
      ir::Tensor values = filled(ir::Type::f32, {n, k}, static_cast<int>(inputs.size()));
      for (int64_t i = 0; i < values.elements(); ++i) values.set(i, values.at(i) / 16);
      inputs.emplace_back(type, std::vector<int64_t>{n, k});
      ir::quantize(type, values.as<float>(), inputs.back().data());
    }
    inputs.push_back(filled(ir::Type::bf16, {64}, 6));
    inputs.push_back(filled(ir::Type::f32, {64}, 7));
    // The bias as f32; residual and norm; gate and up; down and residual. Then two that quantise.
    const ir::Tensor fused = run("(%y)", inputs, 4);
    const ir::Tensor apart = run("(%y, %n, %a)", inputs, 6);
    for (int64_t i = 0; i < fused.elements(); ++i) ASSERT_EQ(fused.at(i), apart.at(i)) << i;
  }
}

TEST_P(ExecutorRuns, WeightsOfSixteenBits) {
  for (const char* type : {"f16", "bf16"}) {
    const ir::Type element = *ir::parse_type(type);
    compare(
        fmt::format("graph g(%x: f32[tokens, 40], %w: {0}[33, 40], %b: {0}[33]) -> (%y) {{\n"
                    "  %l = linear(%x, %w, %b)\n  %y = relu(%l)\n}}\n",
                    type),
        {filled(ir::Type::f32, {7, 40}, 1), filled(element, {33, 40}, 2), filled(element, {33}, 3)},
        GetParam(), 2);
  }
}

// Batches that are equal, shared from the right or from the left; vectors on either side.
TEST_P(ExecutorRuns, ProductsOfTwoVariableSides) {
  using Sizes = std::vector<int64_t>;
  struct Sides {
    Sizes a, b;
  };
  for (const Sides& sides :
       {Sides{{2, 3, 8}, {2, 8, 3}}, Sides{{2, 5, 3, 8}, {2, 5, 8, 17}},
        Sides{{2, 5, 3, 8}, {2, 1, 8, 17}}, Sides{{2, 5, 3, 8}, {1, 1, 8, 17}},
        Sides{{3, 8}, {4, 8, 9}}, Sides{{1, 3, 8}, {2, 2, 8, 9}}, Sides{{8}, {8}},
        Sides{{8}, {3, 8, 5}}, Sides{{2, 5, 3, 8}, {8}}, Sides{{4, 8}, {8}}}) {
    compare(fmt::format("graph g(%a: f32[{}], %b: f32[{}]) -> (%y) {{\n  %y = matmul(%a, %b)\n}}\n",
                        fmt::join(sides.a, ", "), fmt::join(sides.b, ", ")),
            {filled(ir::Type::f32, sides.a, 1), filled(ir::Type::f32, sides.b, 2)}, GetParam(), 1);
  }
}

// Transposes are read in place; a scale, a bias for all rows and a residual follow in the kernel.
TEST_P(ExecutorRuns, ProductsOfTransposedSides) {
  constexpr std::string_view kText = R"(
graph g(%q: f32[4, tokens, 16], %k: f32[4, 21, 16], %r: f32[4, tokens, 21], %c: f32[21], %v: f32[21, 9], %m: f32[9, 21]) -> (%y, %o, %p) {
  %t = transpose(%k) {perm = [0, 2, 1]}
  %s = matmul(%q, %t)
  %scale = constant() {value = 0.25, type = f32, shape = []}
  %scaled = mul(%s, %scale)
  %biased = add(%scaled, %c)
  %y = add(%r, %biased)
  %u = transpose(%r) {perm = [0, 2, 1]}
  %o = matmul(%u, %q)
  %w = transpose(%m) {perm = [1, 0]}
  %p = matmul(%y, %w)
}
)";
  for (const int64_t tokens : {1, 19}) {
    compare(kText,
            {filled(ir::Type::f32, {4, tokens, 16}, 1), filled(ir::Type::f32, {4, 21, 16}, 2),
             filled(ir::Type::f32, {4, tokens, 21}, 3), filled(ir::Type::f32, {21}, 4),
             filled(ir::Type::f32, {21, 9}, 5), filled(ir::Type::f32, {9, 21}, 6)},
            GetParam(), 3);
  }
}

// What the family does not compute stays with the reference interpreter.
TEST_P(ExecutorRuns, ProductsThatNoKernelComputes) {
  compare(
      "graph g(%a: f32[2, 1, tokens, 8], %b: f32[1, 3, 8, 3]) -> (%y) {\n"
      "  %y = matmul(%a, %b)\n}\n",
      {filled(ir::Type::f32, {2, 1, 3, 8}, 1), filled(ir::Type::f32, {1, 3, 8, 3}, 2)}, GetParam(),
      0);
}

ir::Tensor integers(std::vector<int64_t> shape, const std::vector<int32_t>& values) {
  ir::Tensor tensor(ir::Type::i32, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

ir::Tensor quantised(std::vector<int64_t> shape, int seed) {
  const ir::Tensor values = filled(ir::Type::f32, shape, seed);
  ir::Tensor blocks(ir::Type::q8_0, std::move(shape));
  ir::quantize(ir::Type::q8_0, values.as<float>(), blocks.data());
  return blocks;
}

// A cache of pages, of blocks or of both is read where it lies, by the one kernel that there is:
// heads in either order.
TEST_P(ExecutorRuns, CachesOfPagesAndBlocks) {
  const std::string rest =
      "  %ks = gather_pages(%k, %table, %lengths)\n  %vs = gather_pages(%v, %table, %lengths)\n"
      "  %y = attention(%q, %ks, %vs, _, _, _, %lengths) {causal = end}\n}\n";
  const ir::Tensor table = integers({2, 3}, {4, 0, 5, 2, -1, -1}), lengths = integers({2}, {11, 3});
  const ir::Tensor q = filled(ir::Type::f32, {2, 2, 4, 32}, 1);
  const auto graph = [](const std::string& pool, const std::string& outputs) {
    return "graph g(%q: f32[batch, 2, 4, 32], %k: " + pool + ", %v: " + pool +
           ", %table: i32[batch, most], %lengths: i32[batch]) -> (" + outputs + ") {\n";
  };
  compare(graph("f32[pages, 4, 2, 32]", "%y") + rest,
          {q, filled(ir::Type::f32, {6, 4, 2, 32}, 2), filled(ir::Type::f32, {6, 4, 2, 32}, 3),
           table, lengths},
          GetParam(), 1);
  const std::vector<ir::Tensor> blocks = {q, quantised({6, 4, 2, 32}, 2),
                                          quantised({6, 4, 2, 32}, 3), table, lengths};
  compare(graph("q8_0[pages, 4, 2, 32]", "%y") + rest, blocks, GetParam(), 1);
  compare(graph("q8_0[pages, 4, 2, 32]", "%y") +
              "  %kd = dequantize(%k)\n  %vd = dequantize(%v)\n"
              "  %ks = gather_pages(%kd, %table, %lengths)\n"
              "  %vs = gather_pages(%vd, %table, %lengths)\n"
              "  %y = attention(%q, %ks, %vs, _, _, _, %lengths) {causal = end}\n}\n",
          blocks, GetParam(), 1);
  compare(
      "graph g(%q: f32[batch, 4, 2, 32], %k: q8_0[batch, 2, context, 32], %v: q8_0[batch, 2, "
      "context, "
      "64]) -> (%y) {\n  %kd = dequantize(%k)\n  %vd = dequantize(%v)\n"
      "  %y = attention(%q, %kd, %vd) {causal = end, layout = heads_tokens}\n}\n",
      {filled(ir::Type::f32, {2, 4, 2, 32}, 1), quantised({2, 2, 9, 32}, 2),
       quantised({2, 2, 9, 64}, 3)},
      GetParam(), 1);
}

// Where something else reads the rows, too, or they are not those that the lengths count, they are
// put together first.
TEST_P(ExecutorRuns, CachesThatAreReadElsewhere) {
  const std::string inputs =
      "(%q: f32[batch, 1, 4, 32], %k: f32[pages, 4, 2, 32], %v: f32[pages, 4, 2, 32], %table: "
      "i32[batch, most], %lengths: i32[batch]) -> ";
  const std::vector<ir::Tensor> tensors = {
      filled(ir::Type::f32, {2, 1, 4, 32}, 1), filled(ir::Type::f32, {6, 4, 2, 32}, 2),
      filled(ir::Type::f32, {6, 4, 2, 32}, 3), integers({2, 3}, {4, 0, 5, 2, 1, 1}),
      integers({2}, {11, 3})};
  for (const char* text :
       {"(%y, %ks) {\n  %ks = gather_pages(%k, %table, %lengths)\n"
        "  %vs = gather_pages(%v, %table, %lengths)\n"
        "  %y = attention(%q, %ks, %vs, _, _, _, %lengths)\n}\n",
        "(%y) {\n  %ks = gather_pages(%k, %table)\n  %vs = gather_pages(%v, %table, %lengths)\n"
        "  %y = attention(%q, %ks, %vs, _, _, _, %lengths)\n}\n"})
    compare("graph g" + inputs + text, tensors, GetParam(), 1);
}

// The parts of a long context are merged in order, whoever computed them.
TEST(ExecutorThreads, CachesGiveTheSameBitsForAnyNumberOfThreads) {
  const auto graph = ir::graph::parse(
      "graph g(%q: f32[batch, 1, 4, 32], %k: q8_0[pages, 16, 2, 32], %v: q8_0[pages, 16, 2, 32], "
      "%table: i32[batch, most], %lengths: i32[batch]) -> (%y) {\n"
      "  %ks = gather_pages(%k, %table, %lengths)\n  %vs = gather_pages(%v, %table, %lengths)\n"
      "  %y = attention(%q, %ks, %vs, _, _, _, %lengths) {causal = end}\n}\n");
  ASSERT_TRUE(graph) << graph.error().message;
  constexpr int kMost = 70;
  std::vector<int32_t> table;
  for (int32_t i = 0; i < 2 * kMost; ++i) table.push_back(i * 37 % (2 * kMost));
  const std::vector<ir::Tensor> inputs = {filled(ir::Type::f32, {2, 1, 4, 32}, 1),
                                          quantised({2 * kMost, 16, 2, 32}, 2),
                                          quantised({2 * kMost, 16, 2, 32}, 3),
                                          integers({2, kMost}, table), integers({2}, {1100, 300})};
  std::vector<ir::Tensor> first;
  for (const int threads : {1, 2, 8}) {
    LibraryOptions options;
    options.store = "none";
    options.threads = threads;
    auto library = KernelLibrary::open(options);
    ASSERT_TRUE(library) << library.error().message;
    auto executor = Executor::create(*graph, *library);
    ASSERT_TRUE(executor) << executor.error().message;
    auto found = (*executor)->run(inputs);
    ASSERT_TRUE(found) << found.error().message;
    if (first.empty()) first = *found;
    EXPECT_EQ(
        std::memcmp(first[0].data(), (*found)[0].data(), static_cast<size_t>(first[0].bytes())), 0)
        << threads;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExecutorRuns,
                         testing::Values(Execution::native, Execution::interpreted),
                         [](const auto& info) {
                           return info.param == Execution::native ? "native" : "interpreted";
                         });

TEST(ExecutorErrors, InputsThatDoNotFit) {
  auto graph = ir::graph::parse(kBlock);
  ASSERT_TRUE(graph.has_value());
  LibraryOptions options;
  options.store = "none";
  auto library = KernelLibrary::open(options);
  ASSERT_TRUE(library.has_value());
  auto executor = Executor::create(std::move(*graph), *library);
  ASSERT_TRUE(executor.has_value());
  const std::vector<ir::Tensor> inputs = {
      filled(ir::Type::f32, {3, 64}, 1), filled(ir::Type::f32, {4, 64}, 2),
      filled(ir::Type::f32, {64}, 3), filled(ir::Type::f32, {3, 64}, 4)};
  const auto found = (*executor)->run(inputs);
  ASSERT_FALSE(found.has_value());
  EXPECT_NE(found.error().message.find("r"), std::string::npos);
}

}  // namespace
}  // namespace lathe::runtime
