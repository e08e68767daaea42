// Graphs that write into caches: in one kernel with norm and rotation, in place where nobody needs
// the cache as it was, and not a bit elsewhere.
#include <cmath>
#include <cstring>
#include <utility>

#include <gtest/gtest.h>

#include "ir/gguf_blocks.h"
#include "ir/graph/reference.h"
#include "ir/graph/text.h"
#include "runtime/graph/executor.h"

namespace lathe::runtime {
namespace {

using ir::Tensor;
using ir::Type;

Tensor waves(Type type, std::vector<int64_t> shape, int seed) {
  Tensor tensor(type, std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, std::sin(0.37 * static_cast<double>(i + 100 * seed)));
  return tensor;
}

Tensor numbers(Type type, std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  Tensor tensor(type, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i)
    tensor.set(static_cast<int64_t>(i), static_cast<double>(values[i]));
  return tensor;
}

class CachesOfGraphs : public testing::TestWithParam<Execution> {
 protected:
  void load(const std::string& text) {
    auto graph = ir::graph::parse(text);
    ASSERT_TRUE(graph.has_value()) << graph.error().message;
    graph_ = *graph;
    LibraryOptions options;
    options.store = "none";
    options.threads = 2;
    auto library = KernelLibrary::open(options);
    ASSERT_TRUE(library.has_value()) << library.error().message;
    auto executor = Executor::create(std::move(*graph), *library, GetParam());
    ASSERT_TRUE(executor.has_value()) << executor.error().message;
    executor_ = std::move(*executor);
  }

  // Kernels of the run, and how many steps the reference interpreter does.
  std::string steps(const std::vector<Tensor>& inputs) {
    const auto steps = executor_->steps(inputs);
    EXPECT_TRUE(steps.has_value()) << steps.error().message;
    int kernels = 0, interpreted = 0;
    for (const ExecutionStep& step : *steps) {
      interpreted += step.interpreted ? 1 : 0;
      kernels += !step.interpreted && step.what != "view" ? 1 : 0;
    }
    return fmt::format("{} kernels, {} interpreted", kernels, interpreted);
  }

  // Output `cache` within `limit` of the oracle, and to the bit as input `before` where the oracle
  // keeps that.
  void check(const std::vector<Tensor>& inputs, const std::vector<Tensor>& found, double limit) {
    const auto expected = ir::graph::evaluate(graph_, inputs);
    ASSERT_TRUE(expected.has_value()) << expected.error().message;
    ASSERT_EQ(found.size(), expected->size());
    for (size_t k = 0; k < found.size(); ++k) {
      ASSERT_EQ(found[k].shape(), (*expected)[k].shape());
      for (int64_t i = 0; i < found[k].elements(); ++i)
        ASSERT_NEAR(found[k].at(i), (*expected)[k].at(i), limit) << "output " << k << " at " << i;
    }
  }

