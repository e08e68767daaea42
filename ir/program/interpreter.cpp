// The interpreter's loop: one switch over decoded instructions, registers in flat arrays.
#include "ir/program/interpreter.h"

#include <algorithm>
#include <array>

#include "ir/program/decoded.h"
#include "ir/program/lane_ops.h"
#include "ir/program/memory.h"
#include "ir/program/printer.h"

namespace lathe::ir::program {
namespace {

using lane::as_bits;
using lane::as_float;
using lane::as_int;

// The number of lanes is a template parameter, so that lane loops have a known length.
template <int N>
class Machine {
 public:
  Machine(const Decoded& decoded, std::span<const BufferView> views,
          std::span<const int64_t> parameters, const InterpreterOptions& options)
      : decoded_(decoded),
        program_(*decoded.program),
        fused_(program_.target.fused),
        limit_(options.instruction_limit),
        memory_(program_, views, options.observer),
        vectors_(size_t{program_.count(RegClass::vector)} * N),
        masks_(program_.count(RegClass::mask)),
        scalars_(program_.count(RegClass::scalar)),
        pointers_(program_.count(RegClass::pointer)),
        loop_ends_(decoded.loops) {
    scalars_.insert(scalars_.end(), decoded.constants.begin(), decoded.constants.end());
    for (size_t i = 0; i < views.size(); ++i)
      pointers_[program_.buffers[i].pointer.id] = views[i].start;
    for (size_t i = 0; i < parameters.size(); ++i)
      scalars_[program_.parameters[i].reg.id] = parameters[i];
  }

  Result<Trace> run() {
    const std::vector<Code>& code = decoded_.code;
    uint64_t trips = 0;
    size_t next = 0;
    while (next < code.size()) {
      const Code& c = code[next++];
      switch (c.kind) {
        case Code::Kind::instr:
          ++memory_.trace.instructions;
          if (!execute(c)) return broken(c);
          break;
        case Code::Kind::loop_begin: {
          const int64_t begin = scalars_[c.src[0]], end = scalars_[c.src[1]];
          scalars_[c.dst] = begin;
          loop_ends_[c.src[2]] = end;
          if (begin >= end) next = c.target;
          break;
        }
        case Code::Kind::loop_end: {
          if (memory_.trace.instructions + ++trips > limit_)
            return fail(ErrorCode::resource_exhausted,
                        "program '{}': stopped after {} instructions; raise instruction_limit if "
                        "it should run longer",
                        program_.name, memory_.trace.instructions);
          int64_t counter = 0;
          const bool wrapped = __builtin_add_overflow(scalars_[c.dst], c.imm, &counter);
          scalars_[c.dst] = counter;
          if (!wrapped && counter < loop_ends_[c.src[2]]) next = c.target;
          break;
        }
        case Code::Kind::branch:
          if (!lane::holds(c.compare, scalars_[c.src[0]], scalars_[c.src[1]])) next = c.target;
          break;
        case Code::Kind::jump: next = c.target; break;
      }
    }
    return memory_.trace;
  }

 private:
  using Lanes = std::array<uint32_t, N>;

  tl::unexpected<Error> broken(const Code& c) const {
    return fail(ErrorCode::verify_error, "program '{}': '{}': {}", program_.name, print(*c.source),
                memory_.error().empty() ? error_ : memory_.error());
  }
  bool stop(std::string why) {
    error_ = std::move(why);
    return false;
  }

  const uint32_t* vec(uint32_t at) const { return &vectors_[at]; }
  void put(const Code& c, const Lanes& lanes) {
    std::copy(lanes.begin(), lanes.end(), &vectors_[c.dst]);
  }

