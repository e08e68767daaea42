// The static estimates of loops whose speed is known from the CPU's documentation.
#include "codegen/llvm/mca.h"

#include <initializer_list>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lathe::codegen::llvm {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> instruction_bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

// vfmadd231ps ymm<d>, ymm14, ymm15
std::vector<std::byte> fma_chain(int accumulators) {
  std::vector<std::byte> code;
  for (int d = 0; d < accumulators; ++d)
    for (const int byte : {0xc4, d < 8 ? 0xc2 : 0x42, 0x0d, 0xb8, 0xc7 | (d % 8) << 3})
      code.push_back(static_cast<std::byte>(byte));
  for (const std::byte byte : instruction_bytes({0x48, 0xff, 0xc8}))
    code.push_back(byte);  // dec rax
  return code;
}

TEST(LlvmMca, one_fma_chain_is_bound_by_latency) {
  const auto report = throughput(fma_chain(1), "skylake");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(report->cycles_per_iteration, 4, 0.1);
}

TEST(LlvmMca, ten_fma_chains_are_bound_by_two_ports) {
  const auto report = throughput(fma_chain(10), "skylake");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(report->cycles_per_iteration, 5, 0.3);
  EXPECT_NEAR(report->uops_per_iteration, 11, 0.01);
  ASSERT_GE(report->ports.size(), 2U);
  EXPECT_NEAR(report->ports[0].cycles, 5, 0.5);
  const double busy = std::accumulate(report->ports.begin(), report->ports.end(), 0.0,
                                      [](double sum, const McaPort& p) { return sum + p.cycles; });
  EXPECT_NEAR(busy, 11, 0.2);
}

TEST(LlvmMca, knows_machines_that_are_not_here) {
  // fmla v0.4s, v14.4s, v15.4s
  const auto report =
      throughput(instruction_bytes({0xc0, 0xcd, 0x2f, 0x4e}), "cortex-a57", "aarch64-linux-gnu");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GT(report->cycles_per_iteration, 1);
}

TEST(LlvmMca, says_why_it_cannot) {
  EXPECT_EQ(throughput({}, "skylake").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(throughput(instruction_bytes({0x06}), "skylake").error().code, ErrorCode::corrupt);
  const auto unknown = throughput(instruction_bytes({0x90}), "toaster");
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  EXPECT_THAT(unknown.error().message, HasSubstr("toaster"));
  // RISC-V's generic CPU has no model.
  EXPECT_EQ(throughput(instruction_bytes({0x13, 0, 0, 0}), "generic-rv64", "riscv64-linux-gnu")
                .error()
                .code,
            ErrorCode::unsupported);
}

}  // namespace
}  // namespace lathe::codegen::llvm
