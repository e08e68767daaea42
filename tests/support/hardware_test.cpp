// This machine's facts hold together; an emulated machine claims nothing that it lacks.
#include "support/hardware.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

TEST(Hardware, FactsHoldTogether) {
  const Hardware& h = host();
  EXPECT_FALSE(h.architecture.empty());
  EXPECT_FALSE(h.name.empty());
  EXPECT_GE(h.physical_cores, 1);
  EXPECT_GE(h.logical_cpus, h.physical_cores);
  EXPECT_GE(h.available_cpus, 1);
  EXPECT_GE(h.available_cpus, h.available_cores);
  EXPECT_GE(h.available_cores, 1);
  EXPECT_EQ(h.smt, h.logical_cpus > h.physical_cores);
  EXPECT_GE(h.total_memory_bytes, h.available_memory_bytes);
  EXPECT_GT(available_memory(), 0);
  EXPECT_GE(h.line_bytes, 16);
  EXPECT_TRUE((h.isa & h.isa_unsaved).empty());
}

TEST(Hardware, IdentityIsStableAndTellsMachinesApart) {
  EXPECT_EQ(host_identity(), identity(detect_hardware()));
  Hardware other = host();
  other.available_memory_bytes /= 2;
  other.available_cpus += 3;
  EXPECT_EQ(identity(other), host_identity()) << "what changes from run to run is not identity";
  other.stepping += 1;
  EXPECT_NE(identity(other), host_identity());
  other = host();
  other.l2_bytes *= 2;
  other.l2_bytes += 1;
  EXPECT_NE(identity(other), host_identity());
  other = host();
  other.isa = other.isa.without(Isa::sse4_1);
  other.isa.bits ^= std::uint64_t{1} << 50;
  EXPECT_NE(identity(other), host_identity());
}

TEST(Hardware, DescriptionNamesWhatMatters) {
  Hardware h;
  h.architecture = "x86_64";
  h.vendor = "GenuineIntel";
  h.name = "Example CPU";
  h.microarchitecture = "haswell";
  h.family = 6;
  h.model = 60;
  h.stepping = 3;
  h.isa = Isa::avx | Isa::avx2;
  h.isa_unsaved = Isa::avx512f;
  h.l1d_bytes = 32 << 10;
  h.l2_bytes = 256 << 10;
  h.physical_cores = 4;
  h.logical_cpus = 8;
  h.smt = true;
  const std::string text = describe(h);
  for (const char* part : {"Example CPU", "haswell", "avx+avx2", "avx512f", "does not save",
                           "L1d 32 KiB", "L3 none", "4 cores, 8 logical (SMT)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_EQ(identity(h), "x86_64 GenuineIntel 6-60-3 isa=120 l1d=32768 l2=262144 l3=0 line=64");
}

TEST(Hardware, EmulatedMachineLacksWhatItLacks) {
  const char* text = std::getenv("LATHE_EXPECT_NO_ISA");
  if (text == nullptr) GTEST_SKIP() << "LATHE_EXPECT_NO_ISA is not set: this run is not emulated";
  const auto absent = parse_isa_mask(text);
  ASSERT_TRUE(absent);
  EXPECT_TRUE((host().isa & *absent).empty()) << to_string(host().isa);
  EXPECT_TRUE(host().isa.contains(Isa::sse4_1)) << to_string(host().isa);
}

}  // namespace
}  // namespace lathe::support
