// Grows a program step by step; each step appends one instruction or a small group that keeps the
// promises of random_program.h.
#include "tests/support/random_program.h"

#include <array>

#include "tests/support/random_registers.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: the generator speaks the builder's language
using ir::Tensor;
using ir::Type;

constexpr int64_t kFinalStores = 1024;  // where they begin in the output

class Generator : RandomRegisters {
 public:
  using RandomRegisters::RandomRegisters;

  RandomProgram run() {
    for (int i = 0; i < 2; ++i) keep(ints_, load_somewhere(MemoryType::raw32));
    block(options_.steps, options_.depth);
    store_everything();
    return {builder_.finish(), contents(), {pick_number(), static_cast<int64_t>(below(6))}};
  }

 private:
  void block(int steps, int depth) {
    for (int i = 0; i < steps; ++i) {
      if (depth > 0 && chance(8)) {
        const int inner = 1 + static_cast<int>(below(8));
        chance(60) ? loop(inner, depth - 1) : branch(inner, depth - 1);
        i += inner;
      } else {
        step();
      }
    }
  }

  void loop(int steps, int depth) {
    const int64_t begin = static_cast<int64_t>(below(3));
    const auto step = static_cast<int64_t>(1 + below(3));
    Count end = static_cast<int64_t>(below(8));
    if (chance(50)) end = scalar_with(Op::sand, any_scalar(), {{}, 7}, 0);
    builder_.loop(begin, end, step, [&](Scalar counter) {
      scoped([&] {
        parameters_.push_back(counter);  // read as one, never written
        if (chance(50)) {
          walk(begin, counter);
        } else {
          keep(ints_, counted_load(counter));
        }
        block(steps, depth);
      });
    });
  }

  // The counter as an index without a mask: it stays below 8.
  Vec counted_load(Scalar counter) {
    return builder_.load(input_, Span{static_cast<int64_t>(below(32)), counter, 0, true});
  }

  // A pointer that moves inside a loop of its own.
  void walk(int64_t begin, Scalar counter) {
    const Pointer moving = builder_.offset(input_, counter);
    Vec sum = builder_.load_splat(moving, 1);
    builder_.loop(begin, begin + 3, 1, [&](Scalar) {
      builder_.set(sum, builder_.int_op(Op::iadd, sum, builder_.load(moving, Span{})));
      builder_.advance(moving, 12);
    });
    keep(ints_, builder_.copy(sum));
  }

  void branch(int steps, int depth) {
    const Scalar left = any_scalar();
    const Count right = any_count();
    const auto part = [&](int count) {
      return [this, count, depth] { scoped([&] { block(count, depth); }); };
    };
    std::function<void()> otherwise;
    if (chance(50)) otherwise = part(steps / 2 + 1);
    builder_.branch(any_compare(), left, right, part(steps), otherwise);
  }

  void step() {
    switch (below(16)) {
      case 0:
      case 1:
      case 2: return float_step();
      case 3: return float_to_int_step();
      case 4:
      case 5: return int_step();
      case 6: return narrow_step();
      case 7: return lane_step();
      case 8:
      case 9: return mask_step();
      case 10: return load_step();
      case 11: return store_step();
      case 12:
      case 13: return scalar_step();
      case 14: return approximation_step();
      default: return conversion_step();
    }
  }

  void float_step() {
    const Vec a = any_float(), b = any_float();
    static constexpr Op kTwo[] = {Op::fadd, Op::fsub, Op::fmul, Op::fdiv, Op::fmin, Op::fmax};
    static constexpr Op kThree[] = {Op::fma, Op::fms, Op::fnma};
    static constexpr Op kOne[] = {Op::fsqrt, Op::fround, Op::ftrunc, Op::round_f16, Op::round_bf16};
    switch (below(4)) {
      case 0: return keep(floats_, builder_.vector_op(pick(kOne), {a}));
      case 1: {
        const Vec c = any_float();
        return keep(floats_, builder_.vector_op(pick(kThree), {a, b, c}));
      }
      default: return keep(floats_, builder_.vector_op(pick(kTwo), {a, b}));
    }
  }