  ir::graph::Graph graph_;
  std::unique_ptr<Executor> executor_;
};

constexpr const char* kDecode =
    "graph g(%x: f32[tokens, 4, 32], %w: f32[32], %t: f32[64, 16], %s: f32[64, 16], %p: "
    "i32[tokens], %v: f32[tokens, 4, 32], %k: bf16[slots, 4, 32], %c: bf16[slots, 4, 32], %i: "
    "i32[tokens]) -> (%kn, %vn) {\n"
    "  %n = rms_norm(%x, %w)\n  %r = rope(%n, %t, %s, %p)\n  %b = cast(%r) {type = bf16}\n"
    "  %kn = write_cache(%k, %b, %i)\n  %d = cast(%v) {type = bf16}\n"
    "  %vn = write_cache(%c, %d, %i)\n}\n";

std::vector<Tensor> decode_inputs() {
  return {waves(Type::f32, {3, 4, 32}, 1),     waves(Type::f32, {32}, 2),
          waves(Type::f32, {64, 16}, 3),       waves(Type::f32, {64, 16}, 4),
          numbers(Type::i32, {3}, {7, 63, 0}), waves(Type::f32, {3, 4, 32}, 5),
          waves(Type::bf16, {9, 4, 32}, 6),    waves(Type::bf16, {9, 4, 32}, 7),
          numbers(Type::i32, {3}, {8, -1, 2})};
}

TEST_P(CachesOfGraphs, NormRotationAndWriteAreOneKernel) {
  load(kDecode);
  const std::vector<Tensor> inputs = decode_inputs();
  EXPECT_EQ(steps(inputs), "2 kernels, 0 interpreted");
  const auto found = executor_->run(inputs);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  check(inputs, *found, 0.02);
  // The caller's caches are as they were; the outputs are them but for the slots 8 and 2.
  const std::vector<Tensor> again = decode_inputs();
  for (const size_t cache : {6U, 7U}) {
    const Tensor& now = (*found)[cache - 6];
    EXPECT_EQ(std::memcmp(inputs[cache].data(), again[cache].data(),
                          static_cast<size_t>(inputs[cache].bytes())),
              0);
    const auto entry = static_cast<std::ptrdiff_t>(4 * 32 * 2);
    for (int slot = 0; slot < 9; ++slot) {
      const bool is_same =
          std::memcmp(now.data() + slot * entry, again[cache].data() + slot * entry,
                      static_cast<size_t>(entry)) == 0;
      EXPECT_EQ(is_same, slot != 8 && slot != 2) << slot;
    }
  }
}

TEST_P(CachesOfGraphs, InPlaceWhereTheCallerGivesTheCacheAway) {
  load(kDecode);
  std::vector<Tensor> given = decode_inputs();
  const std::byte* const keys = given[6].data();
  const std::byte* const values = given[7].data();
  const auto found = executor_->run(std::move(given));
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ((*found)[0].data(), keys) << "not the memory that was given";
  EXPECT_EQ((*found)[1].data(), values);
  check(decode_inputs(), *found, 0.02);
}

// Written into twice, read between, pages in another shape; the cache that came in is wanted, too.
TEST_P(CachesOfGraphs, WhatIsStillReadStays) {
  load(
      "graph g(%c: f32[4, 2, 3, 8], %r: f32[2, 3, 8], %i: i64[2], %j: i64[2]) -> (%y, %z, %w) {\n"
      "  %f = reshape(%c) {shape = [8, 3, 8]}\n  %a = write_cache(%f, %r, %i)\n"
      "  %z = softmax(%a)\n  %b = write_cache(%a, %r, %j)\n"
      "  %y = reshape(%b) {shape = [4, 2, 3, 8]}\n  %w = softmax(%f)\n}\n");
  const auto inputs = [] {
    return std::vector<Tensor>{waves(Type::f32, {4, 2, 3, 8}, 1), waves(Type::f32, {2, 3, 8}, 2),
                               numbers(Type::i64, {2}, {3, 0}), numbers(Type::i64, {2}, {-1, 7})};
  };
  EXPECT_EQ(steps(inputs()), "4 kernels, 0 interpreted");
  for (const bool gives_away : {false, true}) {
    std::vector<Tensor> given = inputs();
    const auto found =
        gives_away ? executor_->run(std::move(given)) : executor_->run(std::as_const(given));
    ASSERT_TRUE(found.has_value()) << found.error().message;
    check(inputs(), *found, 1e-5);
  }
}

// Blocks, heads before tokens, items of a batch, each with positions of its own or shared ones.
TEST_P(CachesOfGraphs, CachesOfEveryForm) {
  const Tensor rows = waves(Type::f32, {2, 3, 2, 32}, 1);
  const auto blocks = [](std::vector<int64_t> shape) {
    const Tensor values = waves(Type::f32, shape, 9);
    Tensor tensor(Type::q8_0, std::move(shape));
    ir::quantize(Type::q8_0, values.as<float>(), tensor.data());
    return tensor;
  };
  const auto run = [&](const std::string& text, const std::vector<Tensor>& inputs, double limit) {
    load(text);
    EXPECT_EQ(steps(inputs), "1 kernels, 0 interpreted") << text;
    const auto found = executor_->run(inputs);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    check(inputs, *found, limit);
  };
  const Tensor each = numbers(Type::i32, {2, 3}, {4, 0, -1, 2, 4, 3});
  const Tensor shared = numbers(Type::i32, {3}, {4, 0, 3});
  run("graph g(%c: q8_0[2, 5, 2, 32], %r: f32[2, 3, 2, 32], %i: i32[2, 3]) -> (%y) {\n"
      "  %q = quantize(%r) {type = q8_0}\n  %y = write_cache(%c, %q, %i)\n}\n",
      {blocks({2, 5, 2, 32}), rows, each}, 0);
  run("graph g(%c: f16[2, 2, 5, 32], %r: f32[2, 3, 2, 32], %i: i32[3]) -> (%y) {\n"
      "  %h = cast(%r) {type = f16}\n  %t = transpose(%h) {perm = [0, 2, 1, 3]}\n"
      "  %y = write_cache(%c, %t, %i) {layout = heads_tokens}\n}\n",
      {waves(Type::f16, {2, 2, 5, 32}, 3), rows, shared}, 0);
  run("graph g(%c: f32[2, 5, 32], %r: f32[2, 3, 32], %i: i32[3]) -> (%y) {\n"
      "  %y = write_cache(%c, %r, %i) {layout = heads_tokens}\n}\n",
      {waves(Type::f32, {2, 5, 32}, 3), waves(Type::f32, {2, 3, 32}, 4), shared}, 0);
  run("graph g(%c: f32[2, 5, 2, 32], %x: f32[2, 3, 2, 32], %t: f32[64, 16], %p: i32[2, 3], %i: "
      "i32[2, 3]) -> (%y) {\n"
      "  %r = rope(%x, %t, %t, %p)\n  %y = write_cache(%c, %r, %i)\n}\n",
      {waves(Type::f32, {2, 5, 2, 32}, 3), rows, waves(Type::f32, {64, 16}, 4),
       numbers(Type::i32, {2, 3}, {1, 2, 3, 40, 50, 60}), each},
      1e-5);
}

TEST_P(CachesOfGraphs, PositionsAreCheckedBeforeAnythingIsWritten) {
  load(kDecode);
  std::vector<Tensor> inputs = decode_inputs();
  inputs.back() = numbers(Type::i32, {3}, {8, 2, 8});
  const auto found = executor_->run(inputs);
  ASSERT_FALSE(found.has_value());
  EXPECT_NE(found.error().message.find("'slots': found 8 at [2], as at [0]"), std::string::npos)
      << found.error().message;
}

INSTANTIATE_TEST_SUITE_P(Executions, CachesOfGraphs,
                         testing::Values(Execution::native, Execution::interpreted),
                         [](const auto& instance) {
                           return instance.param == Execution::native ? "native" : "interpreted";
                         });

}  // namespace
}  // namespace lathe::runtime