  template <typename F>
  bool fill(const Code& c, F f) {
    Lanes out;
    for (int i = 0; i < N; ++i) out[i] = f(i);
    put(c, out);
    return true;
  }
  template <typename F>
  bool bits1(const Code& c, F f) {
    const uint32_t* a = vec(c.src[0]);
    return fill(c, [&](int i) { return f(a[i]); });
  }
  template <typename F>
  bool bits2(const Code& c, F f) {
    const uint32_t *a = vec(c.src[0]), *b = vec(c.src[1]);
    return fill(c, [&](int i) { return f(a[i], b[i]); });
  }
  template <typename F>
  bool float1(const Code& c, F f) {
    return bits1(c, [&](uint32_t a) { return as_bits(f(as_float(a))); });
  }
  template <typename F>
  bool float2(const Code& c, F f) {
    return bits2(c, [&](uint32_t a, uint32_t b) { return as_bits(f(as_float(a), as_float(b))); });
  }
  // sign_product * (a * b) + sign_sum * c, fused or in two roundings.
  bool multiply_add(const Code& code, bool negate_product, bool negate_sum) {
    const uint32_t *a = vec(code.src[0]), *b = vec(code.src[1]), *c = vec(code.src[2]);
    const uint32_t product_sign = negate_product ? 0x80000000U : 0;
    const uint32_t sum_sign = negate_sum ? 0x80000000U : 0;
    return fill(code, [&](int i) {
      const float x = as_float(a[i] ^ product_sign), y = as_float(b[i]);
      const float z = as_float(c[i] ^ sum_sign);
      return as_bits(fused_ ? std::fma(x, y, z) : x * y + z);
    });
  }
  template <typename F>
  bool mask2(const Code& c, F f) {
    const uint32_t *a = vec(c.src[0]), *b = vec(c.src[1]);
    uint32_t mask = 0;
    for (int i = 0; i < N; ++i) mask |= static_cast<uint32_t>(f(a[i], b[i])) << i;
    masks_[c.dst] = mask;
    return true;
  }
  template <typename F>
  bool narrow2(const Code& c, F f) {
    bool overflow = false;
    bits2(c, [&](uint32_t a, uint32_t b) { return f(a, b, overflow); });
    return !overflow || stop("a lane saturates or wraps, which the verifier had excluded");
  }
  template <typename F>
  bool reduce(const Code& c, F f) {
    Lanes lanes;
    std::copy_n(vec(c.src[0]), N, lanes.begin());
    for (int half = N / 2; half >= 1; half /= 2)
      for (int i = 0; i < half; ++i)
        lanes[i] = as_bits(f(as_float(lanes[i]), as_float(lanes[i + half])));
    return fill(c, [&](int) { return lanes[0]; });
  }
  template <typename F>
  bool scalar2(const Code& c, F f) {
    scalars_[c.dst] = static_cast<int64_t>(
        f(static_cast<uint64_t>(scalars_[c.src[0]]), static_cast<uint64_t>(scalars_[c.scalar])));
    return true;
  }

  // Wraps modulo 2^64, as address arithmetic does.
  int64_t address(const Code& c) const {
    return static_cast<int64_t>(static_cast<uint64_t>(pointers_[c.pointer]) +
                                static_cast<uint64_t>(scalars_[c.index]) *
                                    static_cast<uint64_t>(c.scale) +
                                static_cast<uint64_t>(c.offset));
  }

  bool load_lanes(const Code& c, int64_t count) {
    Lanes lanes{};
    if (count > 0) {
      const std::byte* from = memory_.read(c, address(c), count * bytes_of(c.memory));
      if (from == nullptr) return false;
      lane::load(c.memory, from, static_cast<int>(count), lanes.data());
    }
    put(c, lanes);
    return true;
  }
  bool store_lanes(const Code& c, int64_t count) {
    if (count == 0) return true;
    std::byte* to = memory_.write(c, address(c), count * bytes_of(c.memory));
    if (to == nullptr) return false;
    lane::store(c.memory, to, static_cast<int>(count), vec(c.src[0]));
    return true;
  }
  bool valid_count(int64_t count) {
    return (count >= 0 && count <= N) || stop(fmt::format("count {}; expected 0 … {}", count, N));
  }

