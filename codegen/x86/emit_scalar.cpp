// Scalars and pointers in general registers.
#include <bit>
#include <cassert>

#include "codegen/x86/emitter.h"

namespace lathe::codegen::x86 {
namespace {

uint32_t imm32(int64_t value) { return static_cast<uint32_t>(value); }

}  // namespace

bool Emitter::scalar_op() {
  const auto in_place = [&](const auto& emit) {
    const Reg64 d = gen(instr().dst);
    if (d.getIdx() != gen(instr().src[0]).getIdx()) a_.mov(d, gen(instr().src[0]));
    emit(d);
    return true;
  };
  const Operand& b = instr().scalar;
  switch (instr().op) {
    case Op::sconst:
      if (instr().imm == 0)
        a_.xor_(gen(instr().dst).cvt32(), gen(instr().dst).cvt32());
      else
        a_.mov(gen(instr().dst), static_cast<uint64_t>(instr().imm));
      return true;
    case Op::smov: return in_place([](const Reg64&) {});
    case Op::sadd: add(); return true;
    case Op::ssub: subtract(); return true;
    case Op::smul: multiply(); return true;
    case Op::smin: minimum(false); return true;
    case Op::smax: minimum(true); return true;
    case Op::sand:
      if (b.is_imm()) return in_place([&](const Reg64& d) { a_.and_(d, imm32(b.imm)); });
      if (gen(instr().dst).getIdx() == gen(b.reg).getIdx()) {
        a_.and_(gen(instr().dst), gen(instr().src[0]));
        return true;
      }
      return in_place([&](const Reg64& d) { a_.and_(d, gen(b.reg)); });
    case Op::sshl:
      return in_place([&](const Reg64& d) { a_.shl(d, static_cast<int>(instr().imm)); });
    case Op::sshr:
      return in_place([&](const Reg64& d) { a_.sar(d, static_cast<int>(instr().imm)); });
    case Op::sdiv: divide(); return true;
    case Op::sload: load_scalar(); return true;
    case Op::sbits: mask_bits(); return true;
    case Op::slane: lane_to_scalar(); return true;
    case Op::pmov: move_pointer(); return true;
    case Op::pmisaligned:
      return in_place([&](const Reg64& d) {
        const int bits = std::countr_zero(static_cast<uint64_t>(instr().imm));
        if (bits < 32) return a_.and_(d, imm32(instr().imm - 1));
        a_.shl(d, 64 - bits);
        a_.shr(d, 64 - bits);
      });
    default: return false;
  }
}

void Emitter::add() {
  const Reg64 d = gen(instr().dst), a = gen(instr().src[0]);
  const Operand& b = instr().scalar;
  if (b.is_imm()) {
    if (d.getIdx() == a.getIdx()) return a_.add(d, imm32(b.imm));
    return a_.lea(d, a_.ptr[a + static_cast<size_t>(b.imm)]);
  }
  const Reg64 other = gen(b.reg);
  if (d.getIdx() == a.getIdx()) return a_.add(d, other);
  if (d.getIdx() == other.getIdx()) return a_.add(d, a);
  a_.lea(d, a_.ptr[a + other]);
}

void Emitter::subtract() {
  const Reg64 d = gen(instr().dst), a = gen(instr().src[0]);
  const Operand& b = instr().scalar;
  if (b.is_imm()) {
    if (d.getIdx() != a.getIdx()) a_.mov(d, a);
    return a_.sub(d, imm32(b.imm));
  }
  const Reg64 other = gen(b.reg);
  if (d.getIdx() == other.getIdx() && d.getIdx() != a.getIdx()) {
    a_.neg(d);
    return a_.add(d, a);
  }
  if (d.getIdx() != a.getIdx()) a_.mov(d, a);
  a_.sub(d, other);
}

void Emitter::multiply() {
  const Reg64 d = gen(instr().dst), a = gen(instr().src[0]);
  const Operand& b = instr().scalar;
  if (!b.is_imm()) {
    const Reg64 other = gen(b.reg);
    if (d.getIdx() == other.getIdx()) return a_.imul(d, a);
    if (d.getIdx() != a.getIdx()) a_.mov(d, a);
    return a_.imul(d, other);
  }
  if (b.imm > 0 && std::has_single_bit(static_cast<uint64_t>(b.imm))) {
    if (d.getIdx() != a.getIdx()) a_.mov(d, a);
    if (b.imm > 1) a_.shl(d, std::countr_zero(static_cast<uint64_t>(b.imm)));
    return;
  }
  if (b.imm == 3 || b.imm == 5 || b.imm == 9)
    return a_.lea(d, a_.ptr[a + a * static_cast<int>(b.imm - 1)]);
  a_.imul(d, a, static_cast<int>(b.imm));
}

void Emitter::minimum(bool maximum) {
  const Reg64 d = gen(instr().dst), a = gen(instr().src[0]);
  const Operand& operand = instr().scalar;
  Reg64 b = operand.is_imm() ? scratch_gen() : gen(operand.reg);
  if (operand.is_imm()) a_.mov(b, static_cast<uint64_t>(operand.imm));
  if (d.getIdx() == b.getIdx())
    b = a;
  else if (d.getIdx() != a.getIdx())
    a_.mov(d, a);
  a_.cmp(d, b);
  if (maximum)
    a_.cmovl(d, b);
  else
    a_.cmovg(d, b);
}

void Emitter::divide() {
  const Reg64 d = gen(instr().dst), a = gen(instr().src[0]);
  const Operand& by = instr().scalar;
  if (by.is_imm() && by.imm > 0 && std::has_single_bit(static_cast<uint64_t>(by.imm))) {
    const int bits = std::countr_zero(static_cast<uint64_t>(by.imm));
    if (bits == 0) {
      if (d.getIdx() != a.getIdx()) a_.mov(d, a);
      return;
    }
    // Shifting rounds down; adding divisor - 1 to what is negative makes that towards zero.
    const Reg64 sum = scratch_gen();
    a_.mov(sum, a);
    a_.sar(sum, 63);
    a_.shr(sum, 64 - bits);
    a_.add(sum, a);
    a_.sar(sum, bits);
    return a_.mov(d, sum);
  }
  const Reg64 divisor = by.is_imm() ? scratch_gen() : gen(by.reg);
  if (by.is_imm()) a_.mov(divisor, static_cast<uint64_t>(by.imm));
  a_.mov(a_.rax, a);
  a_.cqo();
  a_.idiv(divisor);
  a_.mov(d, a_.rax);
}

void Emitter::load_scalar() {
  const Reg64 d = gen(instr().dst);
  switch (instr().imm) {
    case 1: return a_.movzx(d.cvt32(), memory(a_.byte));
    case 2: return a_.movzx(d.cvt32(), memory(a_.word));
    case 4: return a_.mov(d.cvt32(), memory(a_.dword));
    case -1: return a_.movsx(d, memory(a_.byte));
    case -2: return a_.movsx(d, memory(a_.word));
    case -4: return a_.movsxd(d, memory(a_.dword));
    default: return a_.mov(d, memory(a_.qword));
  }
}

void Emitter::mask_bits() {
  const Reg64 d = gen(instr().dst);
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    return a_.kmovw(d.cvt32(), mask(instr().src[0]));
  }
  if (a_.is_avx2()) {
    a_.need(Isa::avx);
    return a_.vmovmskps(d, src(0));
  }
  a_.movmskps(d.cvt32(), src(0));
  if (a_.is_scalar()) a_.and_(d.cvt32(), 1);
}

