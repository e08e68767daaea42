// Comparing machine code with the interpreter.
#include "tests/codegen_llvm/agreement.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "codegen/llvm/backend.h"
#include "codegen/llvm/target.h"
#include "ir/half.h"
#include "ir/program/interpreter.h"
#include "ir/program/printer.h"
#include "ir/program/verifier.h"
#include "support/hardware.h"
#include "tests/support/guarded_buffer.h"

namespace lathe::tests {
namespace {

using ir::program::Program;

template <typename T>
T element(const std::vector<std::byte>& bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

bool is_nan(const std::vector<std::byte>& bytes, size_t index, ir::Type type) {
  switch (type) {
    case ir::Type::f32: return std::isnan(element<float>(bytes, index));
    case ir::Type::f16: return std::isnan(ir::f16_to_float(element<uint16_t>(bytes, index)));
    case ir::Type::bf16: return std::isnan(ir::bf16_to_float(element<uint16_t>(bytes, index)));
    default: return false;
  }
}

std::string hex(const std::vector<std::byte>& bytes, size_t index, size_t size) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data() + index * size, size);
  return fmt::format("0x{:0{}x}", bits, 2 * size);
}

// Copies of all buffers, each from a multiple of 64 bytes on: what store_stream may ask for.
class AlignedBuffers {
 public:
  explicit AlignedBuffers(const Arguments& arguments) {
    for (const auto& bytes : arguments.buffers) {
      auto& copy = memory_.emplace_back(bytes.size() / 64 + 1);
      if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    }
  }
  std::byte* data(size_t buffer) { return memory_[buffer].data()->bytes; }

  Arguments after(const Arguments& before) const {
    Arguments after = before;
    for (size_t i = 0; i < memory_.size(); ++i)
      if (!after.buffers[i].empty())
        std::memcpy(after.buffers[i].data(), memory_[i].data(), after.buffers[i].size());
    return after;
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<std::vector<Line>> memory_;
};

}  // namespace

Arguments arguments_of(const RandomProgram& random) {
  Arguments arguments{{}, random.parameters};
  for (const ir::Tensor& tensor : random.buffers) {
    const std::span bytes(tensor.data(), static_cast<size_t>(tensor.bytes()));
    arguments.buffers.emplace_back(bytes.begin(), bytes.end());
  }
  return arguments;
}

Arguments interpreted(const Program& program, const Arguments& arguments) {
  AlignedBuffers memory(arguments);
  std::vector<ir::program::BufferView> views;
  for (size_t i = 0; i < arguments.buffers.size(); ++i)
    views.push_back({memory.data(i), static_cast<int64_t>(arguments.buffers[i].size()), 0});
  const auto trace = ir::program::interpret(program, views, arguments.parameters);
  EXPECT_TRUE(trace.has_value()) << trace.error().message;
  return memory.after(arguments);
}

Arguments called(ir::program::KernelFunction function, const Arguments& arguments) {
  std::vector<GuardedBuffer> memory;
  std::vector<uint64_t> slots;
  for (const auto& bytes : arguments.buffers) {
    // Its size's own alignment lets the end touch the page.
    const size_t alignment = bytes.empty() ? 1 : std::min<size_t>(bytes.size() & -bytes.size(), 64);
    auto& copy = memory.emplace_back(bytes.size(), GuardedBuffer::Side::after, alignment);
    if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    slots.push_back(reinterpret_cast<uint64_t>(copy.data()));
  }
  for (const int64_t parameter : arguments.parameters)
    slots.push_back(static_cast<uint64_t>(parameter));
  function(slots.data());

  Arguments after = arguments;
  for (size_t i = 0; i < memory.size(); ++i) {
    EXPECT_TRUE(memory[i].intact()) << "bytes before buffer " << i << " were written";
    if (memory[i].size() != 0)
      std::memcpy(after.buffers[i].data(), memory[i].data(), memory[i].size());
  }
  return after;
}

::testing::AssertionResult same_results(const Program& program, const Arguments& expected,
                                        const Arguments& found) {
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const auto& buffer = program.buffers[b];
    const auto size = static_cast<size_t>(ir::size_of(buffer.type));
    const auto& want = expected.buffers[b];
    const auto& have = found.buffers[b];
    size_t differences = 0, first = 0;
    for (size_t i = 0; i < want.size() / size; ++i) {
      if (std::memcmp(want.data() + i * size, have.data() + i * size, size) == 0) continue;
      if (is_nan(want, i, buffer.type) && is_nan(have, i, buffer.type)) continue;
      if (differences++ == 0) first = i;
    }
    if (differences != 0)
      return ::testing::AssertionFailure()
             << "program '" << program.name << "' on " << program.target.cpu << ", "
             << program.target.lanes << " lanes: buffer '" << buffer.name << "' differs in "
             << differences << " elements, first in " << first << ": found "
             << hex(have, first, size) << ", expected " << hex(want, first, size);
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult agrees(const Program& program, const Arguments& arguments) {
  const auto failure = [&](const Error& error) {
    return ::testing::AssertionFailure() << error.message << "\n" << ir::program::print(program);
  };
  if (const auto verified = ir::program::verify(program); !verified)
    return failure(verified.error());
  const auto backend = codegen::llvm::make_backend();
  const auto image = backend->compile(program);
  if (!image) return failure(image.error());
  const auto kernel = backend->load(*image);
  if (!kernel) return failure(kernel.error());
  return same_results(program, interpreted(program, arguments),
                      called((*kernel)->function(), arguments));
}

ir::Target with_lanes(ir::Target target, int lanes) {
  target.lanes = lanes;
  return target;
}

std::vector<ir::Target> runnable_targets() {
  std::vector<ir::Target> targets{codegen::llvm::host_target()};
  const support::IsaMask host = support::host().isa;
  using support::Isa;
  const std::pair<const char*, support::IsaMask> levels[] = {
      {"x86_64-linux-gnu:x86-64", {}},
      {"x86_64-linux-gnu:x86-64-v2", Isa::sse4_2 | Isa::popcnt},
      {"x86_64-linux-gnu:x86-64-v3", Isa::avx2 | Isa::fma | Isa::f16c},
      {"x86_64-linux-gnu:x86-64-v4", Isa::avx512f | Isa::avx512bw | Isa::avx512dq | Isa::avx512vl},
  };
  for (const auto& [name, needs] : levels) {
    if (support::host().architecture != "x86_64" || !host.contains(needs)) continue;
    const auto target = codegen::llvm::target_for(name);
    EXPECT_TRUE(target.has_value()) << target.error().message;
    if (target) targets.push_back(*target);
  }
  return targets;
}

}  // namespace lathe::tests
