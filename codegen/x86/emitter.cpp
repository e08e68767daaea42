// Control flow, frame and operands.
#include "codegen/x86/emitter.h"

#include <cassert>

#include "codegen/x86/forms.h"

namespace lathe::codegen::x86 {
namespace {

constexpr std::array<int, 6> kCalleeSaved = {3, 5, 12, 13, 14, 15};  // rbx rbp r12 … r15

}  // namespace

Emitter::Emitter(const FlatProgram& flat, const Allocation& allocation)
    : flat_(flat),
      allocation_(allocation),
      program_(*flat.source),
      a_(flat.source->target),
      labels_(flat.items.size()),
      skips_(flat.items.size()),
      memory_operand_(0, false, Xbyak::RegExp()) {}

KernelImage Emitter::run() {
  for (index_ = 0; index_ < flat_.items.size(); ++index_) {
    current_ = &flat_.items[index_];
    item(index_);
  }
  epilogue();
  KernelImage image;
  image.code = a_.finish();
  image.code_bytes = a_.code_bytes();
  image.required_isa = a_.required();
  image.vector_registers_used = allocation_.vectors_used;
  for (const bool used : allocation_.generals_used) image.general_registers_used += used ? 1 : 0;
  return image;
}

void Emitter::prologue() {
  for (const int saved : kCalleeSaved)
    if (allocation_.generals_used[static_cast<size_t>(saved)]) a_.push(Reg64(saved));
  if (flat_.stack_slots > 0) a_.sub(a_.rsp, 8 * flat_.stack_slots);
  // Arguments on the stack pass through rax, before an argument may live there.
  const auto slot = [&](size_t i) { return a_.qword[a_.rdi + 8 * i]; };
  for (size_t i = 0; i < flat_.argument_slots.size(); ++i) {
    if (flat_.argument_slots[i] < 0) continue;
    a_.mov(a_.rax, slot(i));
    a_.mov(a_.qword[a_.rsp + 8 * flat_.argument_slots[i]], a_.rax);
  }
  size_t last = SIZE_MAX;  // the argument that overwrites the slots' address
  for (size_t i = 0; i < flat_.argument_slots.size(); ++i) {
    if (flat_.argument_slots[i] >= 0 || allocation_.home[key(flat_.argument(i))] < 0) continue;
    const Reg64 home = gen(flat_.argument(i));
    if (home.getIdx() == a_.rdi.getIdx())
      last = i;
    else
      a_.mov(home, slot(i));
  }
  if (last != SIZE_MAX) a_.mov(a_.rdi, slot(last));
}

void Emitter::epilogue() {
  // Streamed stores obey no order, not even that of a later release, until they are fenced.
  if (streams_) a_.sfence();
  if (!a_.is_sse()) {
    a_.need(Isa::avx);
    a_.vzeroupper();
  }
  if (flat_.stack_slots > 0) a_.add(a_.rsp, 8 * flat_.stack_slots);
  for (auto saved = kCalleeSaved.rbegin(); saved != kCalleeSaved.rend(); ++saved)
    if (allocation_.generals_used[static_cast<size_t>(*saved)]) a_.pop(Reg64(*saved));
  a_.ret();
}

void Emitter::item(size_t index) {
  const Item& item = flat_.items[index];
  switch (item.kind) {
    case Item::Kind::entry: prologue(); break;
    case Item::Kind::instr: instruction(); break;
    case Item::Kind::loop_begin: loop_begin(); break;
    case Item::Kind::loop_end: loop_end(); break;
    case Item::Kind::branch: branch(); break;
    case Item::Kind::otherwise: {
      // Without a second arm the branch jumps here, which is also the join.
      const bool empty = item.partner == static_cast<int>(index) + 1;
      if (!empty) a_.jmp(labels_[static_cast<size_t>(item.partner)], Assembler::T_NEAR);
      a_.L(labels_[index]);
      break;
    }
    case Item::Kind::join: a_.L(labels_[index]); break;
    case Item::Kind::reload:
      a_.mov(gen(item.instr.dst), a_.qword[a_.rsp + 8 * item.instr.imm]);
      break;
    case Item::Kind::spill:
      a_.mov(a_.qword[a_.rsp + 8 * item.instr.imm], gen(item.instr.src[0]));
      break;
    case Item::Kind::removed: break;
  }
}

void Emitter::instruction() {
  [[maybe_unused]] const bool emitted =
      vector_op() || lane_op() || mask_op() || memory_op() || scalar_op();
  assert(emitted && "an op without an expansion");
}

void Emitter::compare(Reg left, const Operand& right) {
  if (!right.is_imm())
    a_.cmp(gen(left), gen(right.reg));
  else if (right.imm == 0)
    a_.test(gen(left), gen(left));
  else
    a_.cmp(gen(left), static_cast<uint32_t>(right.imm));
}

// counter = begin, up to end; or, where nobody reads it, counter = end - begin, down to zero.
void Emitter::loop_begin() {
  const Item& loop = *current_;
  const Reg64 counter = gen(loop.instr.dst);
  const Operand& begin = loop.instr.scalar;
  const auto set = [&](const Operand& value) {
    if (!value.is_imm())
      a_.mov(counter, gen(value.reg));
    else if (value.imm == 0)
      a_.xor_(counter.cvt32(), counter.cvt32());
    else
      a_.mov(counter, value.imm);
  };
  const auto skip = static_cast<size_t>(loop.partner);
  if (loop.counts_down) {
    if (begin.is_imm() && loop.end.is_imm()) {
      set({{}, loop.end.imm - begin.imm});
    } else {
      set(loop.end);
      if (!begin.is_imm())
        a_.sub(counter, gen(begin.reg));
      else if (begin.imm != 0)
        a_.sub(counter, static_cast<uint32_t>(begin.imm));
    }
    if (!loop.always_entered) {
      a_.test(counter, counter);
      a_.jle(skips_[skip], Assembler::T_NEAR);
    }
  } else {
    set(begin);
    if (!loop.always_entered) {
      compare(loop.instr.dst, loop.end);
      a_.jge(skips_[skip], Assembler::T_NEAR);
    }
  }
  if (loop.innermost) a_.align(32);
  a_.L(labels_[index_]);
}

void Emitter::loop_end() {
  const Item& loop = *current_;
  const Reg64 counter = gen(loop.instr.dst);
  Label& body = labels_[static_cast<size_t>(loop.partner)];
  const bool one = loop.step.is_imm() && loop.step.imm == 1;
  if (loop.counts_down) {
    if (one) {
      a_.dec(counter);
      a_.jnz(body, Assembler::T_AUTO);
    } else {
      if (loop.step.is_imm())
        a_.sub(counter, static_cast<uint32_t>(loop.step.imm));
      else
        a_.sub(counter, gen(loop.step.reg));
      a_.jg(body, Assembler::T_AUTO);
    }
  } else {
    if (loop.step.is_imm())
      a_.add(counter, static_cast<uint32_t>(loop.step.imm));
    else
      a_.add(counter, gen(loop.step.reg));
    compare(loop.instr.dst, loop.end);
    a_.jl(body, Assembler::T_AUTO);
  }
  a_.L(skips_[index_]);
}

void Emitter::branch() {
  const Item& branch = *current_;
  compare(branch.instr.src[0], branch.instr.scalar);
  Label& other = labels_[static_cast<size_t>(branch.partner)];
  switch (static_cast<Compare>(branch.instr.imm)) {
    case Compare::lt: return a_.jge(other, Assembler::T_NEAR);
    case Compare::le: return a_.jg(other, Assembler::T_NEAR);
    case Compare::eq: return a_.jne(other, Assembler::T_NEAR);
    case Compare::ne: return a_.je(other, Assembler::T_NEAR);
    case Compare::ge: return a_.jl(other, Assembler::T_NEAR);
    case Compare::gt: return a_.jle(other, Assembler::T_NEAR);
  }
}

Xmm Emitter::vec(Reg reg) const { return a_.vector(allocation_.home[key(reg)]); }
Opmask Emitter::mask(Reg reg) const { return Opmask(allocation_.home[key(reg)]); }
Reg64 Emitter::gen(Reg reg) const { return Reg64(allocation_.home[key(reg)]); }
Xmm Emitter::scratch(size_t i) const { return a_.vector(allocation_.scratch[index_].vectors[i]); }
Opmask Emitter::scratch_mask(size_t i) const {
  return Opmask(allocation_.scratch[index_].masks[i]);
}
Reg64 Emitter::scratch_gen(size_t i) const {
  return Reg64(allocation_.scratch[index_].generals[i]);
}

const XOperand& Emitter::operand(size_t i, bool broadcast) {
  const Fold& fold = current_->fold;
  if (!folded(i)) return register_operand_ = src(i);
  switch (fold.kind) {
    case Fold::Kind::load: memory_operand_ = memory(); break;
    case Fold::Kind::splat: memory_operand_ = memory(a_.ptr_b); break;
    case Fold::Kind::constant:
      memory_operand_ = a_.splat_operand(fold.bits, broadcast && a_.is_avx512());
      break;
    default: memory_operand_ = a_.constant(a_.iota_words()); break;
  }
  return memory_operand_;
}

Xbyak::RegExp Emitter::expression() const {
  const Address& address = instr().address;
  Xbyak::RegExp expression(gen(address.pointer));
  if (address.index.valid()) expression = expression + gen(address.index) * address.scale;
  return expression + static_cast<size_t>(address.offset);
}

XAddress Emitter::memory(int64_t plus) const { return memory(a_.ptr, plus); }

XAddress Emitter::memory(const Xbyak::AddressFrame& frame, int64_t plus) const {
  return frame[expression() + static_cast<size_t>(plus)];
}

}  // namespace lathe::codegen::x86
