// Loads, stores and prefetches: partial accesses are masked, so they touch no byte beyond.
#include <llvm/IR/Intrinsics.h>

#include "codegen/llvm/lowering.h"

namespace lathe::codegen::llvm {

using ir::program::Op;

bool Lowering::memory(const Instr& instr) {
  const auto element = [&] { return element_type(instr.memory); };
  switch (instr.op) {
    case Op::load: {
      const Value raw =
          b_.CreateAlignedLoad(vector_of(element(), n_), address(instr.address), ll::Align(1));
      put(instr.dst, widen(raw, instr.memory));
      return true;
    }
    case Op::load_part: {
      auto* type = vector_of(element(), n_);
      const Value raw =
          b_.CreateMaskedLoad(type, address(instr.address), ll::Align(1), first_lanes(instr.scalar),
                              ll::Constant::getNullValue(type));
      put(instr.dst, widen(raw, instr.memory));
      return true;
    }
    case Op::load_splat: {
      const Value raw =
          b_.CreateAlignedLoad(vector_of(element(), 1), address(instr.address), ll::Align(1));
      const Value lane = widen(raw, instr.memory);
      put(instr.dst, b_.CreateVectorSplat(n_, b_.CreateExtractElement(lane, uint64_t{0})));
      return true;
    }
    case Op::load_group: put(instr.dst, load_group(instr)); return true;
    case Op::store:
    case Op::store_part:
    case Op::store_stream: store(instr); return true;
    case Op::prefetch:
      // LLVM counts localities the other way: 3 is every cache, 0 is once.
      b_.CreateIntrinsic(ll::Intrinsic::prefetch, {b_.getPtrTy()},
                         {address(instr.address), b_.getInt32(0),
                          b_.getInt32(static_cast<uint32_t>(3 - instr.imm)), b_.getInt32(1)});
      return true;
    case Op::sload: {
      const int64_t bytes = instr.imm < 0 ? -instr.imm : instr.imm;
      auto* type = b_.getIntNTy(8 * static_cast<unsigned>(bytes));
      const Value raw = b_.CreateAlignedLoad(type, address(instr.address), ll::Align(1));
      put(instr.dst, instr.imm < 0 ? b_.CreateSExt(raw, b_.getInt64Ty())
                                   : b_.CreateZExt(raw, b_.getInt64Ty()));
      return true;
    }
    default: return false;
  }
}

ll::Value* Lowering::address(const ir::program::Address& address) {
  Value pointer = get(address.pointer);
  if (address.index.valid()) {
    Value index = get(address.index);
    if (address.scale != 1)
      index = b_.CreateMul(index, b_.getInt64(static_cast<uint64_t>(address.scale)));
    pointer = b_.CreateGEP(b_.getInt8Ty(), pointer, index);
  }
  if (address.offset != 0)
    pointer =
        b_.CreateGEP(b_.getInt8Ty(), pointer, b_.getInt64(static_cast<uint64_t>(address.offset)));
  return pointer;
}

ll::Value* Lowering::first_lanes(const ir::program::Operand& count) {
  std::vector<ll::Constant*> iota;
  for (unsigned i = 0; i < n_; ++i) iota.push_back(b_.getInt32(i));
  const Value narrow = b_.CreateTrunc(operand(count), b_.getInt32Ty());
  return b_.CreateICmpSLT(ll::ConstantVector::get(iota), b_.CreateVectorSplat(n_, narrow));
}

ll::Value* Lowering::load_group(const Instr& instr) {
  const auto ints = std::min(static_cast<unsigned>(instr.imm) / 4, n_);
  const Value group =
      b_.CreateAlignedLoad(vector_of(b_.getInt32Ty(), ints), address(instr.address), ll::Align(1));
  std::vector<int> pattern;
  for (unsigned i = 0; i < n_; ++i) pattern.push_back(static_cast<int>(i % ints));
  return b_.CreateShuffleVector(group, pattern);
}

void Lowering::store(const Instr& instr) {
  const Value value = narrow(f32(instr.src[0]), instr.memory);
  const Value to = address(instr.address);
  if (instr.op == Op::store_part) {
    b_.CreateMaskedStore(value, to, ll::Align(1), first_lanes(instr.scalar));
    return;
  }
  if (instr.op == Op::store) {
    b_.CreateAlignedStore(value, to, ll::Align(1));
    return;
  }
  auto* stream = b_.CreateAlignedStore(value, to, ll::Align(uint64_t{4} * n_));
  auto* one = ll::ConstantAsMetadata::get(b_.getInt32(1));
  streams_ = true;
  stream->setMetadata(ll::LLVMContext::MD_nontemporal, ll::MDNode::get(module_.getContext(), one));
}

}  // namespace lathe::codegen::llvm
