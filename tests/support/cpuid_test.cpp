// Decoding made-up CPUs, and this one.
#include "support/cpuid.h"

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

constexpr std::uint32_t kAvxLeaf1 =
    1u << 12 | 1u << 19 | 1u << 28 | 1u << 29;  // fma sse4_1 avx f16c

CpuidLeaves avx512_machine() {
  CpuidLeaves leaves;
  leaves.leaf1_ecx = kAvxLeaf1;
  leaves.leaf7_ebx = 1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // avx2 f dq bw vl
  leaves.leaf7_ecx = 1u << 11;                                             // vnni
  leaves.leaf7_1_eax = 1u << 4;                                            // avx_vnni
  leaves.xcr0 = 0xe7;
  return leaves;
}

TEST(Cpuid, SignaturesOfKnownProcessors) {
  EXPECT_EQ(decode_signature(0x000806ec), (CpuSignature{6, 0x8e, 12}));  // i5-10210U
  EXPECT_EQ(decode_signature(0x00a10f11), (CpuSignature{25, 17, 1}));    // EPYC 9004
  EXPECT_EQ(decode_signature(0x00000f4a), (CpuSignature{15, 4, 10}));    // Pentium 4
  EXPECT_EQ(decode_signature(0x00100f43), (CpuSignature{16, 4, 3}));     // Phenom II
}

TEST(Cpuid, MicroarchitectureNames) {
  EXPECT_EQ(x86_microarchitecture("GenuineIntel", {6, 0x8e, 12}), "kabylake");
  EXPECT_EQ(x86_microarchitecture("GenuineIntel", {6, 0x3c, 3}), "haswell");
  EXPECT_EQ(x86_microarchitecture("GenuineIntel", {6, 0x55, 7}), "cascadelake");
  EXPECT_EQ(x86_microarchitecture("GenuineIntel", {6, 0x55, 4}), "skylake-avx512");
  EXPECT_EQ(x86_microarchitecture("AuthenticAMD", {25, 17, 1}), "zen4");
  EXPECT_EQ(x86_microarchitecture("AuthenticAMD", {25, 0x21, 0}), "zen3");
  EXPECT_EQ(x86_microarchitecture("AuthenticAMD", {23, 0x71, 0}), "zen2");
  EXPECT_EQ(x86_microarchitecture("GenuineIntel", {6, 0xfe, 0}), "unknown");
  EXPECT_EQ(x86_microarchitecture("", {}), "unknown");
}

TEST(Cpuid, EverythingUsableWhenTheSystemSavesIt) {
  const CpuidLeaves leaves = avx512_machine();
  EXPECT_EQ(usable_isa(leaves), claimed_isa(leaves));
  EXPECT_TRUE(usable_isa(leaves).contains(Isa::avx512_vnni | Isa::avx_vnni));
}

TEST(Cpuid, NoAvx512WhereItsRegistersAreNotSaved) {
  CpuidLeaves leaves = avx512_machine();
  leaves.xcr0 = 0x7;
  const IsaMask usable = usable_isa(leaves);
  EXPECT_TRUE(usable.contains(Isa::avx2 | Isa::fma));
  EXPECT_TRUE(usable.contains(Isa::avx_vnni));
  EXPECT_FALSE(usable.contains(Isa::avx512f));
  EXPECT_FALSE(usable.contains(Isa::avx512_vnni));
}

TEST(Cpuid, NoAvxWhereItsRegistersAreNotSaved) {
  for (const std::uint64_t xcr0 : {0x0, 0x1, 0x3, 0x5}) {
    CpuidLeaves leaves = avx512_machine();
    leaves.xcr0 = xcr0;
    EXPECT_EQ(usable_isa(leaves), IsaMask(Isa::sse4_1)) << xcr0;
  }
}

TEST(Cpuid, NoAvx2WithoutAvx) {
  CpuidLeaves leaves = avx512_machine();
  leaves.leaf1_ecx = 1u << 19;
  EXPECT_EQ(usable_isa(leaves), IsaMask(Isa::sse4_1));
}

#if defined(__x86_64__)
TEST(Cpuid, ThisProcessor) {
  const CpuidLeaves leaves = read_cpuid();
  EXPECT_EQ(leaves.vendor.size(), 12u);
  EXPECT_NE(leaves.leaf1_eax, 0u);
  EXPECT_TRUE(claimed_isa(leaves).contains(usable_isa(leaves)));
}

// The compiler's own detection reads the same registers in its own way.
TEST(Cpuid, AgreesWithTheCompiler) {
  const IsaMask usable = usable_isa(read_cpuid());
  __builtin_cpu_init();
  EXPECT_EQ(usable.contains(Isa::sse4_1), __builtin_cpu_supports("sse4.1") != 0);
  EXPECT_EQ(usable.contains(Isa::avx), __builtin_cpu_supports("avx") != 0);
  EXPECT_EQ(usable.contains(Isa::avx2), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(usable.contains(Isa::fma), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(usable.contains(Isa::avx512f), __builtin_cpu_supports("avx512f") != 0);
  EXPECT_EQ(usable.contains(Isa::avx512bw), __builtin_cpu_supports("avx512bw") != 0);
  EXPECT_EQ(usable.contains(Isa::avx512vl), __builtin_cpu_supports("avx512vl") != 0);
  EXPECT_EQ(usable.contains(Isa::avx512_vnni), __builtin_cpu_supports("avx512vnni") != 0);
}
#endif

}  // namespace
}  // namespace lathe::support
