// Emission: walks the items and writes machine code with the registers that the allocator chose.
#pragma once

#include "codegen/kernel_image.h"
#include "codegen/x86/allocation.h"
#include "codegen/x86/assembler.h"
#include "codegen/x86/flat_program.h"
#include "codegen/x86/shuffle_plan.h"

namespace lathe::codegen::x86 {

/// Emits one program. Methods are grouped by file: emit_vector.cpp, emit_lanes.cpp, emit_masks.cpp,
/// emit_memory.cpp, emit_partial.cpp, emit_scalar.cpp; control flow is in emitter.cpp.
class Emitter {
 public:
  Emitter(const FlatProgram& flat, const Allocation& allocation);

  /// Code, entry and required_isa of the image.
  KernelImage run();

 private:
  using MemoryType = ir::program::MemoryType;
  using Compare = ir::program::Compare;

  // Control flow and frame.
  void prologue();
  void epilogue();
  void item(size_t index);
  void instruction();
  void loop_begin();
  void loop_end();
  void branch();
  void compare(Reg left, const Operand& right);

  // Vectors.
  void constant_op();
  bool vector_op();
  void binary(const struct BinaryForm& form);
  void unary(const struct UnaryForm& form);
  void fused();
  void shift();
  void round_through_f16();
  void sign_bytes_512();
  void dot4();

  // Lanes.
  bool lane_op();
  void shuffle();
  void shuffle_sse(const ShufflePlan& plan, const Xmm& dst, const Xmm& a, const Xmm& b);
  void shuffle_avx2(const ShufflePlan& plan, const Xmm& dst, const Xmm& a, const Xmm& b);
  void shuffle_avx512(const ShufflePlan& plan, const Xmm& dst, const Xmm& a, const Xmm& b);
  void byte_shuffle_scalar();
  void lookup();
  void reduce();

  // Masks.
  bool mask_op();
  void compare_floats();
  void compare_ints();
  void select();
  void invert_mask();

  // Whole memory accesses.
  bool memory_op();
  void load();
  void store();
  bool store_pair();
  void load_splat();
  void load_group();
  void extend(const Xmm& dst, const XOperand& from, MemoryType type);  ///< elements to lanes
  /// Lanes to elements, in the low bytes of the result, which is one of the scratch registers or
  /// src.
  Xmm narrow(const Xmm& src, MemoryType type);
  void store_512(const XAddress& to, const Xmm& src, MemoryType type, const Opmask* mask);

  // Partial memory accesses.
  void load_part();
  void store_part();
  void load_part_raw_avx2();
  void store_part_raw_avx2();
  void load_bytes(const Xmm& dst, int bytes);            ///< static count, at the address
  void load_bytes_counted(const Xmm& dst, int element);  ///< run-time count
  void store_bytes(const Xmm& src, int bytes);
  void store_bytes_counted(const Xmm& packed, int element);  ///< shifts `packed`
  Opmask part_mask();

  // Scalars and pointers.
  bool scalar_op();
  void add();
  void subtract();
  void multiply();
  void minimum(bool maximum);
  void divide();
  void load_scalar();
  void mask_bits();
  void lane_to_scalar();
  void move_pointer();

  // Operands of the current item.
  const Instr& instr() const { return current_->instr; }
  Xmm vec(Reg reg) const;
  Opmask mask(Reg reg) const;
  Reg64 gen(Reg reg) const;
  Xmm dst() const { return vec(instr().dst); }
  Xmm src(size_t i) const { return vec(instr().src[i]); }
  Xmm scratch(size_t i = 0) const;
  Opmask scratch_mask(size_t i = 0) const;
  Reg64 scratch_gen(size_t i = 0) const;
  bool folded(size_t i) const { return current_->fold.source == static_cast<int>(i); }
  /// src[i] as a register or, where folded, its memory; `broadcast`: the form takes {1toN}.
  const XOperand& operand(size_t i, bool broadcast);
  Xbyak::RegExp expression() const;         ///< of the instruction's address
  XAddress memory(int64_t plus = 0) const;  ///< the address, without a size
  XAddress memory(const Xbyak::AddressFrame& frame, int64_t plus = 0) const;
  bool same(const Xmm& a, const Xmm& b) const { return a.getIdx() == b.getIdx(); }

  const FlatProgram& flat_;
  const Allocation& allocation_;
  const Program& program_;
  Assembler a_;
  const Item* current_ = nullptr;
  size_t index_ = 0;
  bool streams_ = false;       ///< a store past the caches was emitted
  bool stored_ = false;        ///< the current item's store was emitted with the one before
  std::vector<Label> labels_;  ///< by item: of a loop's body or skip, of an arm
  std::vector<Label> skips_;
  Xmm register_operand_;
  XAddress memory_operand_;
};

}  // namespace lathe::codegen::x86
