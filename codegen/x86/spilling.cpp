// What to spill is decided where too many registers are live: a scalar that is live elsewhere would
// only cost loads.
#include "codegen/x86/spilling.h"

#include <algorithm>
#include <utility>

#include "codegen/x86/constraints.h"

namespace lathe::codegen::x86 {
namespace {

bool is_general(Reg reg) { return reg.cls == RegClass::scalar || reg.cls == RegClass::pointer; }

// The least used first.
std::vector<Reg> spillable_scalars(const FlatProgram& flat) {
  std::vector<double> weights(flat.key_count(), -1.0);
  for (const Item& item : flat.items) {
    const auto touch = [&](Reg reg) {
      if (reg.cls != RegClass::scalar && reg.cls != RegClass::pointer) return;
      weights[key(reg)] = std::max(weights[key(reg)], 0.0) + weight(item);
    };
    for_each_use(item, touch);
    for_each_def(flat, item, touch);
  }
  // A loop reads its operands at its end, where nothing can be loaded first; a register that a
  // spill made lives too shortly to help.
  for (const Item& item : flat.items) {
    const auto keep = [&](Reg reg) {
      if (reg.valid()) weights[key(reg)] = -1.0;
    };
    if (item.kind == Item::Kind::loop_end) {
      keep(item.instr.dst);
      keep(item.end.reg);
      keep(item.step.reg);
    }
    if (item.kind == Item::Kind::reload) keep(item.instr.dst);
    if (item.kind == Item::Kind::spill) keep(item.instr.src[0]);
  }
  return by_weight(weights);
}

// How many general registers are live at each position.
std::vector<int> pressure(const FlatProgram& flat,
                          const std::vector<std::vector<Segment>>& segments) {
  std::vector<int> changes(2 * flat.items.size() + 1, 0);
  const auto add = [&](int begin, int end, int count) {
    changes[static_cast<size_t>(begin)] += count;
    changes[static_cast<size_t>(end) + 1] -= count;
  };
  for (size_t k = 0; k < segments.size(); ++k) {
    if (!is_general(reg_of_key(k))) continue;
    for (const Segment& segment : segments[k]) add(segment.begin, segment.end, 1);
  }
  for (size_t i = 0; i < flat.items.size(); ++i) {
    const Constraints constraints = constraints_of(flat.items[i], flat.source->target);
    const int count = constraints.generals + (constraints.divides ? 2 : 0);
    if (count > 0) add(2 * static_cast<int>(i), 2 * static_cast<int>(i) + 1, count);
  }
  changes[0] += 1;  // the arguments' address
  changes[1] -= 1;
  for (size_t at = 1; at < changes.size(); ++at) changes[at] += changes[at - 1];
  return changes;
}

}  // namespace

std::vector<Reg> scalars_to_spill(const FlatProgram& flat,
                                  const std::vector<std::vector<Segment>>& segments, int limit) {
  std::vector<int> live = pressure(flat, segments);
  std::vector<Reg> chosen;
  for (const Reg reg : spillable_scalars(flat)) {
    // A spilled scalar is in a register where it is read or written, and nowhere else.
    const auto for_each_freed = [&](const auto& visit) {
      for (const Segment& segment : segments[key(reg)]) {
        for (int at = segment.begin; at <= segment.end; ++at) {
          const Item& item = flat.items[static_cast<size_t>(at) / 2];
          bool touched = item.kind != Item::Kind::entry && reads(item, reg);
          if (item.kind != Item::Kind::entry)
            for_each_def(flat, item, [&](Reg written) { touched = touched || written == reg; });
          if (!touched && visit(static_cast<size_t>(at))) return true;
        }
      }
      return false;
    };
    if (!for_each_freed([&](size_t at) { return live[at] > limit; })) continue;
    chosen.push_back(reg);
    for_each_freed([&](size_t at) { return --live[at], false; });
  }
  return chosen;
}

void spill_scalars(FlatProgram& flat, const std::vector<Reg>& scalars) {
  std::vector<int> slot(flat.key_count(), -1);
  for (const Reg reg : scalars) slot[key(reg)] = flat.stack_slots++;
  const auto slot_of = [&](Reg reg) { return key(reg) < slot.size() ? slot[key(reg)] : -1; };
  std::vector<Item> items;
  items.reserve(flat.items.size() * 2);
  for (const Item& original : flat.items) {
    Item item = original;
    for_each_use(original, [&](Reg reg) {
      if (slot_of(reg) < 0 || !reads(item, reg)) return;
      Item reload;
      reload.kind = Item::Kind::reload;
      reload.depth = item.depth;
      reload.instr.dst = flat.fresh(reg.cls);
      reload.instr.imm = slot_of(reg);
      rename_uses(item, reg, reload.instr.dst);
      items.push_back(std::move(reload));
    });
    items.push_back(std::move(item));
    if (original.kind == Item::Kind::entry) continue;  // it stores arguments itself
    for_each_def(flat, original, [&](Reg reg) {
      if (slot_of(reg) < 0) return;
      Item spill;
      spill.kind = Item::Kind::spill;
      spill.depth = original.depth;
      spill.instr.imm = slot_of(reg);
      spill.instr.src[0] = flat.fresh(reg.cls);
      items.back().instr.dst = spill.instr.src[0];
      items.push_back(std::move(spill));
    });
  }
  for (size_t i = 0; i < flat.argument_slots.size(); ++i)
    if (const int at = slot_of(flat.argument(i)); at >= 0) flat.argument_slots[i] = at;
  flat.items = std::move(items);
  relink(flat);
}

}  // namespace lathe::codegen::x86
