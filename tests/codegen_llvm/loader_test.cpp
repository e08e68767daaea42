// Loading objects: kernels that live side by side, and images that must not be run.
#include <cstring>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/target.h"
#include "ir/program/builder.h"
#include "support/hardware.h"

namespace lathe::codegen::llvm {
namespace {

using ::testing::HasSubstr;

// y[0] = value: a constant that comes from memory beside the code.
Result<KernelImage> constant_kernel(float value, const ir::Target& target = host_target()) {
  using namespace ir::program;  // NOLINT: one program is written here
  Builder b("constant", target);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  b.store(y, Span{}, b.constant(value));
  return make_backend()->compile(b.finish());
}

float call(const LoadedKernel& kernel) {
  alignas(64) float y[16] = {};
  const uint64_t slots[] = {reinterpret_cast<uint64_t>(y)};
  kernel.function()(slots);
  return y[0];
}

TEST(LlvmLoader, kernels_of_one_name_live_side_by_side) {
  const auto backend = make_backend();
  std::vector<std::unique_ptr<LoadedKernel>> kernels;
  for (int i = 0; i < 8; ++i) {
    const auto image = constant_kernel(static_cast<float>(i) + 0.25F);
    ASSERT_TRUE(image) << image.error().message;
    auto kernel = backend->load(*image);
    ASSERT_TRUE(kernel) << kernel.error().message;
    kernels.push_back(std::move(*kernel));
  }
  kernels.erase(kernels.begin() + 3);
  EXPECT_EQ(call(*kernels[0]), 0.25F);
  EXPECT_EQ(call(*kernels[3]), 4.25F);
  EXPECT_EQ(call(*kernels[6]), 7.25F);
}

TEST(LlvmLoader, threads_load_call_and_unload_at_once) {
  const auto image = constant_kernel(0.75F);
  ASSERT_TRUE(image);
  const auto backend = make_backend();
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i)
        if (const auto kernel = backend->load(*image)) right += call(**kernel) == 0.75F;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

TEST(LlvmLoader, maps_nothing_writable_and_executable) {
  const auto image = constant_kernel(0.5F);
  ASSERT_TRUE(image);
  const auto kernel = make_backend()->load(*image);
  ASSERT_TRUE(kernel);
  std::ifstream maps("/proc/self/maps");
  if (!maps) GTEST_SKIP() << "no /proc/self/maps here";
  const auto address = reinterpret_cast<uint64_t>((*kernel)->function());
  bool found = false;
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0, end = 0;
    char access[8] = {};
    ASSERT_EQ(std::sscanf(line.c_str(), "%lx-%lx %7s", &begin, &end, access), 3);
    EXPECT_FALSE(access[1] == 'w' && access[2] == 'x') << line;
    if (address < begin || address >= end) continue;
    found = true;
    EXPECT_STREQ(access, "r-xp");
  }
  EXPECT_TRUE(found);
}

TEST(LlvmLoader, refuses_code_for_other_machines) {
  const bool x86 = support::host().architecture == "x86_64";
  const auto image = constant_kernel(1, *target_for(x86 ? "cortex-a76" : "haswell"));
  ASSERT_TRUE(image);
  const auto kernel = make_backend()->load(*image);
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().code, ErrorCode::unsupported);
  EXPECT_THAT(kernel.error().message, HasSubstr("expected " + support::host().architecture));
}

TEST(LlvmLoader, refuses_extensions_that_the_host_lacks) {
  auto image = constant_kernel(1);
  ASSERT_TRUE(image);
  image->required_isa |= support::Isa::arm_sve | support::Isa::avx512_fp16;
  const auto kernel = make_backend()->load(*image);
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().code, ErrorCode::unsupported);
  EXPECT_THAT(kernel.error().message, HasSubstr("needs"));
}

TEST(LlvmLoader, refuses_what_is_no_object) {
  const auto code_of = [](const KernelImage& image) {
    const auto kernel = make_backend()->load(image);
    EXPECT_FALSE(kernel);
    return kernel ? ErrorCode{} : kernel.error().code;
  };
  auto image = constant_kernel(1);
  ASSERT_TRUE(image);
  KernelImage flat = *image, cut = *image, noise = *image, renamed = *image;
  flat.format = KernelImage::Format::flat;
  cut.code.resize(cut.code.size() / 2);
  noise.code.assign(noise.code.size(), std::byte{0x5a});
  renamed.name = "another";
  EXPECT_EQ(code_of(flat), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(cut), ErrorCode::corrupt);
  EXPECT_EQ(code_of(noise), ErrorCode::corrupt);
  EXPECT_EQ(code_of(renamed), ErrorCode::corrupt);
}

}  // namespace
}  // namespace lathe::codegen::llvm
