// The registers of a growing random program: pools of what may be read and written, and the choices
// among them.
#pragma once

#include <bit>
#include <random>
#include <vector>

#include "ir/program/builder.h"
#include "tests/support/random_program.h"

namespace lathe::tests {

/// Makes every choice from one seeded generator, in an order that no compiler may change: arguments
/// that choose are named before the call. Not thread-safe.
class RandomRegisters {
 public:
  RandomRegisters(uint64_t seed, const ir::Target& target, const RandomProgramOptions& options)
      : random_(seed), options_(options), builder_("random", target), lanes_(target.lanes) {
    input_ = builder_.buffer("input", ir::Type::f32, BufferAccess::read);
    narrow_ = builder_.buffer("narrow", ir::Type::i8, BufferAccess::read, -127, 127);
    output_ = builder_.buffer("output", ir::Type::f32, BufferAccess::read_write);
    for (const char* name : {"n", "m"}) parameters_.push_back(builder_.parameter(name));
  }

 protected:
  using Address = ir::program::Address;
  using BufferAccess = ir::program::BufferAccess;
  using Builder = ir::program::Builder;
  using Compare = ir::program::Compare;
  using Count = ir::program::Count;
  using Instr = ir::program::Instr;
  using Mask = ir::program::Mask;
  using MemoryType = ir::program::MemoryType;
  using Op = ir::program::Op;
  using Operand = ir::program::Operand;
  using Pointer = ir::program::Pointer;
  using Scalar = ir::program::Scalar;
  using Vec = ir::program::Vec;

  /// No access before the final stores ends beyond.
  static constexpr int64_t kLargestOffset = 512;

  // The registers of one kind that may be read and written here.
  template <typename H>
  struct Pool {
    std::vector<H> live;
    int limit = 0;
  };

  uint64_t below(uint64_t n) { return random_() % n; }
  bool chance(int percent) { return below(100) < static_cast<uint64_t>(percent); }
  template <typename C>
  auto& pick(C& container) {
    return container[below(std::size(container))];
  }

  int64_t pick_number() {
    switch (below(4)) {
      case 0: return static_cast<int64_t>(random_());
      case 1: return static_cast<int64_t>(below(16)) - 8;
      case 2: return static_cast<int64_t>(below(1000));
      default: return static_cast<int32_t>(random_());
    }
  }
  uint32_t pick_bits() {
    switch (below(4)) {
      case 0: return static_cast<uint32_t>(random_());
      case 1: return std::bit_cast<uint32_t>(static_cast<float>(below(4096)) / 512.0F - 4.0F);
      default: return kInterestingBits[below(std::size(kInterestingBits))];
    }
  }

  template <typename H>
  H emit(const Instr& instr) {
    H handle;
    handle.reg = builder_.emit(instr);
    handle.builder = &builder_;
    return handle;
  }

  // A new register joins its pool, or the value goes into one that is there.
  template <typename H>
  void keep(Pool<H>& pool, H value) {
    const bool full = pool.live.size() >= static_cast<size_t>(pool.limit);
    if (!pool.live.empty() && (full || chance(40))) {
      builder_.set(pick(pool.live), value);
    } else if (!full) {
      pool.live.push_back(value);
    }
  }

  Vec number_vector(uint32_t bits) {
    if (chance(20)) return builder_.constant_bits(bits % 2 == 0 ? 0x40490FDBU : 0U);
    return inline_constant(bits);
  }
  // Made where it is used, so that it lives shortly.
  Vec inline_constant(uint32_t bits) {
    Instr instr{.op = Op::vconst};
    instr.imm = bits;
    return emit<Vec>(instr);
  }

