// Compiles a kernel program, runs it natively between guard pages, and compares all memory with the
// interpreter's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "codegen/kernel_image.h"
#include "ir/program/builder.h"

namespace lathe::tests {

using Bytes = std::vector<std::byte>;

/// scalar, sse, avx2, avx512, and avx512 with VNNI.
std::vector<ir::Target> x86_targets();

bool host_runs(const codegen::KernelImage& image);

/// The compiled image; fails the test where verification or compilation fails.
codegen::KernelImage compile(const ir::program::Program& program);

/// Whether two runs left the same elements; two NaNs of a float type are the same. `at` gets the
/// first byte that differs.
bool same_values(ir::Type type, std::span<const std::byte> a, std::span<const std::byte> b,
                 size_t& at);

struct Comparison {
  bool floats = true;    ///< words of f32 buffers that are both NaN count as equal
  size_t alignment = 1;  ///< of each buffer's start
};

/// Runs `program` on copies of `buffers`, natively (each buffer ending at a protected page, then
/// starting at one) and interpreted. Success where the host cannot run it: emission alone is
/// tested.
testing::AssertionResult agrees(const ir::program::Program& program,
                                const std::vector<Bytes>& buffers,
                                const std::vector<int64_t>& parameters = {},
                                const Comparison& comparison = {});

/// Runs natively; false where the host cannot.
bool run_native(const codegen::KernelImage& image, const std::vector<std::byte*>& buffers,
                const std::vector<int64_t>& parameters);

template <typename T>
Bytes bytes_of_values(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const std::byte*>(values.data());
  return {begin, begin + values.size() * sizeof(T)};
}

/// `count` f32 values that cover zeros, denormals, ordinary and huge numbers, infinities and NaN.
std::vector<float> awkward_floats(size_t count, uint32_t seed = 1);

/// `count` words of any bits.
std::vector<uint32_t> random_words(size_t count, uint32_t seed = 1);

}  // namespace lathe::tests
