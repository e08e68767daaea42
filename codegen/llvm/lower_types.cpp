// Memory elements to 32-bit lanes and back: exact widening, rounding or saturating narrowing.
#include <llvm/IR/Intrinsics.h>

#include "codegen/llvm/lowering.h"

namespace lathe::codegen::llvm {

using support::Isa;

// Integers, but for f16 on aarch64: its back end of LLVM 19 crashes on a cast between <1 x i16> and
// <1 x half>, while x86's wants masked accesses as integers.
ll::Type* Lowering::element_type(MemoryType type) {
  if (type == MemoryType::f16 && machine_.architecture == Architecture::aarch64)
    return b_.getHalfTy();
  return b_.getIntNTy(8 * static_cast<unsigned>(ir::program::bytes_of(type)));
}

ll::Value* Lowering::widen(Value elements, MemoryType type) {
  auto* ints = vector_of(b_.getInt32Ty(), width(elements));
  auto* floats = vector_of(b_.getFloatTy(), width(elements));
  switch (type) {
    case MemoryType::raw32: return as(elements, floats);
    case MemoryType::f16: return widen_f16(elements);
    case MemoryType::bf16: {
      const Value wide = b_.CreateZExt(elements, ints);
      return as(b_.CreateShl(wide, same(wide, 16)), floats);
    }
    case MemoryType::i8:
    case MemoryType::i16: return as(b_.CreateSExt(elements, ints), floats);
    case MemoryType::u8:
    case MemoryType::u16: return as(b_.CreateZExt(elements, ints), floats);
  }
  return nullptr;
}

ll::Value* Lowering::narrow(Value lanes, MemoryType type) {
  const Value ints = as_ints(lanes);
  auto* words = vector_of(b_.getInt16Ty(), width(lanes));
  auto* bytes = vector_of(b_.getInt8Ty(), width(lanes));
  switch (type) {
    case MemoryType::raw32: return ints;
    case MemoryType::f16: return narrow_f16(lanes);
    case MemoryType::bf16: return narrow_bf16(lanes);
    case MemoryType::i8: return b_.CreateTrunc(clamp(ints, -128, 127), bytes);
    case MemoryType::u8: return b_.CreateTrunc(clamp(ints, 0, 255), bytes);
    case MemoryType::i16: return b_.CreateTrunc(clamp(ints, -32768, 32767), words);
    case MemoryType::u16: return b_.CreateTrunc(clamp(ints, 0, 65535), words);
  }
  return nullptr;
}

ll::Value* Lowering::clamp(Value lanes, int64_t low, int64_t high) {
  const Value above = b_.CreateBinaryIntrinsic(ll::Intrinsic::smax, lanes, same(lanes, low));
  return b_.CreateBinaryIntrinsic(ll::Intrinsic::smin, above, same(lanes, high));
}

// Without an instruction for it: shift exponent and fraction into place and rebias. A denormal has
// no exponent to rebias: give it that of 2^-14 and subtract 2^-14 again, which normalises it.
ll::Value* Lowering::widen_f16(Value elements) {
  auto* halves = vector_of(b_.getHalfTy(), width(elements));
  auto* floats = vector_of(b_.getFloatTy(), width(elements));
  auto* ints = vector_of(b_.getInt32Ty(), width(elements));
  if (machine_.architecture == Architecture::aarch64) return b_.CreateFPExt(elements, floats);
  if (x86(Isa::f16c)) return b_.CreateFPExt(as(elements, halves), floats);

  const Value wide = b_.CreateZExt(elements, ints);
  const Value sign = b_.CreateShl(b_.CreateAnd(wide, same(wide, 0x8000)), same(wide, 16));
  const Value magnitude = b_.CreateShl(b_.CreateAnd(wide, same(wide, 0x7fff)), same(wide, 13));
  const Value normal = b_.CreateAdd(magnitude, same(wide, int64_t{127 - 15} << 23));
  const Value infinite = b_.CreateOr(magnitude, same(wide, 0x7f800000));
  const Value biased = as(b_.CreateAdd(magnitude, same(wide, int64_t{113} << 23)), floats);
  const Value denormal = as(b_.CreateFSub(biased, same_float(biased, 0x1p-14)), ints);
  const Value is_infinite = b_.CreateICmpSGE(magnitude, same(wide, 0x0f800000));
  const Value is_denormal = b_.CreateICmpSLT(magnitude, same(wide, 0x00800000));
  const Value finite = b_.CreateSelect(is_denormal, denormal, normal);
  return as(b_.CreateOr(b_.CreateSelect(is_infinite, infinite, finite), sign), floats);
}

// Without an instruction for it: a normal result rounds by adding just under half of what is
// shifted out, plus one where the last kept bit is odd (a carry walks into the exponent, up to
// infinity). A denormal result rounds in the addition of 0.5, whose last place is that of f16's
// denormals.
ll::Value* Lowering::narrow_f16(Value lanes) {
  auto* words = vector_of(b_.getInt16Ty(), width(lanes));
  auto* halves = vector_of(b_.getHalfTy(), width(lanes));
  if (machine_.architecture == Architecture::aarch64) return b_.CreateFPTrunc(lanes, halves);
  if (x86(Isa::f16c)) return as(b_.CreateFPTrunc(lanes, halves), words);

  const Value bits = as_ints(lanes);
  const Value magnitude = b_.CreateAnd(bits, same(bits, 0x7fffffff));
  const Value sign = b_.CreateLShr(b_.CreateXor(bits, magnitude), same(bits, 16));
  const Value odd = b_.CreateAnd(b_.CreateLShr(magnitude, same(bits, 13)), same(bits, 1));
  const Value rebias = same(bits, (int64_t{15 - 127} << 23) + 0xfff);
  const Value normal =
      b_.CreateLShr(b_.CreateAdd(b_.CreateAdd(magnitude, rebias), odd), same(bits, 13));
  const Value as_float = as_floats(magnitude);
  const Value denormal = b_.CreateSub(as_ints(b_.CreateFAdd(as_float, same_float(as_float, 0.5))),
                                      same(bits, 0x3f000000));
  const Value large = b_.CreateSelect(b_.CreateICmpSGT(magnitude, same(bits, 0x7f800000)),
                                      same(bits, 0x7e00), same(bits, 0x7c00));
  const Value finite = b_.CreateSelect(b_.CreateICmpSLT(magnitude, same(bits, int64_t{113} << 23)),
                                       denormal, normal);
  const Value result =
      b_.CreateSelect(b_.CreateICmpSGE(magnitude, same(bits, int64_t{143} << 23)), large, finite);
  return b_.CreateTrunc(b_.CreateOr(result, sign), words);
}

// Always by integers: AVX-512's own conversion takes denormals for zero.
ll::Value* Lowering::narrow_bf16(Value lanes) {
  const Value bits = as_ints(lanes);
  const Value high = b_.CreateLShr(bits, same(bits, 16));
  const Value odd = b_.CreateAnd(high, same(bits, 1));
  const Value rounded =
      b_.CreateLShr(b_.CreateAdd(b_.CreateAdd(bits, same(bits, 0x7fff)), odd), same(bits, 16));
  const Value quiet = b_.CreateOr(high, same(bits, 0x40));
  const Value result = b_.CreateSelect(b_.CreateFCmpUNO(lanes, lanes), quiet, rounded);
  return b_.CreateTrunc(result, vector_of(b_.getInt16Ty(), width(lanes)));
}

}  // namespace lathe::codegen::llvm
