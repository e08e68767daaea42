// Narrow integers inside lanes, and movement between lanes.
#include <numeric>

#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsAArch64.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "codegen/llvm/lowering.h"

namespace lathe::codegen::llvm {

using ir::program::Op;
using support::Isa;
using support::IsaMask;

bool Lowering::lanes(const Instr& instr) {
  const auto put_into = [&](Value value) {
    put(instr.dst, value);
    return true;
  };
  const std::vector<int> pattern(instr.pattern.begin(), instr.pattern.end());
  switch (instr.op) {
    case Op::iadd16: return put_into(b_.CreateAdd(i16(instr.src[0]), i16(instr.src[1])));
    case Op::dot2_u8s8: return put_into(dot2_u8s8(get(instr.src[0]), get(instr.src[1])));
    case Op::dot2_s16: return put_into(dot2_s16(get(instr.src[0]), get(instr.src[1])));
    case Op::dot4_u8s8:
      return put_into(dot4_u8s8(get(instr.src[0]), get(instr.src[1]), i32(instr.src[2])));
    case Op::iabs8:
      return put_into(
          b_.CreateBinaryIntrinsic(ll::Intrinsic::abs, i8(instr.src[0]), b_.getFalse()));
    case Op::isign8: {
      const Value a = i8(instr.src[0]);
      const Value b = i8(instr.src[1]);
      const auto id =
          pick(ll::Intrinsic::x86_ssse3_psign_b_128, Isa::ssse3, ll::Intrinsic::x86_avx2_psign_b,
               Isa::avx2, ll::Intrinsic::not_intrinsic);
      if (id != ll::Intrinsic::not_intrinsic) return put_into(intrinsic(id, {a, b}));
      const Value zero = same(a, 0);
      const Value kept = b_.CreateSelect(b_.CreateICmpEQ(b, zero), zero, a);
      return put_into(b_.CreateSelect(b_.CreateICmpSLT(b, zero), b_.CreateNeg(kept), kept));
    }
    case Op::permute: return put_into(b_.CreateShuffleVector(get(instr.src[0]), pattern));
    case Op::shuffle2:
      return put_into(b_.CreateShuffleVector(get(instr.src[0]), get(instr.src[1]), pattern));
    case Op::byte_shuffle: return put_into(byte_shuffle(i8(instr.src[0]), i8(instr.src[1])));
    case Op::lookup8: return put_into(lookup(instr));
    case Op::reduce_add:
    case Op::reduce_min:
    case Op::reduce_max: return put_into(reduce(instr.op, get(instr.src[0])));
    default: return false;
  }
}

// The even and the odd bytes as i16, multiplied and added there: 255 * 128 fits, and the verifier
// proved the sum.
ll::Value* Lowering::dot2_u8s8(Value a, Value b) {
  const auto id = pick(ll::Intrinsic::x86_ssse3_pmadd_ub_sw_128, Isa::ssse3,
                       ll::Intrinsic::x86_avx2_pmadd_ub_sw, Isa::avx2,
                       ll::Intrinsic::x86_avx512_pmaddubs_w_512);
  if (id != ll::Intrinsic::not_intrinsic) return intrinsic(id, {as(a, bytes_), as(b, bytes_)});
  const Value u = as(a, words_);
  const Value s = as(b, words_);
  const Value eight = same(u, 8);
  const Value even =
      b_.CreateMul(b_.CreateAnd(u, same(u, 0xff)), b_.CreateAShr(b_.CreateShl(s, eight), eight));
  const Value odd = b_.CreateMul(b_.CreateLShr(u, eight), b_.CreateAShr(s, eight));
  return b_.CreateAdd(even, odd);
}

ll::Value* Lowering::dot2_s16(Value a, Value b) {
  const auto id =
      pick(ll::Intrinsic::x86_sse2_pmadd_wd, IsaMask(), ll::Intrinsic::x86_avx2_pmadd_wd, Isa::avx2,
           ll::Intrinsic::x86_avx512_pmaddw_d_512);
  if (id != ll::Intrinsic::not_intrinsic) return intrinsic(id, {as(a, words_), as(b, words_)});
  const Value left = as(a, ints_);
  const Value right = as(b, ints_);
  const Value half = same(left, 16);
  const auto low = [&](Value v) { return b_.CreateAShr(b_.CreateShl(v, half), half); };
  const auto high = [&](Value v) { return b_.CreateAShr(v, half); };
  return b_.CreateAdd(b_.CreateMul(low(left), low(right)), b_.CreateMul(high(left), high(right)));
}

// Without VNNI: bytes 0, 2 and bytes 1, 3 as i16, each pair by dot2_s16, whose sums always fit.
ll::Value* Lowering::dot4_u8s8(Value a, Value b, Value sum) {
  const bool short_vnni = x86(Isa::avx_vnni) || (x86_512() && x86(Isa::avx512_vnni));
  if (short_vnni && (n_ == 4 || n_ == 8))
    return intrinsic(
        n_ == 8 ? ll::Intrinsic::x86_avx512_vpdpbusd_256 : ll::Intrinsic::x86_avx512_vpdpbusd_128,
        {sum, as(a, ints_), as(b, ints_)});
  if (n_ == 16 && x86_512() && x86(Isa::avx512_vnni))
    return intrinsic(ll::Intrinsic::x86_avx512_vpdpbusd_512, {sum, as(a, ints_), as(b, ints_)});
  const Value u = as(a, words_);
  const Value s = as(b, words_);
  const Value eight = same(u, 8);
  const Value even =
      dot2_s16(b_.CreateAnd(u, same(u, 0xff)), b_.CreateAShr(b_.CreateShl(s, eight), eight));
  const Value odd = dot2_s16(b_.CreateLShr(u, eight), b_.CreateAShr(s, eight));
  return b_.CreateAdd(b_.CreateAdd(even, odd), sum);
}

// One variable permutation where the machine has it; else each entry wherever it is asked for.
ll::Value* Lowering::lookup(const Instr& instr) {
  std::vector<uint32_t> words;
  for (unsigned lane = 0; lane < std::max(8U, n_); ++lane)
    words.push_back(table_word(instr, lane % 8));
  const Value table = ll::ConstantDataVector::get(b_.getContext(), words);
  const Value index = i32(instr.src[0]);
  if (n_ == 8 && x86(Isa::avx2)) return intrinsic(ll::Intrinsic::x86_avx2_permd, {table, index});
  if (n_ == 16 && x86_512())
    return intrinsic(ll::Intrinsic::x86_avx512_permvar_si_512, {table, index});
  const Value wanted = b_.CreateAnd(index, same(index, 7));
  Value result = same(index, words[0]);
  for (unsigned k = 1; k < 8; ++k)
    result =
        b_.CreateSelect(b_.CreateICmpEQ(wanted, same(index, k)), same(index, words[k]), result);
  return result;
}

ll::Value* Lowering::byte_shuffle(Value a, Value b) {
  const auto id =
      pick(ll::Intrinsic::x86_ssse3_pshuf_b_128, Isa::ssse3, ll::Intrinsic::x86_avx2_pshuf_b,
           Isa::avx2, ll::Intrinsic::x86_avx512_pshuf_b_512);
  if (id != ll::Intrinsic::not_intrinsic) return intrinsic(id, {a, b});
  if (machine_.architecture == Architecture::aarch64 && n_ == 4) {
    // An index of 16 or more gives zero.
    const Value index = b_.CreateAnd(b, same(b, 0x8f));
    return b_.CreateIntrinsic(ll::Intrinsic::aarch64_neon_tbl1, {a->getType()}, {a, index});
  }
  // Byte k of each group goes wherever it is asked for, k after k.
  const unsigned total = width(a);
  const unsigned group = std::min(16U, total);
  const Value index = b_.CreateAnd(b, same(b, group - 1));
  Value result = same(a, 0);
  for (unsigned k = 0; k < group; ++k) {
    std::vector<int> spread;
    for (unsigned i = 0; i < total; ++i) spread.push_back(static_cast<int>(i / group * group + k));
    const Value wanted = b_.CreateICmpEQ(index, same(index, k));
    result = b_.CreateSelect(wanted, b_.CreateShuffleVector(a, spread), result);
  }
  return b_.CreateSelect(b_.CreateICmpSLT(b, same(b, 0)), same(a, 0), result);
}

ll::Value* Lowering::reduce(Op op, Value a) {
  for (unsigned half = n_ / 2; half > 0; half /= 2) {
    std::vector<int> low(half), high(half);
    std::iota(low.begin(), low.end(), 0);
    std::iota(high.begin(), high.end(), static_cast<int>(half));
    const Value left = b_.CreateShuffleVector(a, low);
    const Value right = b_.CreateShuffleVector(a, high);
    a = op == Op::reduce_add   ? b_.CreateFAdd(left, right)
        : op == Op::reduce_min ? minimum(left, right)
                               : maximum(left, right);
  }
  return splat_lane0(a);
}

ll::Value* Lowering::splat_lane0(Value a) {
  return b_.CreateShuffleVector(a, std::vector<int>(n_, 0));
}

}  // namespace lathe::codegen::llvm
