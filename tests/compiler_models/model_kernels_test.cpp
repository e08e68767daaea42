// The kernel lists: complete, without repeats, buildable for every built-in model.
#include "compiler/models/model_kernels.h"

#include <algorithm>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "compiler/family.h"
#include "ir/target.h"

namespace lathe::compiler::models {
namespace {

int64_t launches_of(const std::vector<ModelKernel>& kernels, std::string_view line) {
  for (const ModelKernel& kernel : kernels)
    if (kernel.problem.line() == line) return kernel.launches;
  return 0;
}

TEST(ModelKernels, EveryBuiltInModelInEveryWeightType) {
  for (const std::string& name : builtin_models()) {
    const auto model = load_model(name);
    ASSERT_TRUE(model.has_value());
    for (const std::string weights : {"f32", "f16", "bf16", "i8", "q8_0", "q4_0", "q4_K"}) {
      Workload workload;
      workload.weights = weights;
      const auto kernels = model_kernels(*model, workload);
      ASSERT_TRUE(kernels.has_value()) << name << " " << weights << ": " << kernels.error().message;
      std::set<std::string> seen, families;
      for (const ModelKernel& kernel : *kernels) {
        EXPECT_TRUE(seen.insert(kernel.problem.line() + print(kernel.at)).second)
            << kernel.problem.line();
        families.insert(kernel.problem.family().name);
        EXPECT_GE(kernel.launches, 1);
        EXPECT_FALSE(kernel.where.empty());
      }
      for (const char* family :
           {"embedding", "rms_norm", "layer_norm", "rope", "swiglu", "gelu", "elementwise"})
        EXPECT_EQ(families.count(family), 1U) << family;
      EXPECT_EQ(families.count("quantize"), weights[0] == 'q' ? 1U : 0U);
    }
  }
}

TEST(ModelKernels, DefaultSchedulesBuild) {
  const auto model = load_model("qwen3-vl-8b");
  ASSERT_TRUE(model.has_value());
  Workload workload;
  workload.tokens = {1, 512};
  const auto target = ir::parse_target("avx2");
  workload.target = *target;
  const auto kernels = model_kernels(*model, workload);
  ASSERT_TRUE(kernels.has_value());
  for (const ModelKernel& kernel : *kernels) {
    const Family& family = kernel.problem.family();
    const auto plan = family.build(
        kernel.problem, family.space(kernel.problem, *target).default_schedule(), *target);
    EXPECT_TRUE(plan.has_value()) << kernel.problem.line() << ": " << plan.error().message;
  }
}

TEST(ModelKernels, LaunchesOfOnePass) {
  const auto model = load_model("qwen3-vl-2b");
  Workload workload;
  workload.tokens = {16};
  const auto kernels = model_kernels(*model, workload);
  ASSERT_TRUE(kernels.has_value());
  const auto launches = [&](std::string_view line) { return launches_of(*kernels, line); };
  EXPECT_EQ(launches("swiglu rows=8..31 width=6144"), 28);
  EXPECT_EQ(launches("rms_norm rows=8..31 width=2048 prologue=add(x,r) keep=true"), 56);
  EXPECT_EQ(launches("rope rows=512..2047 kind=vision heads=16 dim=64"), 48);
  EXPECT_EQ(launches("linear rows=8..31 n=4096 k=2048 weight=bf16"), 28);
  EXPECT_EQ(launches("linear rows=8..31 n=2048 k=2048 weight=bf16"), 28);
  EXPECT_EQ(
      launches("linear rows=8..31 n=6144 k=2048 weight=bf16 pair=true epilogue=mul(silu(y),z)"),
      28);
  EXPECT_EQ(launches("linear rows=8..31 n=2048 k=6144 weight=bf16"), 28);
  EXPECT_EQ(launches("linear rows=1 n=151936 k=2048 weight=bf16"), 1);
  EXPECT_EQ(launches("linear rows=512..2047 n=3072 k=1024 weight=bf16 epilogue=add(y,vec(b))"), 24);
}

// Over the longest context attention is a part of its pass, over another one a part by itself.
TEST(ModelKernels, AttentionOverAShorterContextBelongsToThePass) {
  const auto model = load_model("qwen3-vl-2b");
  Workload workload;
  workload.tokens = {1, 512};
  workload.context = {512, 4096};
  const auto kernels = model_kernels(*model, workload);
  ASSERT_TRUE(kernels.has_value());
  std::vector<std::string> found;
  for (const ModelKernel& kernel : *kernels)
    if (kernel.problem.has("kv_layout") && kernel.pass != "image")
      found.push_back(fmt::format("{}: {} of '{}'", kernel.where, kernel.pass, kernel.part_of));
  EXPECT_EQ(found, (std::vector<std::string>{
                       "text: attention over 4096 keys: 1 token of ''",
                       "text: attention over 512 keys: attention of 1 token over 512 keys of "
                       "'1 token'",
                       "text: attention over 512 keys: 512 tokens of ''"}));
}

TEST(ModelKernels, WeightsAreLaidOutForTheTarget) {
  const auto model = load_model("qwen3-vl-2b");
  Workload workload;
  workload.tokens = {1};
  for (const auto& [target, weights, panel] :
       {std::tuple{"avx2", "bf16", 24}, std::tuple{"avx2", "q4_0", 16},
        std::tuple{"avx512", "bf16", 32}, std::tuple{"sse", "f32", 16}}) {
    workload.target = *ir::parse_target(target);
    workload.weights = weights;
    const auto kernels = model_kernels(*model, workload);
    ASSERT_TRUE(kernels.has_value()) << kernels.error().message;
    const auto down = std::find_if(kernels->begin(), kernels->end(), [](const ModelKernel& kernel) {
      return kernel.where == "text: down";
    });
    ASSERT_NE(down, kernels->end());
    EXPECT_EQ(down->problem.integer("panel"), panel) << target << " " << weights;
  }
}

// What quantised weights multiply comes quantised from the kernel before.
TEST(ModelKernels, QuantisedWeightsReadBlocks) {
  const auto model = load_model("qwen3-vl-2b");
  Workload workload;
  workload.tokens = {16};
  workload.weights = "q4_0";
  const auto kernels = model_kernels(*model, workload);
  ASSERT_TRUE(kernels.has_value());
  const auto launches = [&](std::string_view line) { return launches_of(*kernels, line); };
  EXPECT_EQ(launches("rms_norm rows=8..31 width=2048 out=q8_0"), 1);
  EXPECT_EQ(launches("rms_norm rows=8..31 width=2048 out=q8_0 prologue=add(x,r) keep=true"), 56);
  EXPECT_EQ(launches("linear rows=8..31 n=4096 k=2048 type=q8_0 weight=q4_0"), 28);
  EXPECT_EQ(launches("quantize rows=8..31 width=2048"), 28);
  EXPECT_EQ(launches("linear rows=8..31 n=2048 k=2048 type=q8_0 weight=q4_0"), 28);
  EXPECT_EQ(launches("linear rows=8..31 n=6144 k=2048 type=q8_0 out=q8_0 weight=q4_0 pair=true "
                     "epilogue=mul(silu(y),z)"),
            28);
  EXPECT_EQ(launches("linear rows=8..31 n=2048 k=6144 type=q8_0 weight=q4_0"), 28);
  EXPECT_EQ(launches("linear rows=1 n=151936 k=2048 type=q8_0 weight=q4_0"), 1);
}

TEST(ModelKernels, WithoutAnImageThereIsNoVision) {
  const auto model = load_model("qwen3-vl-2b");
  Workload workload;
  workload.image_height = workload.image_width = 0;
  const auto kernels = model_kernels(*model, workload);
  ASSERT_TRUE(kernels.has_value());
  EXPECT_TRUE(std::none_of(kernels->begin(), kernels->end(), [](const auto& kernel) {
    return kernel.where.rfind("vision", 0) == 0;
  }));
}

TEST(ModelKernelsErrors, AreNamed) {
  const auto model = load_model("qwen3-vl-2b");
  const auto message = [&](const Workload& workload) {
    const auto kernels = model_kernels(*model, workload);
    return kernels ? std::string() : kernels.error().message;
  };
  Workload workload;
  workload.image_width = 450;
  EXPECT_NE(message(workload).find("multiples of 32"), std::string::npos);
  workload = {};
  workload.weights = "i32";
  EXPECT_NE(message(workload).find("expected f32, f16"), std::string::npos);
  workload.weights = "q5_1";
  EXPECT_NE(message(workload).find("q5_1"), std::string::npos);
  workload = {};
  workload.tokens = {0};
  EXPECT_NE(message(workload).find("at least 1"), std::string::npos);
}

}  // namespace
}  // namespace lathe::compiler::models
