// Which machine instruction stands for which op on each encoding, and which operands may be memory.
#pragma once

#include "codegen/x86/assembler.h"
#include "codegen/x86/flat_program.h"

namespace lathe::codegen::x86 {

/// An op with two vector sources and a plain instruction for it.
struct BinaryForm {
  using Sse = void (*)(Assembler&, const Xmm&, const XOperand&);
  using Vex = void (*)(Assembler&, const Xmm&, const Xmm&, const XOperand&);
  Op op;
  bool commutative;
  Sse packed;      ///< dst op= src (SSE)
  Sse single;      ///< the same on one f32 (scalar target); null: `packed` does
  Vex vex;         ///< three operands, AVX and AVX2; null where there is none
  Vex evex;        ///< 512 bits; null where there is none
  bool broadcast;  ///< the evex form takes one 32-bit element for all lanes
  IsaMask sse_isa, vex_isa, evex_isa;
};

/// An op with one vector source.
struct UnaryForm {
  using Emit = void (*)(Assembler&, const Xmm&, const XOperand&);
  Op op;
  Emit packed, single, vex, evex;
  bool broadcast;
  IsaMask sse_isa, vex_isa, evex_isa;
};

/// Null where the op has no such form.
const BinaryForm* binary_form(Op op);
const UnaryForm* unary_form(Op op);

}  // namespace lathe::codegen::x86
