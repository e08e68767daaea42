// Loads and stores of the first few lanes, touching no byte beyond them.
//
// AVX-512 masks every access. AVX2 masks 32-bit lanes of loads, and of stores with a run-time
// count. Everything else moves 8, 4, 2 and 1 elements as the bits of the count say.
#include <bit>
#include <cassert>

#include "codegen/x86/emitter.h"

namespace lathe::codegen::x86 {

Opmask Emitter::part_mask() {
  const Opmask k = scratch_mask();
  const Reg32 bits = scratch_gen().cvt32();
  if (instr().scalar.is_imm()) {
    a_.mov(bits, (1u << instr().scalar.imm) - 1);
  } else {
    a_.need(Isa::bmi2);
    a_.mov(bits, UINT32_MAX);
    a_.bzhi(bits, bits, gen(instr().scalar.reg).cvt32());
  }
  a_.need(Isa::avx512f);
  a_.kmovw(k, bits);
  return k;
}

void Emitter::load_part() {
  const MemoryType type = instr().memory;
  const Operand& count = instr().scalar;
  if (count.is_imm() && count.imm == 0) return a_.zero(dst());
  if (count.is_imm() && count.imm == a_.lanes()) return load();
  if (a_.is_avx512()) return extend(dst() | part_mask() | a_.T_z, memory(), type);
  if (a_.is_avx2() && type == MemoryType::raw32) return load_part_raw_avx2();
  Label done;
  if (a_.is_scalar()) {
    a_.xorps(dst(), dst());
    a_.test(gen(count.reg), gen(count.reg));
    a_.jz(done, Assembler::T_NEAR);
    load();
    return a_.L(done);
  }
  if (count.is_imm()) {
    load_bytes(dst(), static_cast<int>(count.imm) * bytes_of(type));
  } else {
    Label partial;
    a_.cmp(gen(count.reg), static_cast<uint32_t>(a_.lanes()));
    a_.jl(partial, Assembler::T_NEAR);
    load();
    a_.jmp(done, Assembler::T_NEAR);
    a_.L(partial);
    load_bytes_counted(dst(), bytes_of(type));
  }
  if (type != MemoryType::raw32) extend(dst(), a_.low128(dst()), type);
  a_.L(done);
}

// The result's register holds the mask first.
void Emitter::load_part_raw_avx2() {
  const Operand& count = instr().scalar;
  const Xmm d = dst(), low = a_.low128(d);
  if (count.is_imm() && count.imm == 1) return a_.load_4(d, memory());
  if (count.is_imm() && count.imm == 2) return a_.load_8(d, memory());
  if (count.is_imm() && count.imm == 4) return a_.load_16(d, memory());
  if (count.is_imm()) {
    std::vector<uint32_t> lanes(8, 0);
    for (size_t i = 0; i < static_cast<size_t>(count.imm); ++i) lanes[i] = UINT32_MAX;
    a_.load_vector(d, a_.constant(lanes));
  } else {
    a_.need(Isa::avx2);
    a_.from_general(d, gen(count.reg).cvt32());
    a_.vpbroadcastd(d, low);
    a_.vpcmpgtd(d, d, a_.constant(a_.iota_words()));
  }
  a_.vmaskmovps(d, d, memory());
}

// Pieces of 8, 4, 2 and 1 bytes, each into its place.
void Emitter::load_bytes(const Xmm& dst, int bytes) {
  int done = 0;
  if (bytes >= 8) {
    a_.load_8(dst, memory());
    done = 8;
  } else if (bytes >= 4) {
    a_.load_4(dst, memory());
    done = 4;
  } else {
    a_.zero(dst);
  }
  for (const int piece : {4, 2, 1}) {
    if (bytes - done < piece) continue;
    a_.insert(dst, memory(done), piece, done);
    done += piece;
  }
}

// From the count's lowest bit up: what is already there moves up, the piece before it in memory
// comes in below.
void Emitter::load_bytes_counted(const Xmm& dst, int element) {
  const Reg64 count = gen(instr().scalar.reg), base = scratch_gen(0), at = scratch_gen(1);
  a_.lea(base, memory());
  a_.zero(dst);
  for (int piece = 1; piece < a_.lanes(); piece *= 2) {
    const int bytes = piece * element;
    Label next;
    a_.test(count.cvt32(), static_cast<uint32_t>(piece));
    a_.jz(next, Assembler::T_NEAR);
    a_.mov(at, count);
    a_.and_(at, static_cast<uint32_t>(-2 * piece));
    const XAddress from = a_.ptr[base + at * element];
    if (piece == 1) {
      a_.insert(dst, from, bytes, 0);
    } else {
      a_.shift_bytes_left(dst, bytes);
      if (bytes == 8) {
        a_.load_8(scratch(), from);
      } else if (bytes == 4) {
        a_.load_4(scratch(), from);
      } else {
        a_.zero(scratch());
        a_.insert(scratch(), from, bytes, 0);
      }
      a_.bit_or_128(dst, scratch());
    }
    a_.L(next);
  }
}

void Emitter::store_part() {
  const MemoryType type = instr().memory;
  const Operand& count = instr().scalar;
  if (count.is_imm() && count.imm == 0) return;
  if (count.is_imm() && count.imm == a_.lanes()) return store();
  if (a_.is_avx512()) {
    const Opmask k = part_mask();
    return store_512(memory(), src(0), type, &k);
  }
  if (a_.is_avx2() && type == MemoryType::raw32) return store_part_raw_avx2();
  Label done;
  if (a_.is_scalar()) {
    a_.test(gen(count.reg), gen(count.reg));
    a_.jz(done, Assembler::T_NEAR);
    store();
    return a_.L(done);
  }
  if (count.is_imm()) {
    store_bytes(narrow(src(0), type), static_cast<int>(count.imm) * bytes_of(type));
    return;
  }
  Label partial;
  a_.cmp(gen(count.reg), static_cast<uint32_t>(a_.lanes()));
  a_.jl(partial, Assembler::T_NEAR);
  store();
  a_.jmp(done, Assembler::T_NEAR);
  a_.L(partial);
  const Xmm packed = narrow(src(0), type);
  if (packed.getIdx() != scratch().getIdx()) a_.copy(a_.low128(scratch()), packed);
  store_bytes_counted(a_.low128(scratch()), bytes_of(type));
  a_.L(done);
}

void Emitter::store_part_raw_avx2() {
  const Operand& count = instr().scalar;
  const Xmm t = scratch();
  a_.need(Isa::avx);
  if (!count.is_imm()) {
    a_.need(Isa::avx2);
    a_.from_general(t, gen(count.reg).cvt32());
    a_.vpbroadcastd(t, a_.low128(t));
    a_.vpcmpgtd(t, t, a_.constant(a_.iota_words()));
    return a_.vmaskmovps(memory(), t, src(0));
  }
  Xmm rest = src(0);
  int64_t left = count.imm, at = 0;
  if (left >= 4) {
    a_.store_16(memory(), rest);
    left -= 4;
    at = 16;
    if (left == 0) return;
    a_.vextractf128(a_.low128(t), Ymm(rest.getIdx()), 1);
    rest = t;
  }
  if (left >= 2) {
    a_.store_8(memory(at), rest);
    at += 8;
  }
  if (left == 3)
    a_.extract(memory(at), rest, 4, 8);
  else if (left == 1)
    a_.store_4(memory(at), rest);
}

void Emitter::store_bytes(const Xmm& src, int bytes) {
  int done = 0;
  for (const int piece : {8, 4, 2, 1}) {
    if (bytes - done < piece) continue;
    a_.extract(memory(done), src, piece, done);
    done += piece;
  }
}

// From the count's highest bit down; what is stored leaves the register at its low end.
void Emitter::store_bytes_counted(const Xmm& packed, int element) {
  const Reg64 count = gen(instr().scalar.reg), to = scratch_gen();
  a_.lea(to, memory());
  for (int piece = a_.lanes() / 2; piece >= 1; piece /= 2) {
    const int bytes = piece * element;
    Label next;
    a_.test(count.cvt32(), static_cast<uint32_t>(piece));
    a_.jz(next, Assembler::T_NEAR);
    a_.extract(a_.ptr[to], packed, bytes, 0);
    if (piece > 1) {
      a_.add(to, static_cast<uint32_t>(bytes));
      a_.shift_bytes_right(packed, bytes);
    }
    a_.L(next);
  }
}

}  // namespace lathe::codegen::x86
