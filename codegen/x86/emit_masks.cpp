// Comparisons, masks and selection. Before AVX-512 a mask is a vector of zeros and ones.
#include "codegen/x86/constraints.h"
#include "codegen/x86/emitter.h"
#include "codegen/x86/forms.h"

namespace lathe::codegen::x86 {
namespace {

using ir::program::Compare;

// Predicates of vcmpps, quiet; SSE knows the first eight (its lt and le may signal, which nobody
// reads).
constexpr uint8_t kEq = 0, kLtSse = 1, kLeSse = 2, kUnordered = 3, kNe = 4;

uint8_t avx_predicate(Compare compare) {
  switch (compare) {
    case Compare::lt: return 0x11;
    case Compare::le: return 0x12;
    case Compare::eq: return kEq;
    case Compare::ne: return kNe;
    case Compare::ge: return 0x1D;
    case Compare::gt: return 0x1E;
  }
  return 0;
}

uint8_t sse_predicate(Compare compare) {
  switch (compare) {
    case Compare::eq: return kEq;
    case Compare::ne: return kNe;
    case Compare::lt:
    case Compare::gt: return kLtSse;
    default: return kLeSse;
  }
}

uint8_t integer_predicate(Compare compare) {
  switch (compare) {
    case Compare::eq: return 0;
    case Compare::lt: return 1;
    case Compare::le: return 2;
    case Compare::ne: return 4;
    case Compare::ge: return 5;
    case Compare::gt: return 6;
  }
  return 0;
}

}  // namespace

bool Emitter::mask_op() {
  switch (instr().op) {
    case Op::fcmp:
    case Op::fnan: compare_floats(); return true;
    case Op::icmp: compare_ints(); return true;
    case Op::select: select(); return true;
    case Op::mnot: invert_mask(); return true;
    case Op::mand:
    case Op::mor: {
      if (!a_.is_avx512()) {
        binary(*binary_form(instr().op));
        return true;
      }
      a_.need(Isa::avx512f);
      const Opmask a = mask(instr().src[0]), b = mask(instr().src[1]), d = mask(instr().dst);
      if (instr().op == Op::mor)
        a_.korw(d, a, b);
      else
        a_.kandw(d, a, b);
      return true;
    }
    default: return false;
  }
}

void Emitter::compare_floats() {
  const bool nan = instr().op == Op::fnan;
  const auto compare = static_cast<Compare>(instr().imm);
  const XOperand& second = nan ? operand(0, true) : operand(1, true);
  if (!a_.is_sse()) {
    const uint8_t predicate = nan ? kUnordered : avx_predicate(compare);
    a_.need(a_.is_avx512() ? Isa::avx512f : Isa::avx);
    if (a_.is_avx512()) return a_.vcmpps(mask(instr().dst), src(0), second, predicate);
    return a_.vcmpps(dst(), src(0), second, predicate);
  }
  const bool swapped = !nan && compares_swapped(instr(), program_.target);
  const uint8_t predicate = nan ? kUnordered : sse_predicate(compare);
  a_.copy(dst(), swapped ? src(1) : src(0));
  const Xmm itself = nan ? dst() : src(0);
  const XOperand* other = nan || swapped ? &itself : &second;
  if (a_.is_scalar())
    a_.cmpss(dst(), *other, predicate);
  else
    a_.cmpps(dst(), *other, predicate);
}

void Emitter::compare_ints() {
  const auto compare = static_cast<Compare>(instr().imm);
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    return a_.vpcmpd(mask(instr().dst), src(0), operand(1, true), integer_predicate(compare));
  }
  const bool swapped = compares_swapped(instr(), program_.target);
  const bool equal = compare == Compare::eq || compare == Compare::ne;
  const Xmm first = swapped ? src(1) : src(0);
  const Xmm turned = src(0);
  const XOperand* other = swapped ? &turned : &operand(1, false);
  const XOperand& second = *other;
  if (a_.is_avx2()) {
    a_.need(Isa::avx2);
    if (equal)
      a_.vpcmpeqd(dst(), first, second);
    else
      a_.vpcmpgtd(dst(), first, second);
  } else {
    a_.copy(dst(), first);
    if (equal)
      a_.pcmpeqd(dst(), second);
    else
      a_.pcmpgtd(dst(), second);
  }
  if (compare == Compare::eq || compare == Compare::lt || compare == Compare::gt) return;
  a_.ones(scratch());
  if (a_.is_avx2())
    a_.vxorps(dst(), dst(), scratch());
  else
    a_.xorps(dst(), scratch());
}

void Emitter::invert_mask() {
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    return a_.knotw(mask(instr().dst), mask(instr().src[0]));
  }
  a_.ones(scratch());
  if (a_.is_avx2()) return a_.vxorps(dst(), src(0), scratch());
  a_.copy(dst(), src(0));
  a_.xorps(dst(), scratch());
}

void Emitter::select() {
  const Xmm d = dst();
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    return a_.vblendmps(d | mask(instr().src[0]), src(2), operand(1, true));
  }
  const Xmm chosen = vec(instr().src[0]);
  if (a_.is_avx2()) {
    a_.need(Isa::avx);
    return a_.vblendvps(d, src(2), operand(1, false), chosen);
  }
  // blendvps wants its mask in xmm0; exclusive or needs no fixed register: b ^ ((a ^ b) & mask), or
  // from b's side a ^ ((a ^ b) & ~mask), where x & ~mask is (x | mask) ^ mask.
  const Xmm a = src(1), b = src(2);
  if (same(a, b)) return a_.copy(d, a);
  if (same(d, b)) {
    a_.xorps(d, a);
    a_.orps(d, chosen);
    a_.xorps(d, chosen);
    return a_.xorps(d, a);
  }
  a_.copy(d, a);
  a_.xorps(d, b);
  a_.andps(d, chosen);
  a_.xorps(d, b);
}

}  // namespace lathe::codegen::x86