  bool load_splat(const Code& c) {
    const std::byte* from = memory_.read(c, address(c), bytes_of(c.memory));
    if (from == nullptr) return false;
    uint32_t element = 0;
    lane::load(c.memory, from, 1, &element);
    return fill(c, [&](int) { return element; });
  }
  bool load_group(const Code& c) {
    const int64_t bytes = std::min<int64_t>(c.imm, N * 4);
    const std::byte* from = memory_.read(c, address(c), bytes);
    if (from == nullptr) return false;
    Lanes lanes;
    for (int64_t at = 0; at < N * 4; at += bytes)
      std::memcpy(reinterpret_cast<std::byte*>(lanes.data()) + at, from,
                  static_cast<size_t>(bytes));
    put(c, lanes);
    return true;
  }
  bool load_scalar(const Code& c) {
    const int64_t bytes = std::abs(c.imm);
    const std::byte* from = memory_.read(c, address(c), bytes);
    if (from == nullptr) return false;
    uint64_t value = 0;
    std::memcpy(&value, from, static_cast<size_t>(bytes));
    const int unused = static_cast<int>(64 - 8 * bytes);
    const auto high = static_cast<int64_t>(value << unused);
    scalars_[c.dst] = c.imm < 0 ? high >> unused : static_cast<int64_t>(value);
    return true;
  }
  bool byte_shuffle(const Code& c) {
    constexpr int kGroup = std::min(16, N * 4);
    std::array<uint8_t, N * 4> table, select, out;
    std::memcpy(table.data(), vec(c.src[0]), N * 4);
    std::memcpy(select.data(), vec(c.src[1]), N * 4);
    for (int i = 0; i < N * 4; ++i)
      out[i] = (select[i] & 0x80) != 0 ? 0 : table[i / kGroup * kGroup + select[i] % kGroup];
    std::memcpy(&vectors_[c.dst], out.data(), N * 4);
    return true;
  }
  bool scale(const Code& c) {
    const uint32_t* b = vec(c.src[1]);
    for (int i = 0; i < N; ++i)
      if (!lane::valid_exponent(as_float(b[i])))
        return stop(fmt::format("exponent {} in lane {}; expected an integral value in [-252, 254]",
                                as_float(b[i]), i));
    return float2(c, lane::scale);
  }

  bool execute(const Code& c);

