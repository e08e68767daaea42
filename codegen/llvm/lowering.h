// Lowers one kernel program to one LLVM function; internal to codegen/llvm (it includes LLVM).
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include "codegen/llvm/machine.h"
#include "ir/program/program.h"

namespace lathe::codegen::llvm {

namespace ll = ::llvm;

/// A C identifier for the program's name: what else there is becomes '_'.
std::string symbol_name(std::string_view program_name);

/// Registers become stack slots, which the first pass turns into SSA values. Vectors travel as
/// <lanes x float>, masks as <lanes x i1>, scalars as i64. Nothing here calls a function: what a
/// machine lacks is spelled out in arithmetic. No fast-math flag is ever set, so results are those
/// of the instruction table, bit for bit.
class Lowering {
 public:
  Lowering(const ir::program::Program& program, const Machine& machine, ll::Module& module);
  ll::Function* run();

 private:
  using Reg = ir::program::Reg;
  using Instr = ir::program::Instr;
  using MemoryType = ir::program::MemoryType;
  using Value = ll::Value*;

  // lowering.cpp: structure, scalars, pointers
  void block(const ir::program::Block& block);
  void loop(const ir::program::Loop& loop);
  void branch(const ir::program::Branch& branch);
  void instruction(const Instr& instr);
  bool scalar(const Instr& instr);
  ll::AllocaInst*& slot(Reg reg);
  Value get(Reg reg);
  void put(Reg reg, Value value);  ///< vectors of any element type
  Value operand(const ir::program::Operand& operand);
  Value compare(ir::program::Compare compare, Value left, Value right);

  // lower_memory.cpp
  bool memory(const Instr& instr);
  Value address(const ir::program::Address& address);
  Value first_lanes(const ir::program::Operand& count);  ///< a mask
  Value load_group(const Instr& instr);
  void store(const Instr& instr);

  // lower_arithmetic.cpp
  bool arithmetic(const Instr& instr);
  Value multiply_add(Value a, Value b, Value c);
  Value minimum(Value a, Value b);
  Value maximum(Value a, Value b);
  Value opaque(Value a);  ///< a, hidden from LLVM's pattern of minimum and maximum
  Value reciprocal(Value a);
  Value reciprocal_root(Value a);
  Value round_even(Value a);
  Value truncate(Value a);
  Value scale(Value a, Value exponent);
  Value to_int(Value a);

  // lower_lanes.cpp: narrow integers and movement between lanes
  bool lanes(const Instr& instr);
  Value dot2_u8s8(Value a, Value b);
  Value dot2_s16(Value a, Value b);
  Value dot4_u8s8(Value a, Value b, Value sum);
  Value byte_shuffle(Value a, Value b);
  Value lookup(const Instr& instr);
  Value reduce(ir::program::Op op, Value a);
  Value splat_lane0(Value a);

  // lower_types.cpp: memory elements to lanes and back
  ll::Type* element_type(MemoryType type);       ///< of vectors in memory
  Value widen(Value elements, MemoryType type);  ///< <n x element> to <n x float>
  Value narrow(Value lanes, MemoryType type);    ///< <n x float> to <n x element>
  Value widen_f16(Value elements);
  Value narrow_f16(Value lanes);
  Value narrow_bf16(Value lanes);
  Value clamp(Value lanes, int64_t low, int64_t high);

  // Small words
  ll::FixedVectorType* vector_of(ll::Type* element, unsigned count) {
    return ll::FixedVectorType::get(element, count);
  }
  static unsigned width(Value v) {
    return ll::cast<ll::FixedVectorType>(v->getType())->getNumElements();
  }
  Value as(Value v, ll::Type* type) { return b_.CreateBitCast(v, type); }
  Value f32(Reg reg) { return get(reg); }
  Value i32(Reg reg) { return as(get(reg), ints_); }
  Value i16(Reg reg) { return as(get(reg), words_); }
  Value i8(Reg reg) { return as(get(reg), bytes_); }
  Value as_ints(Value v) { return as(v, vector_of(b_.getInt32Ty(), width(v))); }
  Value as_floats(Value v) { return as(v, vector_of(b_.getFloatTy(), width(v))); }
  /// The constant in every lane of a vector like `like`.
  Value same(Value like, int64_t value) {
    return ll::ConstantInt::get(like->getType(), static_cast<uint64_t>(value), true);
  }
  Value same_float(Value like, double value) { return ll::ConstantFP::get(like->getType(), value); }
  Value intrinsic(ll::Intrinsic::ID id, std::initializer_list<Value> arguments);
  Value unary(ll::Intrinsic::ID id, Value a) { return b_.CreateUnaryIntrinsic(id, a); }
  bool x86(support::IsaMask extensions) const {
    return machine_.architecture == Architecture::x86_64 && machine_.has(extensions);
  }
  bool x86_512() const {  ///< AVX-512 instructions on this program's width
    using support::Isa;
    return n_ >= 4 &&
           x86(Isa::avx512f | Isa::avx512bw | Isa::avx512dq | support::IsaMask(Isa::avx512vl));
  }
  /// Of an intrinsic's 128-, 256- and 512-bit forms the one for this width, where the extension
  /// that each needs is there; not_intrinsic otherwise.
  ll::Intrinsic::ID pick(ll::Intrinsic::ID sse, support::IsaMask sse_needs, ll::Intrinsic::ID avx,
                         support::IsaMask avx_needs, ll::Intrinsic::ID avx512) const;

  const ir::program::Program& program_;
  const Machine& machine_;
  ll::Module& module_;
  ll::IRBuilder<> b_;
  unsigned n_;  ///< lanes
  ll::FixedVectorType *floats_, *ints_, *words_, *bytes_, *bits_;
  ll::Function* function_ = nullptr;
  bool streams_ = false;                   ///< a store past the caches was lowered
  std::vector<ll::AllocaInst*> slots_[4];  ///< by RegClass, then id
};

}  // namespace lathe::codegen::llvm
