// A kernel program as one list of items, the form that folding, liveness and emission work on.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/program/program.h"

namespace lathe::codegen::x86 {

using ir::program::Address;
using ir::program::Instr;
using ir::program::Op;
using ir::program::Operand;
using ir::program::Program;
using ir::program::Reg;
using ir::program::RegClass;

/// A source that the emitter reads from memory instead of a register.
struct Fold {
  enum class Kind : uint8_t {
    none,
    load,      ///< the whole vector at Instr::address
    splat,     ///< one element at Instr::address, in every lane (AVX-512)
    constant,  ///< `bits` in every lane, from the image
    iota,      ///< lane numbers, from the image
  };
  Kind kind = Kind::none;
  int source = -1;  ///< which entry of Instr::src it stands for (that entry is invalid)
  uint32_t bits = 0;

  bool reads_address() const { return kind == Kind::load || kind == Kind::splat; }
};

struct Item {
  enum class Kind : uint8_t {
    entry,       ///< defines all buffers' pointers and parameters
    instr,       ///< instr (and fold)
    loop_begin,  ///< instr.dst = counter, instr.scalar = begin, end, step
    loop_end,    ///< the same operands
    branch,      ///< to `partner` unless instr.src[0] <compare instr.imm> instr.scalar
    otherwise,   ///< end of the first arm; `partner` is the join
    join,
    reload,  ///< instr.dst = stack slot instr.imm
    spill,   ///< stack slot instr.imm = instr.src[0]
    removed,
  };
  Kind kind = Kind::instr;
  Instr instr;
  Fold fold;
  Operand end{}, step{};        ///< loops
  bool counts_down = false;     ///< loops: nobody reads the counter, so it holds what is left
  bool always_entered = false;  ///< loops: at least one trip, known statically
  bool innermost = false;       ///< loops
  bool reloaded = false;  ///< a constant loaded just before its use, as its register was needed
  int partner = -1;
  int depth = 0;  ///< loops around the item
};

struct FlatProgram {
  const Program* source = nullptr;
  std::vector<Item> items;
  std::array<uint32_t, 4> registers{};
  int stack_slots = 0;
  std::vector<int> argument_slots;  ///< by argument: the stack slot it lives in, or -1: a register

  /// The register of slot i of the call.
  Reg argument(size_t i) const {
    const size_t buffers = source->buffers.size();
    return i < buffers ? source->buffers[i].pointer : source->parameters[i - buffers].reg;
  }
  Reg fresh(RegClass cls) { return {cls, registers[static_cast<size_t>(cls)]++}; }
  /// Registers are numbered densely over all classes by key().
  size_t key_count() const;
};

inline size_t key(Reg reg) { return size_t{reg.id} * 4 + static_cast<size_t>(reg.cls); }
Reg reg_of_key(size_t key);

/// Loops without trips vanish, those with one lose their loop; immediates that no instruction can
/// encode move into registers; results that nobody reads go.
FlatProgram flatten(const Program& program);

/// Renumbers `partner` after items were inserted or removed; drops removed items.
void relink(FlatProgram& flat);

/// How often each register is read and written, by key.
struct RegisterCounts {
  std::vector<uint32_t> reads, writes;
};
RegisterCounts count_registers(const FlatProgram& flat);

/// How often an item runs, relatively: tens to the power of the loops around it.
double weight(const Item& item);
/// The registers whose weight is not negative, the lightest first; `weights` by key.
std::vector<Reg> by_weight(const std::vector<double>& weights);

bool reads(const Item& item, Reg reg);
/// Reads `to` wherever the item reads `from`.
void rename_uses(Item& item, Reg from, Reg to);

template <typename F>
void for_each_use(const Item& item, const F& use) {
  const auto maybe = [&](Reg reg) {
    if (reg.valid()) use(reg);
  };
  switch (item.kind) {
    case Item::Kind::instr: {
      const ir::program::OpInfo& op = info(item.instr.op);
      for (size_t i = 0; i < op.sources.size(); ++i) maybe(item.instr.src[i]);
      if (op.has_address || item.fold.reads_address()) {
        maybe(item.instr.address.pointer);
        maybe(item.instr.address.index);
      }
      if (op.has_scalar) maybe(item.instr.scalar.reg);
      break;
    }
    case Item::Kind::loop_begin:
      maybe(item.instr.scalar.reg);
      maybe(item.end.reg);
      break;
    case Item::Kind::loop_end:
      use(item.instr.dst);
      maybe(item.step.reg);
      if (!item.counts_down) maybe(item.end.reg);
      break;
    case Item::Kind::branch:
      maybe(item.instr.src[0]);
      maybe(item.instr.scalar.reg);
      break;
    case Item::Kind::spill: use(item.instr.src[0]); break;
    default: break;
  }
}

template <typename F>
void for_each_def(const FlatProgram& flat, const Item& item, const F& def) {
  switch (item.kind) {
    case Item::Kind::entry:
      for (size_t i = 0; i < flat.argument_slots.size(); ++i)
        if (flat.argument_slots[i] < 0) def(flat.argument(i));
      break;
    case Item::Kind::instr:
    case Item::Kind::loop_begin:
    case Item::Kind::loop_end:
    case Item::Kind::reload:
      if (item.instr.dst.valid()) def(item.instr.dst);
      break;
    default: break;
  }
}

}  // namespace lathe::codegen::x86
