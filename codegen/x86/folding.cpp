// Which sources may be memory, and the rewriting of items that makes them so.
#include "codegen/x86/folding.h"

#include <algorithm>
#include <utility>

#include "codegen/x86/constraints.h"
#include "codegen/x86/forms.h"

namespace lathe::codegen::x86 {
namespace {

using ir::program::Compare;
using ir::program::MemoryType;

Compare mirrored(Compare compare) {
  switch (compare) {
    case Compare::lt: return Compare::gt;
    case Compare::le: return Compare::ge;
    case Compare::ge: return Compare::le;
    case Compare::gt: return Compare::lt;
    default: return compare;
  }
}

// Whether `item`, with its source `source` in memory, has an encoding; swaps sources where that
// gives it one, and returns the place of the memory source, or -1.
int place_for_memory(Item& item, int source, Fold::Kind kind, const ir::Target& target) {
  Instr& instr = item.instr;
  if (item.kind != Item::Kind::instr || item.fold.kind != Fold::Kind::none) return -1;
  if (info(instr.op).has_address) return -1;
  const bool sse = target.isa == ir::Isa::sse, scalar = target.isa == ir::Isa::scalar;
  const bool evex = target.isa == ir::Isa::avx512;
  const bool load = kind == Fold::Kind::load;
  if (kind == Fold::Kind::splat && !evex) return -1;
  const auto swap_to_second = [&] {
    if (source == 0) std::swap(instr.src[0], instr.src[1]);
    return 1;
  };
  if (const BinaryForm* form = binary_form(instr.op)) {
    if (info(instr.op).result == 'm') return -1;
    if (evex && form->evex == nullptr) return -1;
    if (sse && load)
      return -1;  // 128-bit SSE operands must be aligned: constants are, loads may not
    if (scalar && load && form->single == nullptr) return -1;
    if (scalar && instr.op == Op::byte_shuffle) return -1;
    if (kind == Fold::Kind::splat && !form->broadcast) return -1;
    if (source == 1) return 1;
    return form->commutative ? swap_to_second() : -1;
  }
  if (const UnaryForm* form = unary_form(instr.op)) {
    if (scalar || (sse && load)) return -1;
    return kind == Fold::Kind::splat && !form->broadcast ? -1 : 0;
  }
  switch (instr.op) {
    case Op::fma:
    case Op::fms:
    case Op::fnma:
      if (sse || scalar) return -1;
      return source == 0 ? swap_to_second() : source;
    case Op::fcmp:
    case Op::icmp: {
      if ((sse || scalar) && load) return -1;
      Instr turned = instr;
      const auto compare = static_cast<Compare>(instr.imm);
      turned.imm = static_cast<int64_t>(source == 0 ? mirrored(compare) : compare);
      if (compares_swapped(turned, target)) return -1;
      instr.imm = turned.imm;
      return swap_to_second();
    }
    case Op::select: return source == 1 && !sse && !scalar ? 1 : -1;
    default: return -1;
  }
}

bool fold_into(Item& item, Reg reg, Fold fold, const Address& address, const ir::Target& target) {
  const auto count = static_cast<int>(info(item.instr.op).sources.size());
  for (int i = 0; i < count; ++i) {
    if (item.instr.src[static_cast<size_t>(i)] != reg) continue;
    // The same register in two places needs a register after all.
    for (int j = i + 1; j < count; ++j)
      if (item.instr.src[static_cast<size_t>(j)] == reg) return false;
    const int place = place_for_memory(item, i, fold.kind, target);
    if (place < 0) return false;
    item.fold = fold;
    item.fold.source = place;
    item.instr.src[static_cast<size_t>(place)] = {};
    if (fold.reads_address()) item.instr.address = address;
    return true;
  }
  return false;
}

bool is_foldable_load(const Item& item, const RegisterCounts& counts) {
  if (item.kind != Item::Kind::instr || item.instr.memory != MemoryType::raw32) return false;
  if (item.instr.op != Op::load && item.instr.op != Op::load_splat) return false;
  const size_t dst = key(item.instr.dst);
  return counts.reads[dst] == 1 && counts.writes[dst] == 1;
}

bool is_constant(const Item& item) {
  return item.kind == Item::Kind::instr &&
         (item.instr.op == Op::vconst || item.instr.op == Op::viota);
}

}  // namespace

void fold_loads(FlatProgram& flat) {
  const RegisterCounts counts = count_registers(flat);
  const ir::Target& target = flat.source->target;
  for (size_t i = 0; i < flat.items.size(); ++i) {
    Item& load = flat.items[i];
    if (!is_foldable_load(load, counts)) continue;
    for (size_t j = i + 1; j < flat.items.size(); ++j) {
      Item& item = flat.items[j];
      if (item.kind == Item::Kind::removed) continue;
      if (item.kind != Item::Kind::instr || info(item.instr.op).writes_memory) break;
      if (reads(item, load.instr.dst)) {
        Fold fold;
        const bool splat = load.instr.op == Op::load_splat && target.lanes > 1;
        fold.kind = splat ? Fold::Kind::splat : Fold::Kind::load;
        if (fold_into(item, load.instr.dst, fold, load.instr.address, target))
          load.kind = Item::Kind::removed;
        break;
      }
      if (item.instr.dst.valid() && (item.instr.dst == load.instr.address.pointer ||
                                     item.instr.dst == load.instr.address.index))
        break;
    }
  }
  relink(flat);
}

std::vector<Reg> demotable_constants(const FlatProgram& flat) {
  const RegisterCounts counts = count_registers(flat);
  std::vector<double> weights(flat.key_count(), -1.0);
  for (const Item& item : flat.items)
    if (is_constant(item) && !item.reloaded && counts.writes[key(item.instr.dst)] == 1)
      weights[key(item.instr.dst)] = 0;
  const ir::Target& target = flat.source->target;
  for (const Item& item : flat.items)
    for_each_use(item, [&](Reg reg) {
      double& sum = weights[key(reg)];
      if (sum < 0) return;
      Item trial = item;
      Fold fold;
      fold.kind = Fold::Kind::constant;
      // A use without a memory form costs a load, not just a longer instruction.
      sum += weight(item) * (fold_into(trial, reg, fold, {}, target) ? 1 : 4);
    });
  return by_weight(weights);
}

void demote_constants(FlatProgram& flat, const std::vector<Reg>& constants) {
  const ir::Target& target = flat.source->target;
  std::vector<const Instr*> definition(flat.key_count(), nullptr);
  for (const Reg reg : constants)
    for (const Item& item : flat.items)
      if (is_constant(item) && item.instr.dst == reg) definition[key(reg)] = &item.instr;
  std::vector<Item> items;
  items.reserve(flat.items.size() * 2);
  for (const Item& original : flat.items) {
    if (is_constant(original) && definition[key(original.instr.dst)] != nullptr) continue;
    Item item = original;
    for_each_use(original, [&](Reg reg) {
      const Instr* constant = key(reg) < definition.size() ? definition[key(reg)] : nullptr;
      if (constant == nullptr || !reads(item, reg)) return;
      Fold fold;
      fold.kind = constant->op == Op::viota ? Fold::Kind::iota : Fold::Kind::constant;
      fold.bits = static_cast<uint32_t>(constant->imm);
      if (fold_into(item, reg, fold, {}, target)) return;
      Item load;
      load.instr = *constant;
      load.instr.dst = flat.fresh(RegClass::vector);
      load.depth = item.depth;
      load.reloaded = true;
      rename_uses(item, reg, load.instr.dst);
      items.push_back(std::move(load));
    });
    items.push_back(std::move(item));
  }
  flat.items = std::move(items);
  relink(flat);
}

}  // namespace lathe::codegen::x86
