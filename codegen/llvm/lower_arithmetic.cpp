// f32 and i32 arithmetic, comparisons and conversions, as the instruction table defines them.
#include <bit>

#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "codegen/llvm/lowering.h"

namespace lathe::codegen::llvm {
namespace {

using ir::program::Compare;
using ir::program::Op;
using support::Isa;

// Ordered, but for `ne`, which is true where either is NaN.
ll::CmpInst::Predicate float_predicate(Compare compare) {
  switch (compare) {
    case Compare::lt: return ll::CmpInst::FCMP_OLT;
    case Compare::le: return ll::CmpInst::FCMP_OLE;
    case Compare::eq: return ll::CmpInst::FCMP_OEQ;
    case Compare::ne: return ll::CmpInst::FCMP_UNE;
    case Compare::ge: return ll::CmpInst::FCMP_OGE;
    case Compare::gt: return ll::CmpInst::FCMP_OGT;
  }
  return ll::CmpInst::BAD_FCMP_PREDICATE;
}

}  // namespace

bool Lowering::arithmetic(const Instr& instr) {
  const auto f = [&](size_t i) { return f32(instr.src[i]); };
  const auto i = [&](size_t at) { return i32(instr.src[at]); };
  const auto put_into = [&](Value value) {
    put(instr.dst, value);
    return true;
  };
  const auto choose = [&](ll::Intrinsic::ID id) {
    return put_into(b_.CreateBinaryIntrinsic(id, i(0), i(1)));
  };
  const auto shift = [&] { return same(i(0), instr.imm); };
  switch (instr.op) {
    case Op::vconst: return put_into(ll::ConstantInt::get(ints_, static_cast<uint32_t>(instr.imm)));
    case Op::viota: {
      std::vector<ll::Constant*> iota;
      for (unsigned lane = 0; lane < n_; ++lane) iota.push_back(b_.getInt32(lane));
      return put_into(ll::ConstantVector::get(iota));
    }
    case Op::vsplat:
      return put_into(b_.CreateVectorSplat(n_, b_.CreateTrunc(get(instr.src[0]), b_.getInt32Ty())));
    case Op::vmov: return put_into(f(0));

    case Op::fadd: return put_into(b_.CreateFAdd(f(0), f(1)));
    case Op::fsub: return put_into(b_.CreateFSub(f(0), f(1)));
    case Op::fmul: return put_into(b_.CreateFMul(f(0), f(1)));
    case Op::fdiv: return put_into(b_.CreateFDiv(f(0), f(1)));
    case Op::fma: return put_into(multiply_add(f(0), f(1), f(2)));
    case Op::fms: return put_into(multiply_add(f(0), f(1), b_.CreateFNeg(f(2))));
    case Op::fnma: return put_into(multiply_add(b_.CreateFNeg(f(0)), f(1), f(2)));
    case Op::fmin: return put_into(minimum(f(0), f(1)));
    case Op::fmax: return put_into(maximum(f(0), f(1)));
    case Op::fsqrt: return put_into(unary(ll::Intrinsic::sqrt, f(0)));
    case Op::frecip: return put_into(reciprocal(f(0)));
    case Op::frsqrt: return put_into(reciprocal_root(f(0)));
    case Op::fround: return put_into(round_even(f(0)));
    case Op::ftrunc: return put_into(truncate(f(0)));
    case Op::fscale: return put_into(scale(f(0), f(1)));
    case Op::round_f16: return put_into(widen_f16(narrow_f16(f(0))));
    case Op::round_bf16: return put_into(widen(narrow_bf16(f(0)), MemoryType::bf16));
    case Op::f2i: return put_into(to_int(f(0)));
    case Op::i2f: return put_into(b_.CreateSIToFP(i(0), floats_));

    case Op::iadd: return put_into(b_.CreateAdd(i(0), i(1)));
    case Op::isub: return put_into(b_.CreateSub(i(0), i(1)));
    case Op::imul: return put_into(b_.CreateMul(i(0), i(1)));
    case Op::imin: return choose(ll::Intrinsic::smin);
    case Op::imax: return choose(ll::Intrinsic::smax);
    case Op::iand: return put_into(b_.CreateAnd(i(0), i(1)));
    case Op::ior: return put_into(b_.CreateOr(i(0), i(1)));
    case Op::ixor: return put_into(b_.CreateXor(i(0), i(1)));
    case Op::iandn: return put_into(b_.CreateAnd(b_.CreateNot(i(0)), i(1)));
    case Op::ishl: return put_into(b_.CreateShl(i(0), shift()));
    case Op::ishr: return put_into(b_.CreateLShr(i(0), shift()));
    case Op::isar: return put_into(b_.CreateAShr(i(0), shift()));

    case Op::fcmp:
      return put_into(b_.CreateFCmp(float_predicate(static_cast<Compare>(instr.imm)), f(0), f(1)));
    case Op::icmp: return put_into(compare(static_cast<Compare>(instr.imm), i(0), i(1)));
    case Op::fnan: return put_into(b_.CreateFCmpUNO(f(0), f(0)));
    case Op::mand: return put_into(b_.CreateAnd(get(instr.src[0]), get(instr.src[1])));
    case Op::mor: return put_into(b_.CreateOr(get(instr.src[0]), get(instr.src[1])));
    case Op::mnot: return put_into(b_.CreateNot(get(instr.src[0])));
    case Op::select: return put_into(b_.CreateSelect(get(instr.src[0]), f(1), f(2)));
    default: return false;
  }
}

// Negating an operand is exact, and a - b is a + -b: all three forms come down to this one.
ll::Value* Lowering::multiply_add(Value a, Value b, Value c) {
  if (program_.target.fused)
    return b_.CreateIntrinsic(ll::Intrinsic::fma, {a->getType()}, {a, b, c});
  return b_.CreateFAdd(b_.CreateFMul(a, b), c);
}

ll::Value* Lowering::minimum(Value a, Value b) {
  a = opaque(a);
  b = opaque(b);
  return b_.CreateSelect(b_.CreateFCmpOLT(a, b), a, b);
}

ll::Value* Lowering::maximum(Value a, Value b) {
  a = opaque(a);
  b = opaque(b);
  return b_.CreateSelect(b_.CreateFCmpOGT(a, b), a, b);
}

// Where one operand is a constant, LLVM takes the pair of comparison and select for minnum and
// maxnum, which make a NaN of a signalling NaN. x86 has the pair itself as one instruction.
ll::Value* Lowering::opaque(Value a) {
  return machine_.architecture == Architecture::x86_64 ? a
                                                       : unary(ll::Intrinsic::arithmetic_fence, a);
}

// AVX-512's estimates are within 2^-14 everywhere. The older ones take denormals for zero, which
// breaks the bound there, and so the quotient itself stands in for them.
ll::Value* Lowering::reciprocal(Value a) {
  const auto id = pick(ll::Intrinsic::x86_avx512_rcp14_ps_128, Isa::avx512vl,
                       ll::Intrinsic::x86_avx512_rcp14_ps_256, Isa::avx512vl,
                       ll::Intrinsic::x86_avx512_rcp14_ps_512);
  if (id == ll::Intrinsic::not_intrinsic) return b_.CreateFDiv(same_float(a, 1), a);
  return intrinsic(id, {a, same_float(a, 0), b_.getIntN(std::max(n_, 8U), ~uint64_t{0})});
}

ll::Value* Lowering::reciprocal_root(Value a) {
  const auto id = pick(ll::Intrinsic::x86_avx512_rsqrt14_ps_128, Isa::avx512vl,
                       ll::Intrinsic::x86_avx512_rsqrt14_ps_256, Isa::avx512vl,
                       ll::Intrinsic::x86_avx512_rsqrt14_ps_512);
  if (id == ll::Intrinsic::not_intrinsic)
    return b_.CreateFDiv(same_float(a, 1), unary(ll::Intrinsic::sqrt, a));
  return intrinsic(id, {a, same_float(a, 0), b_.getIntN(std::max(n_, 8U), ~uint64_t{0})});
}

// Without an instruction for it, LLVM would call roundevenf. Adding and subtracting 2^23 rounds
// what is smaller; what is larger is integral already. The sign is that of a, zero's too.
ll::Value* Lowering::round_even(Value a) {
  if (x86(Isa::sse4_1) || machine_.architecture == Architecture::aarch64)
    return unary(ll::Intrinsic::roundeven, a);
  const Value magnitude = unary(ll::Intrinsic::fabs, a);
  const Value limit = same_float(a, 0x1p23);
  const Value rounded = b_.CreateFSub(b_.CreateFAdd(magnitude, limit), limit);
  const Value small = b_.CreateBinaryIntrinsic(ll::Intrinsic::copysign, rounded, a);
  return b_.CreateSelect(b_.CreateFCmpOLT(magnitude, limit), small, a);
}

ll::Value* Lowering::truncate(Value a) {
  if (x86(Isa::sse4_1) || machine_.architecture == Architecture::aarch64)
    return unary(ll::Intrinsic::trunc, a);
  const Value magnitude = unary(ll::Intrinsic::fabs, a);
  const Value fits = b_.CreateFCmpOLT(magnitude, same_float(a, 0x1p23));
  // Of a value that does not fit the conversion would be poison, so it never sees one.
  const Value safe = b_.CreateSelect(fits, a, same_float(a, 0));
  const Value rounded = b_.CreateSIToFP(b_.CreateFPToSI(safe, ints_), floats_);
  return b_.CreateSelect(fits, b_.CreateBinaryIntrinsic(ll::Intrinsic::copysign, rounded, a), a);
}

// a * 2^b with one rounding. m = clamp(b, -126, 127) and d = b - m, both exponents of normal
// floats: (a * 2^d) * 2^m. For d = 0 the first product is a. For d > 0 it is exact, or infinite as
// the result is. For d < 0 it is exact, or below 2^-126, and then the result is zero either way (m
// = -126).
ll::Value* Lowering::scale(Value a, Value exponent) {
  if (x86_512()) {
    const Value mask = b_.getIntN(std::max(n_, 8U), ~uint64_t{0});
    if (n_ == 16)
      return intrinsic(ll::Intrinsic::x86_avx512_mask_scalef_ps_512,
                       {a, exponent, a, mask, b_.getInt32(4)});
    return intrinsic(n_ == 8 ? ll::Intrinsic::x86_avx512_mask_scalef_ps_256
                             : ll::Intrinsic::x86_avx512_mask_scalef_ps_128,
                     {a, exponent, a, mask});
  }
  const auto power = [&](Value e) {
    return as_floats(b_.CreateShl(b_.CreateAdd(e, same(e, 127)), same(e, 23)));
  };
  const Value e = to_int(exponent);
  const Value m = clamp(e, -126, 127);
  const Value d = b_.CreateSub(e, m);
  const Value scaled = b_.CreateFMul(b_.CreateFMul(a, power(d)), power(m));
  return b_.CreateSelect(b_.CreateFCmpUNO(exponent, exponent), exponent, scaled);
}

// x86 converts to 0x80000000 whatever does not fit; elsewhere we choose it.
ll::Value* Lowering::to_int(Value a) {
  const auto id = pick(ll::Intrinsic::x86_sse2_cvtps2dq, support::IsaMask(),
                       ll::Intrinsic::x86_avx_cvt_ps2dq_256, Isa::avx,
                       ll::Intrinsic::x86_avx512_mask_cvtps2dq_512);
  if (id == ll::Intrinsic::x86_avx512_mask_cvtps2dq_512)
    return intrinsic(
        id, {a, ll::Constant::getNullValue(ints_), b_.getIntN(n_, ~uint64_t{0}), b_.getInt32(4)});
  if (id != ll::Intrinsic::not_intrinsic) return intrinsic(id, {a});
  const Value rounded = round_even(a);
  const Value fits = b_.CreateAnd(b_.CreateFCmpOGE(rounded, same_float(a, -0x1p31)),
                                  b_.CreateFCmpOLT(rounded, same_float(a, 0x1p31)));
  const Value safe = b_.CreateSelect(fits, rounded, same_float(a, 0));
  const Value converted = b_.CreateFPToSI(safe, ints_);
  return b_.CreateSelect(fits, converted, same(converted, INT32_MIN));
}

}  // namespace lathe::codegen::llvm
