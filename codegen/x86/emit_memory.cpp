// Whole vectors, splats and groups from and to memory, with conversion between elements and lanes.
#include <cassert>
#include <utility>

#include "codegen/x86/emitter.h"

namespace lathe::codegen::x86 {

bool Emitter::memory_op() {
  switch (instr().op) {
    case Op::load: load(); return true;
    case Op::load_part: load_part(); return true;
    case Op::load_splat: load_splat(); return true;
    case Op::load_group: load_group(); return true;
    case Op::store: store(); return true;
    case Op::store_part: store_part(); return true;
    case Op::store_stream:
      if (a_.is_scalar()) {
        a_.store_vector(memory(), src(0));
        return true;
      }
      streams_ = true;
      if (a_.is_sse())
        a_.movntps(memory(), src(0));
      else {
        a_.need(a_.is_avx512() ? Isa::avx512f : Isa::avx);
        a_.vmovntps(memory(), src(0));
      }
      return true;
    case Op::prefetch:
      switch (instr().imm) {
        case 0: a_.prefetcht0(memory()); break;
        case 1: a_.prefetcht1(memory()); break;
        case 2: a_.prefetcht2(memory()); break;
        default: a_.prefetchnta(memory()); break;
      }
      return true;
    default: return false;
  }
}

// From memory or from the low bytes of a register.
void Emitter::extend(const Xmm& dst, const XOperand& from, MemoryType type) {
  if (a_.is_sse()) {
    a_.need(Isa::sse4_1);
    switch (type) {
      case MemoryType::i8: return a_.pmovsxbd(dst, from);
      case MemoryType::u8: return a_.pmovzxbd(dst, from);
      case MemoryType::i16: return a_.pmovsxwd(dst, from);
      case MemoryType::u16: return a_.pmovzxwd(dst, from);
      default: break;
    }
    if (from.isMEM()) return a_.load_vector(dst, from.getAddress());
    return a_.copy(dst, static_cast<const Xmm&>(from));
  }
  a_.need(a_.is_avx512() ? Isa::avx512f : Isa::avx2);
  switch (type) {
    case MemoryType::i8: return a_.vpmovsxbd(dst, from);
    case MemoryType::u8: return a_.vpmovzxbd(dst, from);
    case MemoryType::i16: return a_.vpmovsxwd(dst, from);
    case MemoryType::u16: return a_.vpmovzxwd(dst, from);
    case MemoryType::f16:
      if (!a_.is_avx512()) a_.need(Isa::f16c);
      return a_.vcvtph2ps(dst, from);
    default: break;
  }
  assert(from.isMEM());
  a_.load_vector(dst, from.getAddress());
}

void Emitter::load() {
  const MemoryType type = instr().memory;
  if (type == MemoryType::raw32) return a_.load_vector(dst(), memory());
  if (!a_.is_scalar()) return extend(dst(), memory(), type);
  // One element: into a cleared register, as pmovzx reads four.
  a_.xorps(dst(), dst());
  a_.insert(dst(), memory(), bytes_of(type), 0);
  if (type == MemoryType::i8 || type == MemoryType::i16) extend(dst(), dst(), type);
}

void Emitter::load_splat() {
  const MemoryType type = instr().memory;
  const Xmm d = dst(), low = a_.low128(d);
  if (a_.is_scalar()) return load();
  if (a_.is_sse()) {
    if (type == MemoryType::raw32) {
      a_.movss(d, memory());
      return a_.shufps(d, d, 0);
    }
    a_.xorps(d, d);
    a_.insert(d, memory(), bytes_of(type), 0);
    if (type == MemoryType::i8 || type == MemoryType::i16) extend(d, d, type);
    return a_.pshufd(d, d, 0);
  }
  if (type == MemoryType::raw32) {
    a_.need(a_.is_avx512() ? Isa::avx512f : Isa::avx);
    return a_.vbroadcastss(d, memory());
  }
  // As many elements as the extension reads, then extend.
  a_.need(a_.is_avx512() ? Isa::avx512bw | Isa::avx512vl : IsaMask(Isa::avx2));
  if (bytes_of(type) == 1) {
    a_.vpbroadcastb(low, memory());
    return extend(d, low, type);
  }
  const Xmm half = a_.is_avx512() ? Xmm(a_.low256(d)) : low;
  a_.vpbroadcastw(half, memory());
  extend(d, half, type);
}

void Emitter::load_group() {
  const Xmm d = dst();
  const bool pair = instr().imm == 8;
  if (a_.is_scalar()) return a_.load_vector(d, memory());
  if (a_.is_sse()) {
    if (!pair) return a_.movups(d, memory());
    a_.need(Isa::sse3);
    return a_.movddup(d, memory());
  }
  if (a_.is_avx512()) {
    a_.need(Isa::avx512f);
    if (pair) return a_.vbroadcastsd(Zmm(d.getIdx()), memory());
    return a_.vbroadcastf32x4(Zmm(d.getIdx()), memory());
  }
  a_.need(Isa::avx);
  if (pair) return a_.vbroadcastsd(Ymm(d.getIdx()), memory());
  a_.vbroadcastf128(Ymm(d.getIdx()), memory());
}

// Saturates by the pack instructions: to i16 or u16 from i32, from there to i8 or u8.
Xmm Emitter::narrow(const Xmm& src, MemoryType type) {
  if (type == MemoryType::raw32) return src;
  const Xmm t = a_.low128(scratch());
  if (type == MemoryType::f16) {
    a_.need(Isa::f16c);
    a_.vcvtps2ph(t, src, 0);
    return t;
  }
  if (a_.is_sse()) {
    a_.need(Isa::sse4_1);
    a_.copy(t, src);
    if (type == MemoryType::u16)
      a_.packusdw(t, t);
    else
      a_.packssdw(t, t);
    if (type == MemoryType::u8) a_.packuswb(t, t);
    if (type == MemoryType::i8) a_.packsswb(t, t);
    return t;
  }
  a_.need(Isa::avx2);
  a_.vextracti128(t, Ymm(src.getIdx()), 1);
  if (type == MemoryType::u16)
    a_.vpackusdw(t, a_.low128(src), t);
  else
    a_.vpackssdw(t, a_.low128(src), t);
  if (type == MemoryType::u8) a_.vpackuswb(t, t, t);
  if (type == MemoryType::i8) a_.vpacksswb(t, t, t);
  return t;
}

// Narrowing moves saturate by themselves; the unsigned ones take their source as unsigned.
void Emitter::store_512(const XAddress& to, const Xmm& src, MemoryType type, const Opmask* mask) {
  const XAddress address = mask == nullptr ? to : to | *mask;
  a_.need(Isa::avx512f);
  switch (type) {
    case MemoryType::raw32: return a_.vmovups(address, src);
    case MemoryType::f16: return a_.vcvtps2ph(address, src, 0);
    case MemoryType::i8: return a_.vpmovsdb(address, src);
    case MemoryType::i16: return a_.vpmovsdw(address, src);
    default: break;
  }
  a_.vpxord(scratch(), scratch(), scratch());
  a_.vpmaxsd(scratch(), scratch(), src);
  if (type == MemoryType::u8) return a_.vpmovusdb(address, scratch());
  a_.vpmovusdw(address, scratch());
}

// Two vectors of 16-bit elements side by side: one pack puts both in order, quads apart.
bool Emitter::store_pair() {
  const MemoryType type = instr().memory;
  if (!a_.is_avx2() || a_.is_avx512() || bytes_of(type) != 2 || type == MemoryType::f16 ||
      index_ + 1 >= flat_.items.size())
    return false;
  const Item& next = flat_.items[index_ + 1];
  if (next.kind != Item::Kind::instr || next.instr.op != Op::store || next.instr.memory != type ||
      !is_next(instr().address, next.instr.address, 2 * a_.lanes()))
    return false;
  const Ymm packed(scratch().getIdx());
  a_.need(Isa::avx2);
  if (type == MemoryType::u16)
    a_.vpackusdw(packed, src(0), vec(next.instr.src[0]));
  else
    a_.vpackssdw(packed, src(0), vec(next.instr.src[0]));
  a_.vpermq(packed, packed, 0xD8);
  a_.store_vector(memory(), packed);
  return true;
}

void Emitter::store() {
  if (std::exchange(stored_, false)) return;
  const MemoryType type = instr().memory;
  const Xmm value = src(0);
  if (type == MemoryType::raw32) return a_.store_vector(memory(), value);
  if (a_.is_avx512()) return store_512(memory(), value, type, nullptr);
  if (store_pair()) {
    stored_ = true;
    return;
  }
  if (type == MemoryType::f16) {
    a_.need(Isa::f16c);
    return a_.vcvtps2ph(memory(), value, 0);
  }
  const Xmm packed = narrow(value, type);
  const int bytes = bytes_of(type) * a_.lanes();
  if (bytes == 16) return a_.store_16(memory(), packed);
  a_.extract(memory(), packed, bytes, 0);
}

}  // namespace lathe::codegen::x86
