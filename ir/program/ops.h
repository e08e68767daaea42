// The instruction set of kernel programs: one row an instruction, with its operands and its
// meaning.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lathe::ir::program {

enum class Op : uint8_t {
  // vectors: constants and moves
  vconst,
  viota,
  vsplat,
  vmov,
  // f32 arithmetic
  fadd,
  fsub,
  fmul,
  fdiv,
  fma,
  fms,
  fnma,
  fmin,
  fmax,
  fsqrt,
  frecip,
  frsqrt,
  fround,
  ftrunc,
  fscale,
  round_f16,
  round_bf16,
  // conversions between lanes
  f2i,
  i2f,
  // i32 and bits
  iadd,
  isub,
  imul,
  imin,
  imax,
  iand,
  ior,
  ixor,
  iandn,
  ishl,
  ishr,
  isar,
  // narrow integers
  iadd16,
  dot2_u8s8,
  dot2_s16,
  dot4_u8s8,
  iabs8,
  isign8,
  // lanes
  permute,
  shuffle2,
  byte_shuffle,
  lookup8,
  reduce_add,
  reduce_min,
  reduce_max,
  // masks
  fcmp,
  icmp,
  fnan,
  mand,
  mor,
  mnot,
  select,
  // memory
  load,
  load_part,
  load_splat,
  load_group,
  store,
  store_part,
  store_stream,
  prefetch,
  // scalars and pointers
  sconst,
  smov,
  sadd,
  ssub,
  smul,
  smin,
  smax,
  sand,
  sshl,
  sshr,
  sdiv,
  sload,
  sbits,
  slane,
  pmov,
  pmisaligned,
};

/// Operand letters: v vector, m mask, s scalar register, p pointer, - none.
struct OpInfo {
  std::string_view name;
  char result;
  std::string_view sources;  ///< one letter an entry of Instr::src
  bool reads_memory = false, writes_memory = false;
  bool has_address = false;  ///< Instr::address is used (memory, and pmov)
  bool has_memory_type = false;
  bool has_scalar = false;   ///< Instr::scalar is used
  bool has_imm = false;      ///< Instr::imm is used
  bool has_pattern = false;  ///< Instr::pattern is used: lane indices, or the bytes of a table
  std::string_view
      meaning;  ///< one line: what each lane becomes; NaN and rounding where they matter
};

const OpInfo& info(Op op);
std::span<const OpInfo> all_ops();  ///< in the order of Op

}  // namespace lathe::ir::program