  const Decoded& decoded_;
  const Program& program_;
  const bool fused_;
  const uint64_t limit_;
  Memory memory_;
  std::string error_;
  std::vector<uint32_t> vectors_, masks_;
  std::vector<int64_t> scalars_, pointers_, loop_ends_;
};

template <int N>
bool Machine<N>::execute(const Code& c) {
  const auto compare = static_cast<Compare>(c.imm);
  switch (c.op) {
    case Op::vconst: return fill(c, [&](int) { return static_cast<uint32_t>(c.imm); });
    case Op::viota: return fill(c, [](int i) { return static_cast<uint32_t>(i); });
    case Op::vsplat: return fill(c, [&](int) { return static_cast<uint32_t>(scalars_[c.src[0]]); });
    case Op::vmov: return bits1(c, [](uint32_t a) { return a; });

    case Op::fadd: return float2(c, [](float a, float b) { return a + b; });
    case Op::fsub: return float2(c, [](float a, float b) { return a - b; });
    case Op::fmul: return float2(c, [](float a, float b) { return a * b; });
    case Op::fdiv: return float2(c, [](float a, float b) { return a / b; });
    case Op::fma: return multiply_add(c, false, false);
    case Op::fms: return multiply_add(c, false, true);
    case Op::fnma: return multiply_add(c, true, false);
    case Op::fmin: return float2(c, lane::min);
    case Op::fmax: return float2(c, lane::max);
    case Op::fsqrt: return float1(c, [](float a) { return std::sqrt(a); });
    case Op::frecip: return float1(c, lane::reciprocal);
    case Op::frsqrt: return float1(c, lane::reciprocal_sqrt);
    case Op::fround: return float1(c, lane::round_even);
    case Op::ftrunc: return float1(c, lane::truncate);
    case Op::fscale: return scale(c);
    case Op::round_f16: return float1(c, lane::round_f16);
    case Op::round_bf16: return float1(c, lane::round_bf16);
    case Op::f2i: return bits1(c, [](uint32_t a) { return lane::to_int(as_float(a)); });
    case Op::i2f:
      return bits1(c, [](uint32_t a) { return as_bits(static_cast<float>(as_int(a))); });

    case Op::iadd: return bits2(c, [](uint32_t a, uint32_t b) { return a + b; });
    case Op::isub: return bits2(c, [](uint32_t a, uint32_t b) { return a - b; });
    case Op::imul: return bits2(c, [](uint32_t a, uint32_t b) { return a * b; });
    case Op::imin:
      return bits2(c, [](uint32_t a, uint32_t b) { return as_int(a) < as_int(b) ? a : b; });
    case Op::imax:
      return bits2(c, [](uint32_t a, uint32_t b) { return as_int(a) > as_int(b) ? a : b; });
    case Op::iand: return bits2(c, [](uint32_t a, uint32_t b) { return a & b; });
    case Op::ior: return bits2(c, [](uint32_t a, uint32_t b) { return a | b; });
    case Op::ixor: return bits2(c, [](uint32_t a, uint32_t b) { return a ^ b; });
    case Op::iandn: return bits2(c, [](uint32_t a, uint32_t b) { return ~a & b; });
    case Op::ishl: return bits1(c, [&](uint32_t a) { return lane::shift_left(a, c.imm); });
    case Op::ishr: return bits1(c, [&](uint32_t a) { return lane::shift_right(a, c.imm); });
    case Op::isar: return bits1(c, [&](uint32_t a) { return lane::shift_right_signed(a, c.imm); });

    case Op::iadd16: return narrow2(c, lane::add16);
    case Op::dot2_u8s8: return narrow2(c, lane::dot2_u8s8);
    case Op::dot2_s16: return narrow2(c, lane::dot2_s16);
    case Op::dot4_u8s8: {
      const uint32_t* sum = vec(c.src[2]);
      const uint32_t *a = vec(c.src[0]), *b = vec(c.src[1]);
      return fill(c, [&](int i) { return lane::dot4_u8s8(a[i], b[i], sum[i]); });
    }
    case Op::iabs8: return bits1(c, lane::abs8);
    case Op::isign8: return narrow2(c, lane::sign8);

    case Op::permute: {
      const uint32_t* a = vec(c.src[0]);
      return fill(c, [&](int i) { return a[c.source->pattern[static_cast<size_t>(i)]]; });
    }
    case Op::shuffle2: {
      const uint32_t *a = vec(c.src[0]), *b = vec(c.src[1]);
      return fill(c, [&](int i) {
        const int from = c.source->pattern[static_cast<size_t>(i)];
        return from < N ? a[from] : b[from - N];
      });
    }
    case Op::byte_shuffle: return byte_shuffle(c);
    case Op::lookup8: return bits1(c, [&](uint32_t a) { return table_word(*c.source, a % 8); });
    case Op::reduce_add: return reduce(c, [](float a, float b) { return a + b; });
    case Op::reduce_min: return reduce(c, lane::min);
    case Op::reduce_max: return reduce(c, lane::max);

    case Op::fcmp:
      return mask2(c, [&](uint32_t a, uint32_t b) {
        return lane::holds(compare, as_float(a), as_float(b));
      });
    case Op::icmp:
      return mask2(
          c, [&](uint32_t a, uint32_t b) { return lane::holds(compare, as_int(a), as_int(b)); });
    case Op::fnan: {
      const uint32_t* a = vec(c.src[0]);
      uint32_t mask = 0;
      for (int i = 0; i < N; ++i) mask |= static_cast<uint32_t>(std::isnan(as_float(a[i]))) << i;
      masks_[c.dst] = mask;
      return true;
    }
    case Op::mand: masks_[c.dst] = masks_[c.src[0]] & masks_[c.src[1]]; return true;
    case Op::mor: masks_[c.dst] = masks_[c.src[0]] | masks_[c.src[1]]; return true;
    case Op::mnot: masks_[c.dst] = ~masks_[c.src[0]] & ((1U << N) - 1); return true;
    case Op::select: {
      const uint32_t mask = masks_[c.src[0]];
      const uint32_t *a = vec(c.src[1]), *b = vec(c.src[2]);
      return fill(c, [&](int i) { return (mask >> i & 1U) != 0 ? a[i] : b[i]; });
    }

    case Op::load: return load_lanes(c, N);
    case Op::load_part: return valid_count(scalars_[c.scalar]) && load_lanes(c, scalars_[c.scalar]);
    case Op::load_splat: return load_splat(c);
    case Op::load_group: return load_group(c);
    case Op::store: return store_lanes(c, N);
    case Op::store_part:
      return valid_count(scalars_[c.scalar]) && store_lanes(c, scalars_[c.scalar]);
    case Op::store_stream:
      if (memory_.address(c, address(c)) % (N * 4) != 0)
        return stop(fmt::format("the address, offset {} of its buffer, is not a multiple of {}",
                                address(c), N * 4));
      return store_lanes(c, N);
    case Op::prefetch: return true;

    case Op::sconst: scalars_[c.dst] = c.imm; return true;
    case Op::smov: scalars_[c.dst] = scalars_[c.src[0]]; return true;
    case Op::sadd: return scalar2(c, [](uint64_t a, uint64_t b) { return a + b; });
    case Op::ssub: return scalar2(c, [](uint64_t a, uint64_t b) { return a - b; });
    case Op::smul: return scalar2(c, [](uint64_t a, uint64_t b) { return a * b; });
    case Op::smin: scalars_[c.dst] = std::min(scalars_[c.src[0]], scalars_[c.scalar]); return true;
    case Op::smax: scalars_[c.dst] = std::max(scalars_[c.src[0]], scalars_[c.scalar]); return true;
    case Op::sand: return scalar2(c, [](uint64_t a, uint64_t b) { return a & b; });
    case Op::sshl:
      scalars_[c.dst] = static_cast<int64_t>(static_cast<uint64_t>(scalars_[c.src[0]]) << c.imm);
      return true;
    case Op::sshr: scalars_[c.dst] = scalars_[c.src[0]] >> c.imm; return true;
    case Op::sdiv: {
      const int64_t a = scalars_[c.src[0]], b = scalars_[c.scalar];
      if (b == 0) return stop("divides by zero");
      if (a == INT64_MIN && b == -1) return stop("the quotient does not fit an i64");
      scalars_[c.dst] = a / b;
      return true;
    }
    case Op::sload: return load_scalar(c);
    case Op::sbits: scalars_[c.dst] = masks_[c.src[0]]; return true;
    case Op::slane: scalars_[c.dst] = as_int(vec(c.src[0])[c.imm]); return true;
    case Op::pmov: pointers_[c.dst] = address(c); return true;
    case Op::pmisaligned: {
      const uint64_t at = memory_.address(c, pointers_[c.src[0]]);
      scalars_[c.dst] = static_cast<int64_t>(at & (static_cast<uint64_t>(c.imm) - 1));
      return true;
    }
  }
  return stop("unknown op");
}

}  // namespace

Result<Trace> interpret(const Decoded& decoded, std::span<const BufferView> buffers,
                        std::span<const int64_t> parameters, const InterpreterOptions& options) {
  const Program& program = *decoded.program;
  if (buffers.size() != program.buffers.size() || parameters.size() != program.parameters.size())
    return fail(ErrorCode::invalid_argument,
                "program '{}' takes {} buffers and {} parameters; got {} and {}", program.name,
                program.buffers.size(), program.parameters.size(), buffers.size(),
                parameters.size());
  for (size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].bytes < 0 || (buffers[i].data == nullptr && buffers[i].bytes != 0))
      return fail(ErrorCode::invalid_argument, "program '{}': buffer '{}' is {} with {} bytes",
                  program.name, program.buffers[i].name,
                  buffers[i].data == nullptr ? "null" : "given", buffers[i].bytes);
  switch (program.target.lanes) {
    case 1: return Machine<1>(decoded, buffers, parameters, options).run();
    case 4: return Machine<4>(decoded, buffers, parameters, options).run();
    case 8: return Machine<8>(decoded, buffers, parameters, options).run();
    case 16: return Machine<16>(decoded, buffers, parameters, options).run();
    default:
      return fail(ErrorCode::invalid_argument, "program '{}': target of {} lanes; verify it first",
                  program.name, program.target.lanes);
  }
}

Result<Trace> interpret(const Program& program, std::span<const BufferView> buffers,
                        std::span<const int64_t> parameters, const InterpreterOptions& options) {
  return interpret(decode(program), buffers, parameters, options);
}

}  // namespace lathe::ir::program
