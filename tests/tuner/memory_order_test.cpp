// Operands lie as their problem says: when they are laid out, checked and timed.
#include "tuner/memory_order.h"

#include <gtest/gtest.h>

#include "compiler/sizes.h"
#include "tests/tuner/kernels.h"
#include "tuner/check.h"
#include "tuner/race_buffers.h"

namespace lathe::tuner {
namespace {

using Strides = std::vector<int64_t>;

Strides strides_of(const TensorView& view) { return {view.strides, view.strides + view.rank}; }

// Of any type: what its bytes mean does not matter here.
ir::Tensor counted(const std::vector<int64_t>& shape, ir::Type type) {
  ir::Tensor tensor(type, shape);
  for (int64_t i = 0; i < tensor.bytes(); ++i) tensor.data()[i] = static_cast<std::byte>(i % 251);
  return tensor;
}

TEST(MemoryOrder, Strides) {
  EXPECT_EQ(strides_in({}, {2, 3, 4, 5}), (Strides{60, 20, 5, 1}));
  EXPECT_EQ(strides_in({0, 2, 1, 3}, {2, 3, 4, 5}), (Strides{60, 5, 15, 1}));
  EXPECT_EQ(strides_in({0, 2, 1, 3}, {2, 3, 4, 5}, 3), (Strides{96, 8, 24, 1}));
  EXPECT_EQ(strides_in({}, {7}, 3), Strides{1});
  EXPECT_EQ(strides_in({}, {}), Strides{});
}

TEST(MemoryOrder, WhatIsLaidOutReadsBackTheSame) {
  for (const auto type : {ir::Type::f32, ir::Type::bf16, ir::Type::q8_0}) {
    const ir::TypeInfo& info = ir::info(type);
    for (const auto& shape : {Strides{2, 3, 4, 2 * info.block_elements}, Strides{1, 5, 1, 32},
                              Strides{2, 0, 4, 32}, Strides{3, 32}, Strides{32}}) {
      const ir::Tensor tensor = counted(shape, type);
      for (const std::vector<int>& order : {std::vector<int>{}, std::vector<int>{0, 2, 1, 3}}) {
        if (!order.empty() && shape.size() != 4) continue;
        for (const int64_t padding : {0, 2}) {
          const LaidOut laid_out = lay_out(tensor, order, padding * info.block_elements);
          const ir::Tensor back = row_major(laid_out.view);
          ASSERT_EQ(back.shape(), tensor.shape());
          EXPECT_TRUE(std::equal(back.data(), back.data() + back.bytes(), tensor.data()));
        }
      }
    }
  }
}

// Of two tokens and two heads of one number each, the second head of the first token comes third.
TEST(MemoryOrder, HeadsFirstIsAnotherOrder) {
  ir::Tensor tensor(ir::Type::f32, {1, 2, 2, 1});
  for (int64_t i = 0; i < 4; ++i) tensor.set(i, static_cast<double>(i));
  const LaidOut laid_out = lay_out(tensor, {0, 2, 1, 3}, 0);
  const auto* floats = static_cast<const float*>(laid_out.view.data);
  EXPECT_EQ(std::vector<float>(floats, floats + 4), (std::vector<float>{0, 2, 1, 3}));
}

// Contiguous, in pages, as factors: k and v of as many keys lie as the problem says, q as always.
TEST(MemoryOrder, CachesAreTimedAsTheirProblemSays) {
  struct Case {
    std::string line;
    compiler::Sizes given;
    std::vector<std::pair<size_t, Strides>> strides;  ///< of operands by their place
  };
  for (const auto& [line, given, strides] : std::initializer_list<Case>{
           {"attention_decode context=300 heads=6 kv_heads=3 dim=8",
            {{"context", 300}, {"batch", 2}},
            {{0, {48, 48, 8, 1}}, {1, {7200, 24, 8, 1}}, {2, {7200, 24, 8, 1}}}},
           {"attention_decode context=300 heads=6 kv_heads=3 dim=8 kv_layout=hnd",
            {{"context", 300}, {"batch", 2}},
            {{0, {48, 48, 8, 1}}, {1, {7200, 8, 2400, 1}}, {2, {7200, 8, 2400, 1}}}},
           {"attention_decode context=300 heads=6 kv_heads=3 dim=8 kv_layout=hnd lengths=true "
            "cache=paged page=16",
            {{"context", 300}},
            {{1, {384, 8, 128, 1}}, {2, {384, 8, 128, 1}}}},
           {"attention_prefill tokens=40 heads=6 kv_heads=3 dim=8 kv_layout=hnd",
            {{"tokens", 40}, {"context", 40}},
            {{0, {1920, 48, 8, 1}}, {1, {960, 8, 320, 1}}, {2, {960, 8, 320, 1}}}},
           {"attention_low_rank context=300 heads=6 kv_heads=3 dim=8 rank=4 recent=5 kv_layout=hnd",
            {{"context", 300}},
            {{1, {3600, 4, 1200, 1}}, {3, {32, 8, 1}}, {5, {120, 8, 40, 1}}}}}) {
    const auto kernel = compile(line);
    const auto sizes = compiler::complete_sizes(kernel->problem, given);
    ASSERT_TRUE(sizes) << sizes.error().message;
    SharedInputs inputs;
    const auto buffers = RaceBuffers::create(*kernel, *sizes, true, inputs, 2);
    ASSERT_TRUE(buffers) << buffers.error().message;
    for (size_t set = 0; set < 2; ++set) {
      const auto views = buffers->views(set, *kernel);
      ASSERT_TRUE(views) << views.error().message;
      for (const auto& [operand, expected] : strides)
        EXPECT_EQ(strides_of((*views)[operand]), expected) << line << ", operand " << operand;
    }
  }
}

// The same memory is the operands of either layout: a race of both has one set of buffers.
TEST(MemoryOrder, LayoutsRaceOnTheSameBuffers) {
  const std::string line = "attention_decode context=64 heads=4 kv_heads=2 dim=8";
  const auto beside = compile(line), behind = compile(line + " kv_layout=hnd");
  const compiler::Sizes sizes = {{"batch", 1}, {"tokens", 1}, {"context", 64}};
  SharedInputs inputs;
  const auto buffers = RaceBuffers::create(*beside, sizes, false, inputs);
  ASSERT_TRUE(buffers) << buffers.error().message;
  const auto one = buffers->views(0, *beside), other = buffers->views(0, *behind);
  ASSERT_TRUE(one && other);
  EXPECT_EQ((*one)[1].data, (*other)[1].data);
  EXPECT_EQ(strides_of((*one)[1]), (Strides{1024, 16, 8, 1}));
  EXPECT_EQ(strides_of((*other)[1]), (Strides{1024, 8, 512, 1}));
}

// What is checked lies so, too, at the small shape and at true size.
TEST(MemoryOrder, CachesAreCheckedAsTheirProblemSays) {
  const auto target = test_target();
  for (const char* line :
       {"attention_decode context=300 heads=6 kv_heads=3 dim=32 causal=end kv_layout=hnd",
        "attention_decode context=300 heads=6 kv_heads=3 dim=32 lengths=true causal=end "
        "kv_type=q8_0 kv_layout=hnd cache=paged page=16",
        "attention_prefill tokens=200 context=300 heads=6 kv_heads=3 dim=12 causal=end "
        "kv_layout=hnd",
        "attention_prefill tokens=200 context=90 heads=4 kv_heads=2 dim=12 kv_layout=hnd "
        "packed=queries lengths=true",
        "attention_block_sparse tokens=700 context=800 heads=4 kv_heads=4 dim=24 causal=end "
        "kv_layout=hnd block=32 kept=6",
        "attention_token_sparse context=300 heads=6 kv_heads=3 dim=16 kv_layout=hnd kept=6",
        "attention_low_rank context=300 heads=6 kv_heads=3 dim=16 kv_layout=hnd rank=8 recent=5"}) {
    const auto kernel = compile(line);
    compiler::Sizes given;
    for (const char* name : {"tokens", "context", "kept"})
      if (const auto sizes = compiler::sizes_named_in(line); sizes.contains(name))
        given[name] = sizes.at(name);
    const auto sizes = compiler::complete_sizes(kernel->problem, given);
    ASSERT_TRUE(sizes) << line << ": " << sizes.error().message;
    SharedInputs inputs;
    Checker checker(kernel->problem, *sizes, inputs);
    const Status interpreted = checker.check_interpreted(*kernel, *target.backend);
    EXPECT_TRUE(interpreted) << line << ": " << interpreted.error().message;
    auto pool = runtime::ThreadPool::create(2);
    ASSERT_TRUE(pool);
    const auto native = checker.check_native(*kernel, *target.backend, *pool);
    EXPECT_TRUE(native) << line << ": " << native.error().message;
  }
}

}  // namespace
}  // namespace lathe::tuner