  // Any bits are a float; a float result is no integer before sanitize().
  Vec any_float() {
    if (chance(10) || (floats_.live.empty() && ints_.live.empty()))
      return number_vector(pick_bits());
    return floats_.live.empty() || (chance(30) && !ints_.live.empty()) ? pick(ints_.live)
                                                                       : pick(floats_.live);
  }
  Vec any_int() {
    return ints_.live.empty() || chance(10) ? number_vector(pick_bits()) : pick(ints_.live);
  }
  Scalar any_scalar() {
    return scalars_.live.empty() || chance(20) ? pick(parameters_) : pick(scalars_.live);
  }
  Mask any_mask() {
    if (!masks_.live.empty()) return pick(masks_.live);
    const Vec a = any_int(), b = any_int();
    return builder_.compare_int(any_compare(), a, b);
  }
  Compare any_compare() { return static_cast<Compare>(below(6)); }
  Count any_count() { return chance(50) ? Count(any_scalar()) : Count(pick_number()); }

  Vec sanitize(Vec a) {
    const Mask nan = builder_.is_nan(a);
    return builder_.select(nan, inline_constant(0x3FC00000), a);
  }

  Scalar scalar_with(Op op, Scalar a, Operand b, int64_t imm) {
    Instr instr{.op = op};
    instr.src[0] = a.reg;
    instr.scalar = b;
    instr.imm = imm;
    return emit<Scalar>(instr);
  }

  // An address whose end stays below kLargestOffset: at most 31 * 8 by the index.
  Address somewhere(Pointer base, int64_t bytes) {
    Address address;
    address.pointer = base.reg;
    int64_t by_index = 0;
    if (chance(60)) {
      address.index = scalar_with(Op::sand, any_scalar(), {{}, 31}, 0).reg;
      address.scale = 1 << below(4);
      by_index = 31 * 8;
    }
    const int64_t room = kLargestOffset - by_index - bytes;
    address.offset = static_cast<int64_t>(below(static_cast<uint64_t>(room)));
    return address;
  }

  Vec load_somewhere(MemoryType type) {
    const Pointer base = chance(30) ? output_ : input_;
    Instr instr{.op = Op::load};
    instr.memory = type;
    switch (below(4)) {
      case 0: instr.op = Op::load_splat; break;
      case 1:
        instr.op = Op::load_part;
        instr.scalar = part_count();
        break;
      default: break;
    }
    instr.address = somewhere(base, 64);
    return emit<Vec>(instr);
  }

  Operand part_count() {
    if (chance(50)) return {{}, static_cast<int64_t>(below(static_cast<uint64_t>(lanes_) + 1))};
    const Scalar low = builder_.max(any_scalar(), 0);
    return {builder_.min(low, lanes_).reg, 0};
  }

  // What a loop or a branch makes is not defined outside.
  template <typename F>
  void scoped(F body) {
    const auto floats = floats_, ints = ints_;
    const auto masks = masks_;
    const auto scalars = scalars_;
    const auto parameters = parameters_;
    body();
    floats_ = floats;
    ints_ = ints;
    masks_ = masks;
    scalars_ = scalars;
    parameters_ = parameters;
  }

  std::mt19937_64 random_;
  RandomProgramOptions options_;
  Builder builder_;
  int lanes_;
  Pointer input_, narrow_, output_;
  std::vector<Scalar> parameters_;  // and the counters of the loops around
  Pool<Vec> floats_{{}, options_.floats}, ints_{{}, options_.ints};
  Pool<Mask> masks_{{}, options_.masks};
  Pool<Scalar> scalars_{{}, options_.scalars};

 private:
  static constexpr uint32_t kInterestingBits[] = {
      0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000,
      0xFFC00123, 0x00000001, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x4B000001,
      0x4B7FFFFF, 0x3F000000, 0x40200000, 0xC0600000, 0x4EFFFFFF, 0x4F000000, 0xCF000000,
      0x477FE000, 0x477FF000, 0x33000000, 0x387FC000, 0x7FFFFFFF, 0xFFFFFFFF, 0x80008000,
      0x7FFF7FFF, 0x0F0F0F0F, 0x80808080, 0x00010001};
};

}  // namespace lathe::tests
