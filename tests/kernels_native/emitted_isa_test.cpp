// What an image says that it needs, held against its instructions as LLVM reads them.
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/family.h"
#include "support/isa.h"
#include "tests/kernels_native/native_executor.h"
#include "tests/support/kernel_cases.h"

namespace lathe::tests {
namespace {

#if LATHE_HAS_CODEGEN_LLVM

using support::Isa;
using support::IsaMask;

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view beginning) { return text.starts_with(beginning); });
}

// Whether one of the registers that only EVEX has is named: zmm, a mask, the upper sixteen.
bool names_evex_register(const std::string& operands) {
  if (operands.find("zmm") != std::string::npos) return true;
  for (size_t at = operands.find("mm"); at != std::string::npos; at = operands.find("mm", at + 1))
    if (std::atoi(operands.c_str() + at + 2) >= 16) return true;
  for (const char* mask : {"{k", " k1", " k2", " k3", " k4", " k5", " k6", " k7"})
    if (operands.find(mask) != std::string::npos) return true;
  return false;
}

// Extensions of which an image with this instruction must name at least one; empty: none need be.
IsaMask any_of_needed(const std::string& mnemonic, const std::string& operands) {
  const IsaMask wide = Isa::avx512f;
  if (is_one_of(mnemonic, {"shlx", "shrx", "sarx", "bzhi", "pdep", "mulx", "rorx"}))
    return Isa::bmi2;
  if (mnemonic.starts_with("v")) {
    if (names_evex_register(operands)) return wide;
    if (is_one_of(mnemonic, {"vfm", "vfnm"})) return wide | Isa::fma;
    if (is_one_of(mnemonic, {"vcvtph2ps", "vcvtps2ph"})) return wide | Isa::f16c;
    const bool is_ymm = operands.find("ymm") != std::string::npos;
    const bool is_integer = is_one_of(mnemonic, {"vp", "vinserti", "vextracti", "vbroadcasti"}) &&
                            !is_one_of(mnemonic, {"vperm2f", "vpermil", "vptest"});
    if (is_ymm && is_integer) return wide | Isa::avx2;
    return wide | Isa::avx | Isa::avx2;
  }
  if (is_one_of(mnemonic,
                {"pinsrb", "pinsrd", "pinsrq", "pextrb", "pextrd",   "pextrq",    "pmovsx",
                 "pmovzx", "pminsd", "pmaxsd", "pminud", "pmaxud",   "pmulld",    "round",
                 "blendv", "pblend", "blendp", "ptest",  "insertps", "extractps", "packusdw",
                 "pminuw", "pmaxuw", "pminsb", "pmaxsb"}))
    return Isa::sse4_1;
  if (is_one_of(mnemonic, {"pshufb", "pmaddubsw", "pabs", "palignr", "psign", "phadd"}))
    return Isa::ssse3;
  if (is_one_of(mnemonic, {"haddp", "movshdup", "movsldup", "movddup", "lddqu"})) return Isa::sse3;
  return {};
}

// The first instruction that needs what the image does not name; empty where there is none.
std::string unnamed_need(const codegen::KernelImage& image, const std::string& listing) {
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string mnemonic, operands;
    words >> mnemonic;
    std::getline(words, operands);
    const IsaMask needed = any_of_needed(mnemonic, operands);
    if (!needed.empty() && (needed & image.required_isa).empty()) return line;
  }
  return {};
}

TEST(EmittedIsa, ImagesNameWhatTheirInstructionsNeed) {
  size_t programs_that_need = 0;
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const ir::Target target = *ir::parse_target(name);
    for (const char* type : {"f32", "f16", "bf16"})
      for (const std::string& line : problem_lines(type, 72)) {
        const auto problem = compiler::parse_problem(line);
        ASSERT_TRUE(problem) << line;
        const auto& family = problem->family();
        const auto plan =
            family.build(*problem, family.space(*problem, target).default_schedule(), target);
        if (!plan) continue;  // more registers than the target has
        for (const auto& program : plan->programs) {
          const auto image = x86_backend()->compile(program);
          if (!image) continue;
          const auto listing = llvm_backend()->disassemble(*image);
          ASSERT_TRUE(listing) << listing.error().message;
          EXPECT_EQ(unnamed_need(*image, *listing), "")
              << name << ", " << line << " names " << support::to_string(image->required_isa);
          codegen::KernelImage nothing = *image;
          nothing.required_isa = {};
          programs_that_need += unnamed_need(nothing, *listing).empty() ? 0 : 1;
        }
      }
  }
  EXPECT_GT(programs_that_need, 100U) << "the listing is not what this test can read";
}

#else

TEST(EmittedIsa, ImagesNameWhatTheirInstructionsNeed) {
  GTEST_SKIP() << "this build has no LLVM to read instructions with";
}

#endif

}  // namespace
}  // namespace lathe::tests
