// No instruction that the CPU lacks: what is offered, what is refused, and that a forced target is
// obeyed.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include <lathe/library.h>

#include "support/isa.h"
#include "tests/kernels_native/native_executor.h"

namespace lathe::tests {
namespace {

using support::Isa;
using support::IsaMask;

constexpr const char* kForce = "LATHE_TARGET";

class Dispatch : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv(kForce); }

  static Result<Library> open() {
    return Library::open({.target = {}, .threads = 1, .store = "none", .backends = backends()});
  }
};

// The compiler's own detection, which shares nothing with ours.
std::map<std::string, bool> runs_here() {
  const bool sse = __builtin_cpu_supports("sse4.1");
  const bool avx2 = sse && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return {{"scalar", sse}, {"sse", sse}, {"avx2", avx2}, {"avx512", avx512}};
}

std::vector<std::string> offered() {
  std::vector<std::string> names;
  for (const auto& selected : runtime::runnable_targets(backends()))
    names.push_back(selected.target.name);
  return names;
}

TEST_F(Dispatch, OffersWhatTheCpuRunsAndNothingElse) {
  const auto names = offered();
  for (const auto& [name, runs] : runs_here())
    EXPECT_EQ(std::count(names.begin(), names.end(), name), runs ? 1 : 0) << name;
}

TEST_F(Dispatch, AForcedTargetIsObeyedOrRefusedWithTheReason) {
  for (const auto& [name, runs] : runs_here()) {
    ::setenv(kForce, name.c_str(), 1);
    const auto library = open();
    EXPECT_EQ(library.has_value(), runs) << name;
    if (library) {
      EXPECT_EQ(library->target(), name);
      const auto kernel = library->fetch_problem("silu rows=4 width=40");
      ASSERT_TRUE(kernel) << kernel.error().message;
      EXPECT_EQ(kernel->target(), name);
    } else {
      EXPECT_EQ(library.error().code, ErrorCode::unsupported);
      for (const std::string& part : {name, std::string("forced by LATHE_TARGET"),
                                      std::string("which this CPU"), std::string("does not have")})
        EXPECT_NE(library.error().message.find(part), std::string::npos) << library.error().message;
    }
  }
}

TEST_F(Dispatch, AForcedTargetThatNobodyKnowsIsRefused) {
  ::setenv(kForce, "altivec", 1);
  const auto library = open();
  ASSERT_FALSE(library);
  EXPECT_NE(library.error().message.find("altivec"), std::string::npos) << library.error().message;
}

// What each path's code may need, over every family; the emulated CPUs of the reruns prove the
// masks themselves.
TEST_F(Dispatch, EmittedCodeNeedsOnlyItsTargetsExtensions) {
  const std::map<std::string, IsaMask> allowed = {
      {"scalar", Isa::sse3 | Isa::ssse3 | Isa::sse4_1},
      {"sse", Isa::sse3 | Isa::ssse3 | Isa::sse4_1},
      {"avx2", Isa::sse3 | Isa::ssse3 | Isa::sse4_1 | Isa::avx | Isa::avx2 | Isa::fma | Isa::f16c}};
  for (const auto& [name, mask] : allowed) {
    const ir::Target target = *ir::parse_target(name);
    IsaMask used;
    for (const char* type : {"f32", "f16", "bf16"})
      for (const std::string& line : problem_lines(type, 72)) {
        const auto problem = compiler::parse_problem(line);
        ASSERT_TRUE(problem) << line;
        const auto& family = problem->family();
        const auto plan =
            family.build(*problem, family.space(*problem, target).default_schedule(), target);
        ASSERT_TRUE(plan) << line << ": " << plan.error().message;
        for (const auto& program : plan->programs) {
          const auto image = backends().front()->compile(program);
          ASSERT_TRUE(image) << line << ": " << image.error().message;
          EXPECT_TRUE(image->required_isa.without(mask).empty())
              << name << ", " << line << " needs " << support::to_string(image->required_isa);
          used |= image->required_isa;
        }
      }
    EXPECT_EQ(used.contains(Isa::avx2), name == "avx2") << support::to_string(used);
  }
}

// Set where this binary runs under emulation: "avx2 avx512" must be out of reach there.
TEST_F(Dispatch, TheEmulatedCpuLacksWhatItShould) {
  const char* absent = std::getenv("LATHE_EXPECT_NO_TARGETS");
  if (absent == nullptr)
    GTEST_SKIP() << "LATHE_EXPECT_NO_TARGETS is not set: this run is not emulated";
  std::istringstream words(absent);
  const auto names = offered();
  for (std::string name; words >> name;)
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 0) << name;
  EXPECT_EQ(std::count(names.begin(), names.end(), "sse"), 1);
}

}  // namespace
}  // namespace lathe::tests
