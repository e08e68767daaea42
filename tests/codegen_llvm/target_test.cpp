// Machines by name: lanes, registers, features, and the errors of names that are none.
#include "codegen/llvm/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/llvm/backend.h"
#include "support/hardware.h"

namespace lathe::codegen::llvm {
namespace {

using ::testing::HasSubstr;

struct Expected {
  const char* name;
  int lanes, vector_registers, mask_registers;
  bool fused, f16c, vnni;
};

class LlvmTarget : public ::testing::TestWithParam<Expected> {};

TEST_P(LlvmTarget, states_what_the_cpu_has) {
  const Expected& expected = GetParam();
  const auto target = target_for(expected.name);
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->name, "llvm");
  EXPECT_EQ(target->isa, ir::Isa::generic);
  EXPECT_EQ(target->lanes, expected.lanes);
  EXPECT_EQ(target->vector_registers, expected.vector_registers);
  EXPECT_EQ(target->mask_registers, expected.mask_registers);
  EXPECT_EQ(target->fused, expected.fused);
  EXPECT_EQ(target->f16c, expected.f16c);
  EXPECT_EQ(target->vnni, expected.vnni);
}

TEST_P(LlvmTarget, reads_back_what_it_wrote) {
  const auto target = target_for(GetParam().name);
  ASSERT_TRUE(target);
  const auto again = target_for(target->cpu);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->cpu, target->cpu);
  EXPECT_EQ(again->lanes, target->lanes);
  EXPECT_EQ(again->fused, target->fused);
}

INSTANTIATE_TEST_SUITE_P(
    Machines, LlvmTarget,
    ::testing::Values(Expected{"x86_64-linux-gnu", 4, 16, 0, false, false, false},
                      Expected{"nehalem", 4, 16, 0, false, false, false},
                      Expected{"sandybridge", 4, 16, 0, false, false, false},
                      Expected{"haswell", 8, 16, 0, true, true, false},
                      Expected{"skylake", 8, 16, 0, true, true, false},
                      Expected{"alderlake", 8, 16, 0, true, true, true},
                      Expected{"znver3", 8, 16, 0, true, true, false},
                      Expected{"skylake-avx512", 16, 32, 7, true, true, false},
                      Expected{"cascadelake", 16, 32, 7, true, true, true},
                      Expected{"x86_64-linux-gnu:haswell:-fma", 8, 16, 0, false, true, false},
                      Expected{"aarch64-linux-gnu", 4, 32, 0, true, true, false},
                      Expected{"aarch64-linux-gnu:cortex-a76", 4, 32, 0, true, true, false},
                      Expected{"cortex-a76", 4, 32, 0, true, true, false},
                      Expected{"riscv64-linux-gnu", 1, 32, 0, false, false, false}));

TEST(LlvmTarget, host_has_no_more_than_the_hardware) {
  const ir::Target host = host_target();
  const auto again = target_for("");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->cpu, host.cpu);
  using support::Isa;
  const support::IsaMask isa = support::host().isa;
  if (support::host().architecture != "x86_64") GTEST_SKIP() << "this host is no x86-64";
  EXPECT_EQ(host.lanes >= 8, isa.contains(Isa::avx2));
  EXPECT_EQ(host.fused, isa.contains(Isa::fma));
  EXPECT_EQ(host.f16c, isa.contains(Isa::f16c));
}

TEST(LlvmTarget, unknown_names_are_met_with_near_ones) {
  const auto error = [](std::string_view name) {
    const auto target = target_for(name);
    EXPECT_FALSE(target);
    EXPECT_EQ(target.error().code, ErrorCode::not_found);
    return target ? std::string() : target.error().message;
  };
  EXPECT_THAT(error("haswel"), HasSubstr("did you mean haswell?"));
  EXPECT_THAT(error("x86_64-linux-gnu:skylak"), HasSubstr("skylake"));
  EXPECT_THAT(error("aarch64-linux-gnu:cortex-a7600"), HasSubstr("cortex-a76"));
  EXPECT_THAT(error("a-toaster"), HasSubstr("known are"));
  EXPECT_THAT(error("toaster-linux-gnu:any"), HasSubstr("x86_64-linux-gnu"));
  EXPECT_THAT(error("x86_64-linux-gnu:haswell:+avx3"), HasSubstr("did you mean"));
  EXPECT_THAT(error("x86_64-linux-gnu:haswell:avx2"), HasSubstr("expected '+name' or '-name'"));
}

TEST(LlvmTarget, other_kinds_of_machines_are_refused) {
  for (const char* name : {"i686-linux-gnu", "powerpc64-linux-gnu", "nvptx64-nvidia-cuda"}) {
    const auto target = target_for(name);
    ASSERT_FALSE(target) << name;
    EXPECT_EQ(target.error().code, ErrorCode::unsupported);
    EXPECT_THAT(target.error().message, HasSubstr("64-bit little-endian"));
  }
}

TEST(LlvmTarget, comes_from_the_backend_by_name) {
  const auto backend = llvm_backend();
  EXPECT_EQ(backend->name(), "llvm");
  const auto target = backend->target("llvm", "skylake");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->cpu, "x86_64-linux-gnu:skylake");
  EXPECT_TRUE(backend->emits(*target));
  const auto other = backend->target("avx2", "");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace lathe::codegen::llvm
