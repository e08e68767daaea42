// Xbyak for one target: one method name for the SSE, VEX and EVEX form of an instruction.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include <xbyak/xbyak.h>

#include "ir/target.h"
#include "support/hardware.h"

namespace lathe::codegen::x86 {

using XOperand = Xbyak::Operand;
using XAddress = Xbyak::Address;
using support::Isa;
using support::IsaMask;
using Xbyak::Label;
using Xbyak::Opmask;
using Xbyak::Reg32;
using Xbyak::Reg64;
using Xbyak::Xmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

/// Hands Xbyak plain memory: images are mapped executable by whoever runs them.
class PlainMemory : public Xbyak::Allocator {
 public:
  bool useProtect() const override { return false; }
};

/// Emits into a growing buffer. Constants are collected and placed behind the code, the largest
/// first, each aligned to its size. Every method notes the extension that its instruction needs.
class Assembler : public Xbyak::CodeGenerator {
 public:
  explicit Assembler(const ir::Target& target);

  bool is_sse() const { return target_.isa == ir::Isa::scalar || target_.isa == ir::Isa::sse; }
  bool is_scalar() const { return target_.isa == ir::Isa::scalar; }
  bool is_avx2() const { return target_.isa == ir::Isa::avx2; }
  bool is_avx512() const { return target_.isa == ir::Isa::avx512; }
  int lanes() const { return target_.lanes; }

  void need(IsaMask isa) { required_ |= isa; }
  /// Notes what a 128-bit AVX form needs here: registers 16 … 31 exist in EVEX alone.
  void need_avx(const Xmm& reg) { need(reg.getIdx() < 16 ? IsaMask(Isa::avx) : evex128()); }
  IsaMask required() const { return required_; }
  static IsaMask evex128() { return Isa::avx512f | Isa::avx512vl; }

  /// The register as a whole vector of the target, and its low parts.
  Xmm vector(int index) const;
  static Xmm low128(const Xmm& reg) { return Xmm(reg.getIdx()); }
  static Ymm low256(const Xmm& reg) { return Ymm(reg.getIdx()); }

  // Moves. `copy` emits nothing when both are the same register.
  void copy(const Xmm& dst, const Xmm& src);
  void zero(const Xmm& dst);  ///< the whole register
  void ones(const Xmm& dst);
  void load_vector(const Xmm& dst, const XAddress& from);
  void store_vector(const XAddress& to, const Xmm& src);
  void load_4(const Xmm& dst, const XAddress& from);   ///< movss: the rest becomes zero
  void load_8(const Xmm& dst, const XAddress& from);   ///< movq: the rest becomes zero
  void load_16(const Xmm& dst, const XAddress& from);  ///< movups
  void store_4(const XAddress& to, const Xmm& src);
  void store_8(const XAddress& to, const Xmm& src);
  void store_16(const XAddress& to, const Xmm& src);
  void from_general(const Xmm& dst, const Reg32& src);

  // 128-bit helpers that have one form in SSE and one in VEX or EVEX; dst may be src.
  void insert(const Xmm& dst, const XAddress& from, int bytes, int at_byte);  ///< pinsrb … pinsrq
  void extract(const XAddress& to, const Xmm& src, int bytes, int at_byte);   ///< pextrb … pextrq
  void shift_bytes_left(const Xmm& dst, int bytes);
  void shift_bytes_right(const Xmm& dst, int bytes);
  void bit_or_128(const Xmm& dst, const Xmm& src);
  void shuffle_128(const Xmm& dst, const Xmm& src, int pattern);  ///< pshufd

  // Constants in the image.
  XAddress constant(const std::vector<uint32_t>& words);  ///< its address, for any use
  XAddress splat_operand(uint32_t bits, bool broadcast);  ///< a whole vector, or {1toN} of 4 bytes
  void load_constant(const Xmm& dst, uint32_t bits);      ///< in every lane, by the cheapest way
  std::vector<uint32_t> iota_words() const;

  /// Places the constants and resolves labels; the finished image.
  std::vector<std::byte> finish();
  size_t code_bytes() const { return code_bytes_; }  ///< of instructions, known after finish()

 private:
  static PlainMemory& memory();

  const ir::Target& target_;
  IsaMask required_;
  std::map<std::vector<uint32_t>, Label*> pool_;
  std::deque<Label> labels_;
  size_t code_bytes_ = 0;
};

}  // namespace lathe::codegen::x86