  void float_to_int_step() {
    if (chance(60)) return keep(ints_, sanitize(any_float()));
    keep(ints_, builder_.to_int(any_float()));
  }

  void int_step() {
    static constexpr Op kTwo[] = {Op::iadd, Op::isub, Op::imul, Op::imin, Op::imax,
                                  Op::iand, Op::ior,  Op::ixor, Op::iandn};
    static constexpr Op kShift[] = {Op::ishl, Op::ishr, Op::isar};
    const Vec a = any_int();
    if (chance(25)) {
      const Op op = pick(kShift);
      return keep(ints_, builder_.shift(op, a, static_cast<int>(below(32))));
    }
    if (chance(10)) return keep(ints_, builder_.copy(a));
    const Vec b = any_int();
    keep(ints_, builder_.int_op(pick(kTwo), a, b));
  }

  Vec narrow_load() {
    const int bytes = chance(50) ? 8 : 16;
    return builder_.load_group(narrow_, bytes, byte_offset());
  }
  int64_t byte_offset() { return static_cast<int64_t>(below(kLargestOffset)); }

  // Narrow integers with the ranges that the verifier asks for.
  void narrow_step() {
    const auto dot = [&] {
      const Vec a = any_int();
      const Vec nibbles = builder_.bit_and(a, inline_constant(0x0F0F0F0F));
      return builder_.int_op(Op::dot2_u8s8, nibbles, narrow_load());
    };
    switch (below(4)) {
      case 0: {
        Vec sum = dot();
        for (uint64_t more = below(3); more > 0; --more)
          sum = builder_.int_op(Op::iadd16, sum, dot());
        return keep(ints_, builder_.int_op(Op::dot2_s16, sum, inline_constant(0x00010001)));
      }
      case 1: {
        const Vec a = narrow_load(), b = narrow_load();
        const Vec magnitude = builder_.vector_op(Op::iabs8, {a});
        const Vec with_sign = builder_.int_op(Op::isign8, b, a);
        return keep(ints_, builder_.dot4(magnitude, with_sign, any_int()));
      }
      case 2: return keep(ints_, builder_.vector_op(Op::iabs8, {any_int()}));
      default: {
        const Vec table = any_int();
        return keep(ints_, builder_.int_op(Op::byte_shuffle, table, any_int()));
      }
    }
  }

  std::vector<uint8_t> any_pattern(int sources) {
    const auto range = static_cast<uint64_t>(lanes_) * static_cast<uint64_t>(sources);
    std::vector<uint8_t> pattern;
    const uint64_t start = below(range);
    const bool rotation = chance(30);
    const bool swap = chance(30);
    for (uint64_t i = 0; i < static_cast<uint64_t>(lanes_); ++i) {
      const uint64_t lane = rotation ? start + i : swap ? i ^ 1 : below(range);
      pattern.push_back(static_cast<uint8_t>(lane % range));
    }
    return pattern;
  }

  void lane_step() {
    static constexpr Op kReduce[] = {Op::reduce_add, Op::reduce_min, Op::reduce_max};
    switch (below(6)) {
      case 5: {
        const Vec index = any_int();
        std::array<uint32_t, 8> table{};
        for (uint32_t& word : table) word = static_cast<uint32_t>(below(uint64_t{1} << 32));
        return keep(ints_, builder_.lookup8(index, table));
      }
      case 0: {
        const Vec a = any_int();
        return keep(ints_, builder_.permute(a, any_pattern(1)));
      }
      case 1: {
        const Vec a = any_float();
        return keep(floats_, builder_.permute(a, any_pattern(1)));
      }
      case 2: {
        const Vec a = any_int(), b = any_int();
        return keep(ints_, builder_.shuffle(a, b, any_pattern(2)));
      }
      case 3: {
        const Vec a = any_float(), b = any_float();
        return keep(floats_, builder_.shuffle(a, b, any_pattern(2)));
      }
      default: {
        const Vec a = any_float();
        return keep(floats_, builder_.vector_op(pick(kReduce), {a}));
      }
    }
  }

