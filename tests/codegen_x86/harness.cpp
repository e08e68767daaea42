// The two runs and their comparison.
#include "tests/codegen_x86/harness.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>

#include <sys/mman.h>

#include "codegen/x86/x86_backend.h"
#include "ir/program/interpreter.h"
#include "ir/program/printer.h"
#include "ir/program/verifier.h"
#include "support/hardware.h"
#include "tests/support/guarded_buffer.h"

namespace lathe::tests {
namespace {

using ir::program::BufferView;
using ir::program::Program;

std::string hex(const std::byte* at, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += fmt::format("{:02x} ", static_cast<unsigned>(at[i]));
  return text;
}

}  // namespace

std::vector<ir::Target> x86_targets() {
  std::vector<ir::Target> targets;
  for (const char* name : {"scalar", "sse", "avx2", "avx512"})
    targets.push_back(ir::parse_target(name).value());
  targets.push_back(targets.back());
  targets.back().vnni = true;
  return targets;
}

bool same_values(ir::Type type, std::span<const std::byte> a, std::span<const std::byte> b,
                 size_t& at) {
  const bool f32 = type == ir::Type::f32, half = type == ir::Type::f16 || type == ir::Type::bf16;
  const size_t size = f32 ? 4 : half ? 2 : 1;
  for (at = 0; at + size <= a.size(); at += size) {
    if (std::memcmp(a.data() + at, b.data() + at, size) == 0) continue;
    uint32_t x = 0, y = 0;
    std::memcpy(&x, a.data() + at, size);
    std::memcpy(&y, b.data() + at, size);
    const uint32_t infinity = f32 ? 0x7F800000u : type == ir::Type::f16 ? 0x7C00u : 0x7F80u;
    const uint32_t magnitude = f32 ? 0x7FFFFFFFu : 0x7FFFu;
    const bool both_nan = (x & magnitude) > infinity && (y & magnitude) > infinity;
    if (size == 1 || !both_nan) return false;
  }
  return true;
}

bool host_runs(const codegen::KernelImage& image) {
  return support::host().isa.contains(image.required_isa);
}

codegen::KernelImage compile(const Program& program) {
  if (const Status status = ir::program::verify(program); !status) {
    ADD_FAILURE() << "verify: " << status.error().message << "\n" << print(program);
    return {};
  }
  auto image = codegen::x86::make_backend()->compile(program);
  if (!image) {
    ADD_FAILURE() << image.error().message << "\n" << print(program);
    return {};
  }
  return std::move(*image);
}

bool run_native(const codegen::KernelImage& image, const std::vector<std::byte*>& buffers,
                const std::vector<int64_t>& parameters) {
  if (!host_runs(image)) return false;
  const size_t bytes = image.code.size();
  void* code = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) {
    ADD_FAILURE() << "no memory for " << bytes << " bytes of code";
    return false;
  }
  std::memcpy(code, image.code.data(), bytes);
  if (mprotect(code, bytes, PROT_READ | PROT_EXEC) != 0) {
    ADD_FAILURE() << "the system forbids executable pages";
    munmap(code, bytes);
    return false;
  }
  std::vector<uint64_t> slots;
  for (std::byte* buffer : buffers) slots.push_back(reinterpret_cast<uintptr_t>(buffer));
  for (const int64_t parameter : parameters) slots.push_back(static_cast<uint64_t>(parameter));
  const auto entry = reinterpret_cast<uintptr_t>(code) + image.entry;
  reinterpret_cast<ir::program::KernelFunction>(entry)(slots.data());
  munmap(code, bytes);
  return true;
}

testing::AssertionResult agrees(const Program& program, const std::vector<Bytes>& buffers,
                                const std::vector<int64_t>& parameters,
                                const Comparison& comparison) {
  const codegen::KernelImage image = compile(program);
  if (image.code.empty()) return testing::AssertionFailure() << "no image";
  std::vector<GuardedBuffer> expected;
  std::vector<BufferView> views;
  for (const Bytes& bytes : buffers) {
    GuardedBuffer& copy = expected.emplace_back(bytes.size(), GuardedBuffer::Side::after, 64);
    if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    views.push_back({copy.data(), static_cast<int64_t>(bytes.size()), 0});
  }
  if (const auto trace = interpret(program, views, parameters); !trace)
    return testing::AssertionFailure() << "interpret: " << trace.error().message << "\n"
                                       << print(program);
  if (!host_runs(image)) return testing::AssertionSuccess();
  for (const auto side : {GuardedBuffer::Side::after, GuardedBuffer::Side::before}) {
    std::vector<GuardedBuffer> native;
    std::vector<std::byte*> addresses;
    for (const Bytes& bytes : buffers) {
      GuardedBuffer& copy = native.emplace_back(bytes.size(), side, comparison.alignment);
      if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
      addresses.push_back(copy.data());
    }
    run_native(image, addresses, parameters);
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (!native[i].intact())
        return testing::AssertionFailure() << "wrote outside buffer " << i << "\n"
                                           << print(program);
      size_t at = 0;
      const ir::Type type = comparison.floats ? program.buffers[i].type : ir::Type::u8;
      if (!same_values(type, native[i].span(), expected[i].span(), at)) {
        const size_t shown = std::min<size_t>(16, buffers[i].size() - at);
        return testing::AssertionFailure()
               << "target " << program.target.name << ", buffer " << i << " ("
               << program.buffers[i].name << "), byte " << at << ": native "
               << hex(native[i].data() + at, shown) << ", interpreted "
               << hex(expected[i].data() + at, shown) << "\n"
               << print(program);
      }
    }
  }
  return testing::AssertionSuccess();
}

std::vector<float> awkward_floats(size_t count, uint32_t seed) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float special[] = {
      0.0f,   -0.0f,   1.0f,       -1.0f,       0.5f,     -2.5f,    1.5f,     3.5f,
      kInf,   -kInf,   NAN,        1e-40f,      -1e-42f,  65504.0f, 65520.0f, -65536.0f,
      3e38f,  -3e38f,  1.17e-38f,  6e-8f,       2.98e-8f, 255.5f,   -128.5f,  32767.5f,
      2.1e9f, -2.2e9f, 8388608.5f, 0.49999997f, 1e-5f,    127.0f,   -126.0f,  100.25f};
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> exponent(-20.0f, 20.0f);
  std::vector<float> values(count);
  for (float& value : values) {
    if (random() % 3 == 0)
      value = special[random() % std::size(special)];
    else
      value = std::exp2(exponent(random)) * ((random() & 1) != 0 ? 1.0f : -1.0f);
  }
  return values;
}

std::vector<uint32_t> random_words(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint32_t> words(count);
  for (uint32_t& word : words) word = random();
  return words;
}

}  // namespace lathe::tests
