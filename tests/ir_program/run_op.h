// Runs one instruction over a list of lanes, on every target, through a verified program.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "ir/program/builder.h"
#include "ir/program/interpreter.h"
#include "ir/program/printer.h"
#include "ir/program/verifier.h"

namespace lathe::ir::program {

using Lanes = std::vector<uint32_t>;

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
inline constexpr float kMax = std::numeric_limits<float>::max();

inline Lanes floats(std::initializer_list<float> values) {
  Lanes lanes;
  for (const float value : values) lanes.push_back(std::bit_cast<uint32_t>(value));
  return lanes;
}

inline std::vector<Target> all_targets() {
  std::vector<Target> targets;
  for (const char* name : {"scalar", "sse", "avx2", "avx512"})
    targets.push_back(*parse_target(name));
  return targets;
}

/// An input of an instruction: its lanes, and what the buffer that holds them declares.
struct Input {
  Input(Lanes values) : lanes(std::move(values)) {}  // NOLINT: implicit on purpose
  Input(Lanes values, Type t, int64_t low, int64_t high)
      : lanes(std::move(values)), type(t), range({low, high}) {}
  Lanes lanes;
  Type type = Type::f32;
  std::optional<std::pair<int64_t, int64_t>> range;
};

/// The result lanes of `op` (all 'v' sources) on one target; the inputs are of one length.
inline Lanes run_op(const Target& target, Op op, std::vector<Input> inputs, int64_t imm = 0) {
  const size_t count = inputs.empty() ? 16 : inputs[0].lanes.size();
  const auto lanes = static_cast<size_t>(target.lanes);
  const size_t padded = (count + lanes - 1) / lanes * lanes;
  Builder b("one_op", target);
  std::vector<Pointer> pointers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    const auto& [low, high] = inputs[i].range.value_or(std::pair<int64_t, int64_t>());
    pointers.push_back(inputs[i].range
                           ? b.buffer(name, inputs[i].type, BufferAccess::read, low, high)
                           : b.buffer(name, inputs[i].type, BufferAccess::read));
    pointers.back().type = Type::f32;  // whole 32-bit lanes, whatever they hold
    inputs[i].lanes.resize(padded);
  }
  const Pointer out = b.buffer("out", Type::f32, BufferAccess::write);
  for (size_t at = 0; at < padded; at += lanes) {
    const Span span{static_cast<int64_t>(at), {}, 0, true};
    Instr instr{.op = op};
    instr.imm = imm;
    for (size_t i = 0; i < inputs.size(); ++i) instr.src[i] = b.load(pointers[i], span).reg;
    Vec result;
    result.reg = b.emit(instr);
    result.builder = &b;
    b.store(out, span, result);
  }
  const Program program = b.finish();
  const Status verified = verify(program);
  EXPECT_TRUE(verified) << verified.error().message;
  if (!verified) return {};
  Lanes output(padded, 0xDEADBEEFU);
  std::vector<BufferView> views;
  const auto bytes = static_cast<int64_t>(padded * 4);
  for (Input& input : inputs)
    views.push_back({reinterpret_cast<std::byte*>(input.lanes.data()), bytes, 0});
  views.push_back({reinterpret_cast<std::byte*>(output.data()), bytes, 0});
  const auto trace = interpret(program, views, {});
  EXPECT_TRUE(trace) << trace.error().message;
  output.resize(count);
  return output;
}

inline bool same_lane(uint32_t a, uint32_t b) {
  return a == b || (std::isnan(std::bit_cast<float>(a)) && std::isnan(std::bit_cast<float>(b)));
}

/// Expects `op` to give `expected` on every target: bit for bit, but any NaN for a NaN.
inline void expect_op(Op op, std::vector<Input> inputs, const Lanes& expected, int64_t imm = 0) {
  for (const Target& target : all_targets()) {
    const Lanes found = run_op(target, op, inputs, imm);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(same_lane(found[i], expected[i]))
          << info(op).name << " on " << target.name << ", lane " << i << ": found 0x" << std::hex
          << found[i] << ", expected 0x" << expected[i];
  }
}

/// Runs a program that has one output buffer as its last; returns that buffer's 32-bit words.
inline Lanes run_program(const Program& program, std::vector<Lanes> inputs, size_t output_words,
                         std::vector<int64_t> parameters = {}) {
  const Status verified = verify(program);
  EXPECT_TRUE(verified) << verified.error().message << "\n" << print(program);
  Lanes output(output_words, 0xDEADBEEFU);
  std::vector<BufferView> views;
  for (Lanes& input : inputs)
    views.push_back(
        {reinterpret_cast<std::byte*>(input.data()), static_cast<int64_t>(input.size() * 4), 0});
  views.push_back(
      {reinterpret_cast<std::byte*>(output.data()), static_cast<int64_t>(output_words * 4), 0});
  if (!verified) return output;
  const auto trace = interpret(program, views, parameters);
  EXPECT_TRUE(trace) << trace.error().message;
  return output;
}

}  // namespace lathe::ir::program