void Emitter::lane_to_scalar() {
  const Reg64 d = gen(instr().dst);
  const int lane = static_cast<int>(instr().imm);
  Xmm quad = a_.low128(src(0));
  if (a_.is_sse()) {
    if (lane == 0) {
      a_.movd(d.cvt32(), quad);
    } else {
      a_.need(Isa::sse4_1);
      a_.pextrd(d.cvt32(), quad, static_cast<uint8_t>(lane));
    }
    return a_.movsxd(d, d.cvt32());
  }
  if (lane >= 4) {
    const Xmm t = a_.low128(scratch());
    if (a_.is_avx512()) {
      a_.need(Isa::avx512f);
      a_.vextractf32x4(t, Zmm(quad.getIdx()), static_cast<uint8_t>(lane / 4));
    } else {
      a_.need(Isa::avx);
      a_.vextractf128(t, Ymm(quad.getIdx()), 1);
    }
    quad = t;
  }
  if (lane % 4 == 0) {
    a_.need_avx(quad);
    a_.vmovd(d.cvt32(), quad);
  } else {
    a_.need(quad.getIdx() < 16 ? Isa::avx : Isa::avx512dq);
    a_.vpextrd(d.cvt32(), quad, static_cast<uint8_t>(lane % 4));
  }
  a_.movsxd(d, d.cvt32());
}

void Emitter::move_pointer() {
  const Reg64 d = gen(instr().dst), p = gen(instr().address.pointer);
  const Address& address = instr().address;
  const bool in_place = d.getIdx() == p.getIdx();
  if (!address.index.valid()) {
    if (in_place && address.offset == 0) return;
    if (in_place) return a_.add(d, imm32(address.offset));
    if (address.offset == 0) return a_.mov(d, p);
  } else if (in_place && address.scale == 1 && address.offset == 0) {
    return a_.add(d, gen(address.index));
  }
  a_.lea(d, memory());
}

}  // namespace lathe::codegen::x86
