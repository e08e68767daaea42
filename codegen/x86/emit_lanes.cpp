// Movement between lanes: permutations, byte shuffles, reductions.
#include <array>
#include <cassert>

#include "codegen/x86/emitter.h"
#include "codegen/x86/forms.h"

namespace lathe::codegen::x86 {
namespace {

using Kind = ShufflePlan::Kind;

// Lane indices of `pattern` as the words of an index vector.
std::vector<uint32_t> words(const std::vector<uint8_t>& pattern) {
  return {pattern.begin(), pattern.end()};
}

// Bit i: lane i comes from the second source.
int from_second(const std::vector<uint8_t>& pattern) {
  int bits = 0;
  for (size_t i = 0; i < pattern.size(); ++i)
    if (pattern[i] >= pattern.size()) bits |= 1 << i;
  return bits;
}

}  // namespace

bool Emitter::lane_op() {
  switch (instr().op) {
    case Op::permute:
    case Op::shuffle2: shuffle(); return true;
    case Op::byte_shuffle:
      if (a_.is_scalar())
        byte_shuffle_scalar();
      else
        binary(*binary_form(Op::byte_shuffle));
      return true;
    case Op::lookup8: lookup(); return true;
    case Op::reduce_add:
    case Op::reduce_min:
    case Op::reduce_max: reduce(); return true;
    default: return false;
  }
}

void Emitter::shuffle() {
  const Xmm d = dst(), a = src(0), b = instr().op == Op::shuffle2 ? src(1) : a;
  const ShufflePlan plan = plan_shuffle(instr().pattern, program_.target);
  const Xmm first = plan.first == 0 ? a : b, second = plan.second == 0 ? a : b;
  if (plan.kind == Kind::copy) return a_.copy(d, first);
  if (plan.kind == Kind::any_two) {
    if (a_.is_sse()) return shuffle_sse(plan, d, a, b);
    return a_.is_avx2() ? shuffle_avx2(plan, d, a, b) : shuffle_avx512(plan, d, a, b);
  }
  if (a_.is_sse()) return shuffle_sse(plan, d, first, second);
  return a_.is_avx2() ? shuffle_avx2(plan, d, first, second)
                      : shuffle_avx512(plan, d, first, second);
}

void Emitter::shuffle_sse(const ShufflePlan& plan, const Xmm& dst, const Xmm& a, const Xmm& b) {
  const auto imm = static_cast<uint8_t>(plan.imm);
  const auto two_operand = [&](const auto& emit) {
    const Xmm work = same(dst, b) && !same(dst, a) ? scratch() : dst;
    a_.copy(work, a);
    emit(work);
    a_.copy(dst, work);
  };
  switch (plan.kind) {
    case Kind::in_quads: return a_.pshufd(dst, a, imm);
    case Kind::two_in_quads: return two_operand([&](const Xmm& x) { a_.shufps(x, b, imm); });
    case Kind::unpack_low: return two_operand([&](const Xmm& x) { a_.unpcklps(x, b); });
    case Kind::unpack_high: return two_operand([&](const Xmm& x) { a_.unpckhps(x, b); });
    case Kind::blend:
      a_.need(Isa::sse4_1);
      return two_operand([&](const Xmm& x) { a_.blendps(x, b, imm); });
    default: break;
  }
  // Every lane of each source to its place, then the choice between them.
  std::array<int, 2> places{};
  for (size_t i = 0; i < 4; ++i)
    places[instr().pattern[i] / 4] |= (instr().pattern[i] % 4) << (2 * i);
  a_.need(Isa::sse4_1);
  a_.pshufd(scratch(), b, static_cast<uint8_t>(places[1]));
  a_.pshufd(dst, a, static_cast<uint8_t>(places[0]));
  a_.blendps(dst, scratch(), static_cast<uint8_t>(from_second(instr().pattern)));
}

void Emitter::shuffle_avx2(const ShufflePlan& plan, const Xmm& dst, const Xmm& a, const Xmm& b) {
  const auto imm = static_cast<uint8_t>(plan.imm);
  const Ymm d(dst.getIdx()), x(a.getIdx()), y(b.getIdx());
  const auto& pattern = instr().pattern;
  a_.need(Isa::avx);
  switch (plan.kind) {
    case Kind::in_quads: return a_.vpermilps(d, x, imm);
    case Kind::two_in_quads: return a_.vshufps(d, x, y, imm);
    case Kind::unpack_low: return a_.vunpcklps(d, x, y);
    case Kind::unpack_high: return a_.vunpckhps(d, x, y);
    case Kind::blend: return a_.vblendps(d, x, y, imm);
    case Kind::quads: return a_.vperm2f128(d, x, y, imm);
    default: break;
  }
  a_.need(Isa::avx2);
  const auto indices = [&] {
    std::vector<uint32_t> list = words(pattern);
    for (uint32_t& index : list) index %= 8;
    return a_.constant(list);
  };
  if (plan.kind == Kind::splat) return a_.vbroadcastss(d, a_.low128(a));
  if (plan.kind == Kind::pairs) return a_.vpermpd(d, x, imm);
  if (plan.kind == Kind::any_one) {
    const bool aliased = same(dst, a);
    const Ymm work = aliased ? Ymm(scratch().getIdx()) : d;
    a_.vmovups(work, indices());
    return a_.vpermps(d, work, x);
  }
  const Ymm one(scratch(0).getIdx()), two(scratch(1).getIdx());
  a_.vmovups(one, indices());
  a_.vpermps(two, one, y);
  a_.vpermps(one, one, x);
  a_.vblendps(d, one, two, static_cast<uint8_t>(from_second(pattern)));
}

void Emitter::shuffle_avx512(const ShufflePlan& plan, const Xmm& dst, const Xmm& a, const Xmm& b) {
  const auto imm = static_cast<uint8_t>(plan.imm);
  const Zmm d(dst.getIdx()), x(a.getIdx()), y(b.getIdx());
  a_.need(Isa::avx512f);
  switch (plan.kind) {
    case Kind::in_quads: return a_.vpermilps(d, x, imm);
    case Kind::two_in_quads: return a_.vshufps(d, x, y, imm);
    case Kind::unpack_low: return a_.vunpcklps(d, x, y);
    case Kind::unpack_high: return a_.vunpckhps(d, x, y);
    case Kind::quads: return a_.vshuff32x4(d, x, y, imm);
    case Kind::splat: return a_.vbroadcastss(d, a_.low128(a));
    default: break;
  }
  const bool one = plan.kind == Kind::any_one;
  const bool aliased = same(dst, a) || (!one && same(dst, b));
  const Zmm work = aliased ? Zmm(scratch().getIdx()) : d;
  std::vector<uint32_t> indices = words(instr().pattern);
  if (one)
    for (uint32_t& index : indices) index %= 16;
  a_.vmovups(work, a_.constant(indices));
  if (one) return a_.vpermps(d, work, x);
  a_.vpermi2ps(work, x, y);
  a_.copy(d, work);
}

void Emitter::lookup() {
  std::vector<uint32_t> table;
  for (size_t i = 0; i < 8; ++i) table.push_back(table_word(instr(), i));
  if (a_.is_avx2()) {
    a_.need(Isa::avx2);
    return a_.vpermps(Ymm(dst().getIdx()), Ymm(src(0).getIdx()), a_.constant(table));
  }
  if (a_.is_avx512()) {  // indexes 16 words: the table twice
    a_.need(Isa::avx512f);
    for (size_t i = 0; i < 8; ++i) table.push_back(table[i]);
    return a_.vpermps(Zmm(dst().getIdx()), Zmm(src(0).getIdx()), a_.constant(table));
  }
  // Each entry where it is asked for.
  const Xmm index = scratch(0), chosen = scratch(1);
  a_.copy(index, src(0));
  a_.andps(index, a_.splat_operand(7, false));
  for (uint32_t i = 0; i < 8; ++i) {
    const Xmm entry = i == 0 ? dst() : chosen;
    a_.copy(entry, index);
    a_.pcmpeqd(entry, a_.splat_operand(i, false));
    a_.andps(entry, a_.splat_operand(table[i], false));
    if (i != 0) a_.orps(dst(), entry);
  }
}

// Groups of four bytes: index bits above them go, except the one that clears.
void Emitter::byte_shuffle_scalar() {
  a_.need(Isa::ssse3);
  a_.copy(scratch(), src(1));
  a_.andps(scratch(), a_.splat_operand(0x83838383u, false));
  a_.copy(dst(), src(0));
  a_.pshufb(dst(), scratch());
}

// By halves: lane i and lane i + n/2, the lower one first (it decides for NaN in minimum and
// maximum).
void Emitter::reduce() {
  if (a_.is_scalar()) return a_.copy(dst(), src(0));
  const Op op = instr().op == Op::reduce_add   ? Op::fadd
                : instr().op == Op::reduce_min ? Op::fmin
                                               : Op::fmax;
  const BinaryForm& form = *binary_form(op);
  const Xmm d = a_.low128(dst()), t = a_.low128(scratch());
  if (a_.is_sse()) {
    a_.pshufd(t, src(0), 0xEE);
    a_.copy(d, src(0));
    form.packed(a_, d, t);
    a_.pshufd(t, d, 0x55);
    form.single(a_, d, t);
    return a_.pshufd(d, d, 0);
  }
  Xmm value = src(0);
  if (a_.is_avx512()) {
    a_.need(a_.evex128() | Isa::avx512dq);
    a_.vextractf64x4(a_.low256(scratch()), Zmm(value.getIdx()), 1);
    form.evex(a_, a_.low256(dst()), a_.low256(value), a_.low256(scratch()));
    value = dst();
    a_.vextractf32x4(t, a_.low256(value), 1);
  } else {
    a_.need(Isa::avx2);
    a_.vextractf128(t, Ymm(value.getIdx()), 1);
  }
  form.vex(a_, d, a_.low128(value), t);
  a_.vpermilps(t, d, 0xEE);
  form.vex(a_, d, d, t);
  a_.vmovshdup(t, d);
  form.vex(a_, d, d, t);
  a_.vbroadcastss(dst(), d);
}

}  // namespace lathe::codegen::x86