  void mask_step() {
    switch (below(7)) {
      case 0: {
        const Vec a = any_float(), b = any_float();
        return keep(masks_, builder_.compare(any_compare(), a, b));
      }
      case 1: {
        const Vec a = any_int(), b = any_int();
        return keep(masks_, builder_.compare_int(any_compare(), a, b));
      }
      case 2: return keep(masks_, builder_.is_nan(any_float()));
      case 3: {
        const Mask a = any_mask(), b = any_mask();
        return keep(masks_, chance(50) ? builder_.both(a, b) : builder_.either(a, b));
      }
      case 4: return keep(masks_, builder_.negate(any_mask()));
      case 5: {
        const Mask mask = any_mask();
        const Vec a = any_float();
        return keep(floats_, builder_.select(mask, a, any_float()));
      }
      default: {
        const Mask mask = any_mask();
        const Vec a = any_int();
        return keep(ints_, builder_.select(mask, a, any_int()));
      }
    }
  }

  void load_step() {
    static constexpr MemoryType kInts[] = {MemoryType::raw32, MemoryType::i8, MemoryType::u8,
                                           MemoryType::i16, MemoryType::u16};
    switch (below(4)) {
      case 0:  // widening a signalling NaN may quieten it
        return keep(floats_, load_somewhere(chance(50) ? MemoryType::f16 : MemoryType::bf16));
      case 1: return keep(ints_, narrow_load());
      default: return keep(ints_, load_somewhere(pick(kInts)));
    }
  }

  void store_step() {
    static constexpr MemoryType kInts[] = {MemoryType::raw32, MemoryType::i8, MemoryType::u8,
                                           MemoryType::i16, MemoryType::u16};
    if (chance(10)) {
      const int64_t offset = pick_number() % 100000;
      return builder_.prefetch(input_, offset, static_cast<int>(below(4)));
    }
    Instr instr{.op = Op::store};
    const bool is_float = chance(40);
    instr.src[0] = is_float ? sanitize(any_float()).reg : any_int().reg;
    if (is_float) {
      static constexpr MemoryType kFloats[] = {MemoryType::raw32, MemoryType::f16,
                                               MemoryType::bf16};
      instr.memory = pick(kFloats);
    } else {
      instr.memory = pick(kInts);
    }
    if (chance(25)) {
      instr.op = Op::store_stream;
      instr.memory = MemoryType::raw32;
      instr.address.pointer = output_.reg;
      instr.address.offset = static_cast<int64_t>(below(8)) * 64;
    } else {
      if (chance(40)) {
        instr.op = Op::store_part;
        instr.scalar = part_count();
      }
      instr.address = somewhere(output_, 64);
    }
    builder_.emit(instr);
  }

  void scalar_step() {
    static constexpr Op kTwo[] = {Op::sadd, Op::ssub, Op::smul, Op::smin, Op::smax, Op::sand};
    switch (below(10)) {
      case 0: return keep(scalars_, builder_.scalar(pick_number()));
      case 1: return keep(scalars_, builder_.copy(any_scalar()));
      case 2: {
        const Op op = chance(50) ? Op::sshl : Op::sshr;
        const Scalar a = any_scalar();
        return keep(scalars_, scalar_with(op, a, {}, static_cast<int64_t>(below(64))));
      }
      case 3: return divide();
      case 4: {
        static constexpr int64_t kBytes[] = {1, 2, 4, 8, -1, -2, -4, -8};
        Instr instr{.op = Op::sload};
        instr.imm = pick(kBytes);
        instr.address = somewhere(chance(50) ? input_ : output_, 8);
        return keep(scalars_, emit<Scalar>(instr));
      }
      case 5: {
        Instr instr{.op = Op::sbits};
        instr.src[0] = any_mask().reg;
        return keep(scalars_, emit<Scalar>(instr));
      }
      case 6: {
        Instr instr{.op = Op::slane};
        instr.src[0] = any_int().reg;
        instr.imm = static_cast<int64_t>(below(static_cast<uint64_t>(lanes_)));
        return keep(scalars_, emit<Scalar>(instr));
      }
      case 7: {
        const Pointer moved = builder_.offset(output_, Count(byte_offset()));
        return keep(scalars_, builder_.misaligned(moved, int64_t{1} << below(7)));
      }
      default: {
        const Scalar a = any_scalar();
        const Count b = any_count();
        return keep(scalars_, scalar_with(pick(kTwo), a, b.operand, 0));
      }
    }
  }

