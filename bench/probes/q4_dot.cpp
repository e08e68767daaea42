// q4_0 · q8: one row of weights a lane. Weights are interleaved so that one vector holds the same
// eight weights (four low nibbles, four high ones) of every row; four such vectors are a block
// of 32. The eight products of nibbles with the column's bytes add up in 16 bits, are widened once,
// lose the nibbles' offset of 8 as 8 * sum(column), and are scaled in f32.
#include <cmath>

#include "bench/probes/probe.h"
#include "ir/half.h"
#include "ir/program/builder.h"

namespace lathe::bench {

using namespace ir::program;  // NOLINT: programs are written in the builder's words

namespace {

constexpr int64_t kBlocks = 64;

Vec bytes_of_four(Builder& b, Pointer p, int64_t byte_offset) {
  Instr instr{.op = Op::load_splat};
  instr.memory = MemoryType::raw32;
  instr.address.pointer = p.reg;
  instr.address.offset = byte_offset;
  Vec result;
  result.reg = b.emit(instr);
  result.builder = &b;
  return result;
}

Vec raw_vector(Builder& b, Pointer p, int64_t byte_offset) {
  Instr instr{.op = Op::load};
  instr.memory = MemoryType::raw32;
  instr.address.pointer = p.reg;
  instr.address.offset = byte_offset;
  Vec result;
  result.reg = b.emit(instr);
  result.builder = &b;
  return result;
}

Program q4_dot(const ir::Target& target) {
  Builder b("q4_dot", target);
  const Pointer nibbles = b.buffer("nibbles", ir::Type::u8, BufferAccess::read);
  const Pointer scales = b.buffer("scales", ir::Type::f16, BufferAccess::read);
  const Pointer column = b.buffer("column", ir::Type::i8, BufferAccess::read, -127, 127);
  const Pointer column_scales = b.buffer("column_scales", ir::Type::f32, BufferAccess::read);
  const Pointer column_sums = b.buffer("column_sums", ir::Type::i32, BufferAccess::read);
  const Pointer out = b.buffer("out", ir::Type::f32, BufferAccess::write);
  const int64_t lanes = target.lanes, bytes = target.vector_bytes();
  const Vec low_nibbles = b.constant_bits(0x0f0f0f0f), ones = b.constant_bits(0x00010001);
  const Vec sum = b.copy(b.constant(0.0F));
  b.loop(0, kBlocks, 1, [&](Scalar) {
    Vec products;
    for (int64_t j = 0; j < 4; ++j) {
      const Vec both = raw_vector(b, nibbles, j * bytes);
      const Vec low = b.bit_and(both, low_nibbles);
      const Vec high = b.bit_and(b.shift(Op::ishr, both, 4), low_nibbles);
      const Vec first = b.int_op(Op::dot2_u8s8, low, bytes_of_four(b, column, 4 * j));
      const Vec second = b.int_op(Op::dot2_u8s8, high, bytes_of_four(b, column, 16 + 4 * j));
      const Vec pair = b.int_op(Op::iadd16, first, second);
      products = j == 0 ? pair : b.int_op(Op::iadd16, products, pair);
    }
    const Vec dot =
        b.int_op(Op::isub, b.int_op(Op::dot2_s16, products, ones), b.load_splat(column_sums));
    const Vec scale = b.mul(b.load(scales, Span{}), b.load_splat(column_scales));
    b.set(sum, b.fma(b.to_float(dot), scale, sum));
    b.advance(nibbles, 4 * bytes);
    b.advance(scales, 2 * lanes);
    b.advance(column, 32);
    b.advance(column_scales, 4);
    b.advance(column_sums, 4);
  });
  b.store(out, Span{}, sum);
  return b.finish();
}

struct Data {
  std::vector<uint8_t> nibbles;
  std::vector<uint16_t> scales;
  std::vector<int8_t> column;
  std::vector<float> column_scales;
  std::vector<int32_t> column_sums;
  std::vector<float> out;
  std::vector<double> exact, size;
};

std::shared_ptr<Data> make_data(int64_t lanes) {
  auto data = std::make_shared<Data>();
  uint32_t state = 1;
  const auto next = [&](uint32_t below) {
    state = state * 1664525U + 1013904223U;
    return static_cast<int>((state >> 8) % below);
  };
  data->exact.resize(static_cast<size_t>(lanes));
  data->size.resize(static_cast<size_t>(lanes));
  data->out.resize(static_cast<size_t>(lanes));
  for (int64_t block = 0; block < kBlocks; ++block) {
    std::array<int, 32> x{};
    int total = 0;
    for (int& value : x) total += value = next(255) - 127;
    const float column_scale = static_cast<float>(1 + next(100)) / 1024.0F;
    for (const int value : x) data->column.push_back(static_cast<int8_t>(value));
    data->column_scales.push_back(column_scale);
    data->column_sums.push_back(8 * total);
    const size_t start = data->nibbles.size();
    data->nibbles.resize(start + static_cast<size_t>(16 * lanes));
    for (int64_t row = 0; row < lanes; ++row) {
      const float scale = static_cast<float>(1 + next(100)) / 1024.0F;
      data->scales.push_back(ir::float_to_f16(scale));
      int dot = 0;
      for (int k = 0; k < 32; ++k) {
        const int code = next(16);
        dot += (code - 8) * x[static_cast<size_t>(k)];
        const int64_t at = k % 16 / 4 * lanes * 4 + row * 4 + k % 4;
        data->nibbles[start + static_cast<size_t>(at)] |=
            static_cast<uint8_t>(code << (k / 16 * 4));
      }
      const double term = double{scale} * column_scale * dot;
      data->exact[static_cast<size_t>(row)] += term;
      data->size[static_cast<size_t>(row)] += std::abs(term);
    }
  }
  return data;
}

}  // namespace

Result<Probe> q4_dot_probe(const ir::Target& target) {
  LATHE_TRY(Native made, make_native(q4_dot(target)));
  auto kernel = std::make_shared<Native>(std::move(made));
  auto data = make_data(target.lanes);
  const auto run = [kernel, data] {
    const uint64_t slots[] = {reinterpret_cast<uint64_t>(data->nibbles.data()),
                              reinterpret_cast<uint64_t>(data->scales.data()),
                              reinterpret_cast<uint64_t>(data->column.data()),
                              reinterpret_cast<uint64_t>(data->column_scales.data()),
                              reinterpret_cast<uint64_t>(data->column_sums.data()),
                              reinterpret_cast<uint64_t>(data->out.data())};
    (*kernel)(slots);
  };
  const auto check = [=]() -> Status {
    run();
    for (size_t row = 0; row < data->out.size(); ++row)
      if (!(std::abs(data->out[row] - data->exact[row]) <= 1e-5 * data->size[row]))
        return fail(ErrorCode::mismatch, "q4 dot: row {} is {}, expected {}", row, data->out[row],
                    data->exact[row]);
    return {};
  };
  return Probe{{"q4_0 . q8", run, static_cast<double>(kBlocks * target.lanes)}, check};
}

}  // namespace lathe::bench
