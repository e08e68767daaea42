// Lane-wise arithmetic: constants, moves, f32, integers, narrow dots.
#include "codegen/x86/emitter.h"
#include "codegen/x86/forms.h"

namespace lathe::codegen::x86 {

bool Emitter::vector_op() {
  switch (instr().op) {
    case Op::vconst:
    case Op::viota:
    case Op::vsplat: constant_op(); return true;
    case Op::vmov: a_.copy(dst(), src(0)); return true;
    case Op::fma:
    case Op::fms:
    case Op::fnma: fused(); return true;
    case Op::ishl:
    case Op::ishr:
    case Op::isar: shift(); return true;
    case Op::round_f16: round_through_f16(); return true;
    case Op::dot4_u8s8: dot4(); return true;
    case Op::isign8:
      if (!a_.is_avx512()) break;
      sign_bytes_512();
      return true;
    case Op::byte_shuffle:
    case Op::mand:
    case Op::mor: return false;  // with the other lane and mask ops
    default: break;
  }
  if (const BinaryForm* form = binary_form(instr().op)) {
    binary(*form);
    return true;
  }
  if (const UnaryForm* form = unary_form(instr().op)) {
    unary(*form);
    return true;
  }
  return false;
}

void Emitter::constant_op() {
  if (instr().op == Op::vconst) return a_.load_constant(dst(), static_cast<uint32_t>(instr().imm));
  if (instr().op == Op::viota) {
    if (a_.is_scalar()) return a_.zero(dst());
    return a_.load_vector(dst(), a_.constant(a_.iota_words()));
  }
  const Reg32 from = gen(instr().src[0]).cvt32();
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    return a_.vpbroadcastd(dst(), from);
  }
  a_.from_general(dst(), from);
  if (a_.is_avx2()) {
    a_.need(Isa::avx2);
    a_.vpbroadcastd(dst(), a_.low128(dst()));
  } else if (!a_.is_scalar()) {
    a_.pshufd(dst(), dst(), 0);
  }
}

void Emitter::binary(const BinaryForm& form) {
  if (!a_.is_sse()) {
    a_.need(a_.is_avx512() ? form.evex_isa : form.vex_isa);
    const auto emit = a_.is_avx512() ? form.evex : form.vex;
    return emit(a_, dst(), src(0), operand(1, form.broadcast));
  }
  a_.need(form.sse_isa);
  const auto emit = a_.is_scalar() && form.single != nullptr ? form.single : form.packed;
  const XOperand& second = operand(1, false);
  const Xmm first = src(0);
  if (folded(1) || !same(dst(), src(1)) || same(dst(), first)) {
    a_.copy(dst(), first);
    return emit(a_, dst(), second);
  }
  if (form.commutative) return emit(a_, dst(), first);
  a_.copy(scratch(), first);
  emit(a_, scratch(), second);
  a_.copy(dst(), scratch());
}

void Emitter::unary(const UnaryForm& form) {
  if (!a_.is_sse()) {
    a_.need(a_.is_avx512() ? form.evex_isa : form.vex_isa);
    const auto emit = a_.is_avx512() ? form.evex : form.vex;
    return emit(a_, dst(), operand(0, form.broadcast));
  }
  a_.need(form.sse_isa);
  if (a_.is_scalar() && form.single != nullptr) {
    // The single forms keep the upper lanes of their result: without the copy they would wait for
    // them.
    a_.copy(dst(), src(0));
    return form.single(a_, dst(), dst());
  }
  form.packed(a_, dst(), operand(0, false));
}

// The 132, 213 and 231 forms differ in which source the result overwrites: we take the one that
// finds its register there already.
void Emitter::fused() {
  a_.need(a_.is_avx512() ? Isa::avx512f : Isa::fma);
  using Fma = void (Assembler::*)(const Xmm&, const Xmm&, const XOperand&);
  const auto pick = [&](Fma fma, Fma fms, Fma fnma) {
    return instr().op == Op::fma ? fma : instr().op == Op::fms ? fms : fnma;
  };
  const Fma form132 =
      pick(&Assembler::vfmadd132ps, &Assembler::vfmsub132ps, &Assembler::vfnmadd132ps);
  const Fma form213 =
      pick(&Assembler::vfmadd213ps, &Assembler::vfmsub213ps, &Assembler::vfnmadd213ps);
  const Fma form231 =
      pick(&Assembler::vfmadd231ps, &Assembler::vfmsub231ps, &Assembler::vfnmadd231ps);
  const Xmm d = dst();
  if (folded(2)) {  // the sum: 213
    const bool overwrites_b = same(d, src(1));
    if (!overwrites_b) a_.copy(d, src(0));
    return (a_.*form213)(d, overwrites_b ? src(0) : src(1), operand(2, true));
  }
  const Xmm sum = src(2);
  if (folded(1)) {  // a factor: 231 into the sum, or 132 into the other factor
    if (same(d, src(0)) && !same(d, sum)) return (a_.*form132)(d, sum, operand(1, true));
    a_.copy(d, sum);
    return (a_.*form231)(d, src(0), operand(1, true));
  }
  if (same(d, sum)) return (a_.*form231)(d, src(0), src(1));
  if (same(d, src(0))) return (a_.*form213)(d, src(1), sum);
  if (same(d, src(1))) return (a_.*form213)(d, src(0), sum);
  a_.copy(d, sum);
  (a_.*form231)(d, src(0), src(1));
}

void Emitter::shift() {
  const auto by = static_cast<uint8_t>(instr().imm);
  if (a_.is_sse()) {
    a_.copy(dst(), src(0));
    if (instr().op == Op::ishl) return a_.pslld(dst(), by);
    if (instr().op == Op::ishr) return a_.psrld(dst(), by);
    return a_.psrad(dst(), by);
  }
  a_.need(a_.is_avx512() ? Isa::avx512f : Isa::avx2);
  if (instr().op == Op::ishl) return a_.vpslld(dst(), src(0), by);
  if (instr().op == Op::ishr) return a_.vpsrld(dst(), src(0), by);
  a_.vpsrad(dst(), src(0), by);
}

void Emitter::round_through_f16() {
  const Xmm d = dst();
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    a_.vcvtps2ph(a_.low256(d), src(0), 0);
    return a_.vcvtph2ps(d, a_.low256(d));
  }
  a_.need(Isa::f16c);
  a_.vcvtps2ph(a_.low128(d), src(0), 0);
  a_.vcvtph2ps(d, a_.low128(d));
}

// EVEX has no vpsignb: take a where b != 0, then negate where b < 0.
void Emitter::sign_bytes_512() {
  a_.need(Isa::avx512f | Isa::avx512bw);
  const Opmask kept = scratch_mask(0), negative = scratch_mask(1);
  a_.vptestmb(kept, src(1), src(1));
  a_.vpmovb2m(negative, src(1));
  a_.vmovdqu8(dst() | kept | a_.T_z, src(0));
  a_.vpxord(scratch(), scratch(), scratch());
  a_.vpsubb(dst() | negative, scratch(), dst());
}

void Emitter::dot4() {
  a_.need(Isa::avx512f | Isa::avx512_vnni);
  const bool in_place = same(dst(), src(2));
  const bool clobbers = !in_place && (same(dst(), src(0)) || same(dst(), src(1)));
  const Xmm work = clobbers ? scratch() : dst();
  a_.copy(work, src(2));
  a_.vpdpbusd(work, src(0), src(1));
  a_.copy(dst(), work);
}

}  // namespace lathe::codegen::x86