  void divide() {
    const Scalar a = any_scalar();
    if (chance(50)) {
      static constexpr int64_t kDivisors[] = {1, 2, 3, 7, 64, 1000003, -3, -64};
      return keep(scalars_, builder_.div(a, Count(pick(kDivisors))));
    }
    return keep(scalars_, builder_.div(a, builder_.max(any_scalar(), 1)));
  }

  // |r * x - 1| < 2^-10, which every allowed r passes; so the mask is all ones, and known.
  void approximation_step() {
    const Vec low = inline_constant(0x2F800000), high = inline_constant(0x4F800000);  // 2^-32, 2^32
    const Vec x = builder_.min(builder_.max(any_float(), low), high);
    const bool root = chance(50);
    Vec r = root ? builder_.rsqrt_approx(x) : builder_.recip_approx(x);
    if (root) r = builder_.mul(r, r);
    const Vec product = builder_.mul(r, x);
    const Vec error = builder_.sub(product, inline_constant(0x3F800000));
    const Vec square = builder_.mul(error, error);
    keep(masks_, builder_.compare(Compare::lt, square, inline_constant(0x35800000)));  // 2^-20
  }

  void conversion_step() {
    switch (below(5)) {
      case 0: return keep(floats_, builder_.to_float(any_int()));
      case 1: return keep(ints_, emit<Vec>(Instr{.op = Op::viota}));
      case 2: {
        Instr instr{.op = Op::vsplat};
        instr.src[0] = any_scalar().reg;
        return keep(ints_, emit<Vec>(instr));
      }
      default: {  // an exponent in the allowed range, or NaN
        const Vec a = any_float(), b = any_int();
        const Vec low = builder_.int_op(Op::imax, b, inline_constant(static_cast<uint32_t>(-252)));
        Vec exponent = builder_.to_float(builder_.int_op(Op::imin, low, inline_constant(254)));
        if (chance(20)) {
          const Mask mask = any_mask();
          exponent = builder_.select(mask, inline_constant(0x7FC00000), exponent);
        }
        return keep(floats_, builder_.scale(a, exponent));
      }
    }
  }

  void store_everything() {
    int64_t at = kFinalStores / 4;
    const auto store = [&](Vec v) {
      builder_.store(output_, Span{at, {}, 0, true}, v);
      at += lanes_;
    };
    for (const Vec& v : floats_.live) store(sanitize(v));
    for (const Vec& v : ints_.live) store(v);
    for (const Mask& m : masks_.live)
      store(builder_.select(m, inline_constant(1), inline_constant(2)));
    for (const Scalar& s : scalars_.live) {
      for (const Scalar& part : {s, scalar_with(Op::sshr, s, {}, 32)}) {
        Instr instr{.op = Op::vsplat};
        instr.src[0] = part.reg;
        store(emit<Vec>(instr));
      }
    }
  }

  std::vector<Tensor> contents() {
    const int registers = options_.floats + options_.ints + options_.masks + 2 * options_.scalars;
    const int64_t bytes = kFinalStores + int64_t{registers} * lanes_ * 4;
    std::vector<Tensor> buffers(3, Tensor(Type::u8, {bytes}));
    for (const size_t i : {0, 2})
      for (uint32_t& word : buffers[i].as<uint32_t>()) word = pick_bits();
    for (int8_t& byte : buffers[1].as<int8_t>())
      byte = static_cast<int8_t>(static_cast<int>(below(255)) - 127);
    return buffers;
  }
};

}  // namespace

RandomProgram random_program(uint64_t seed, const ir::Target& target,
                             const RandomProgramOptions& options) {
  return Generator(seed, target, options).run();
}

}  // namespace lathe::tests
