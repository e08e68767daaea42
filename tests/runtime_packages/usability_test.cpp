// What records are good for on a machine, and which of its extensions they miss.
#include "runtime/packages/usability.h"

#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/family.h"
#include "compiler/version.h"
#include "runtime/packages/recipes.h"
#include "tests/store/sample.h"

namespace lathe::runtime::packages {
namespace {

using support::Isa;

support::Hardware machine(support::IsaMask isa) {
  support::Hardware hardware;
  hardware.architecture = "x86_64";
  hardware.name = "Described CPU";
  hardware.isa = isa;
  return hardware;
}

const support::IsaMask kAvx2 =
    Isa::sse3 | Isa::ssse3 | Isa::sse4_1 | Isa::avx | Isa::f16c | Isa::fma | Isa::avx2;

/// A record of rms_norm's default schedule for AVX2 on the machine described.
store::KeyedWinner sample(const support::Hardware& hardware, const std::string& target = "avx2") {
  const auto problem = compiler::parse_problem("rms_norm rows=4 width=64");
  store::KeyedWinner record{
      store::tests::sample_key(store::host_id("cpu", support::identity(hardware))),
      store::tests::sample_winner()};
  record.key.problem = problem->line();
  record.key.family_revision = problem->family().revision;
  record.key.compiler_version = compiler::kVersion;
  record.key.target = target;
  const auto space = problem->family().space(*problem, *ir::parse_target("avx2"));
  record.winner.schedule = space.print(space.default_schedule());
  return record;
}

Usability here(const store::KeyedWinner& record, const support::Hardware& hardware,
               const std::string& device = "cpu") {
  const Backends backends = default_backends();
  return UsabilityHere(backends, hardware).of(record, {record.key.host, device, "", ""});
}

void expect_unused(const Usability& usability, std::string_view says) {
  EXPECT_EQ(usability.use, Use::none) << says;
  EXPECT_NE(usability.why.find(says), std::string::npos) << usability.why;
}

TEST(PackageUse, OnTheSameMachineAndOnAnother) {
  const support::Hardware hardware = machine(kAvx2);
  EXPECT_EQ(here(sample(hardware), hardware).use, Use::exact);
  support::Hardware other = hardware;
  other.model = 7;
  const Usability there = here(sample(other), hardware);
  EXPECT_EQ(there.use, Use::other_host) << there.why;
}

TEST(PackageUse, SaysWhichExtensionIsMissing) {
  const support::Hardware small = machine(Isa::sse3 | Isa::ssse3 | Isa::sse4_1 | Isa::avx);
  expect_unused(here(sample(small), small), "needs f16c+fma+avx2, which this CPU (Described CPU)");
  const support::Hardware hardware = machine(kAvx2);
  expect_unused(here(sample(hardware, "avx512"), hardware),
                "needs avx512f+avx512bw+avx512dq+avx512vl");
}

TEST(PackageUse, OtherIdentities) {
  const support::Hardware hardware = machine(kAvx2);
  const store::KeyedWinner good = sample(hardware);
  store::KeyedWinner record = good;
  record.key.compiler_version = "0";
  expect_unused(here(record, hardware), "code generator version 0");
  record = good;
  record.key.family_revision = 999;
  expect_unused(here(record, hardware), "revision 999");
  record = good;
  record.key.family = "no_such";
  expect_unused(here(record, hardware), "unknown family 'no_such'");
  record = good;
  record.key.problem = "rms_norm colour=red";
  EXPECT_EQ(here(record, hardware).use, Use::none);
  record = good;
  record.key.problem = "rms_norm width=64 rows=4";
  expect_unused(here(record, hardware), "not written as a fetch asks for it");
  record = good;
  record.winner.schedule = "accumulators=77";
  expect_unused(here(record, hardware), "not in today's search space");
  record = good;
  record.winner.verified = "";
  expect_unused(here(record, hardware), "never checked");
  record = good;
  record.key.target = "llvm:no-such-machine";
  expect_unused(here(record, hardware), "target 'llvm:no-such-machine'");
  expect_unused(here(good, hardware, "GTX 1080"), "device GTX 1080");
}

TEST(PackageUse, LayoutsCountWhereTheyWereChosen) {
  const support::Hardware hardware = machine(kAvx2);
  store::KeyedWinner record = sample(hardware);
  record.key.problem = "weight n=64 k=64 weight=bf16";
  record.key.family = "weight";
  record.key.family_revision = (*compiler::find_family("linear"))->revision;
  record.winner.schedule = "panel=16";
  EXPECT_EQ(here(record, hardware).use, Use::exact);
  support::Hardware other = hardware;
  other.model = 7;
  expect_unused(here(record, other), "on the host that chose it");
}

}  // namespace
}  // namespace lathe::runtime::packages
