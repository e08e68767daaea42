// Flattening: from the tree of loops and branches to items with links between them.
#include "codegen/x86/flat_program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace lathe::codegen::x86 {
namespace {

using ir::program::Block;
using ir::program::Branch;
using ir::program::Loop;
using ir::program::Node;

bool fits_32(int64_t value) {
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

class Flattener {
 public:
  explicit Flattener(const Program& program) {
    flat_.source = &program;
    flat_.registers = program.registers;
    flat_.argument_slots.assign(program.buffers.size() + program.parameters.size(), -1);
    push(Item::Kind::entry);
    block(program.body);
  }

  FlatProgram take() { return std::move(flat_); }

 private:
  Item& push(Item::Kind kind) {
    flat_.items.emplace_back();
    flat_.items.back().kind = kind;
    flat_.items.back().depth = depth_;
    return flat_.items.back();
  }

  void push(Instr instr) { push(Item::Kind::instr).instr = std::move(instr); }

  Reg constant(int64_t value) {
    Instr instr{.op = Op::sconst};
    instr.dst = flat_.fresh(RegClass::scalar);
    instr.imm = value;
    push(instr);
    return instr.dst;
  }

  void narrow(Operand& operand) {
    if (operand.is_imm() && !fits_32(operand.imm)) operand = {constant(operand.imm), 0};
  }

  void instruction(Instr instr) {
    const auto& op = info(instr.op);
    if (op.has_scalar) narrow(instr.scalar);
    push(std::move(instr));
  }

  static bool writes(const Block& block, Reg reg) {
    return std::any_of(block.begin(), block.end(), [&](const Node& node) {
      if (const auto* instr = std::get_if<Instr>(&node.value)) return instr->dst == reg;
      if (const auto* inner = std::get_if<Loop>(&node.value))
        return inner->counter == reg || writes(inner->body, reg);
      const Branch& branch = std::get<Branch>(node.value);
      return writes(branch.then, reg) || writes(branch.otherwise, reg);
    });
  }

  void loop(const Loop& loop) {
    const bool known = loop.begin.is_imm() && loop.end.is_imm();
    if (known && loop.begin.imm >= loop.end.imm) return;
    if (known && loop.end.imm - loop.begin.imm <= loop.step) {
      Instr instr{.op = Op::sconst};
      instr.dst = loop.counter;
      instr.imm = loop.begin.imm;
      push(instr);
      block(loop.body);
      return;
    }
    Operand begin = loop.begin, end = loop.end;
    narrow(begin);
    narrow(end);
    if (!end.is_imm() && (end.reg == loop.counter || writes(loop.body, end.reg))) {
      Instr copy{.op = Op::smov};
      copy.dst = flat_.fresh(RegClass::scalar);
      copy.src[0] = end.reg;
      push(copy);
      end.reg = copy.dst;
    }
    Operand step{{}, loop.step};
    narrow(step);
    Item item;
    item.instr.dst = loop.counter;
    item.instr.scalar = begin;
    item.end = end;
    item.step = step;
    item.always_entered = known;
    item.depth = depth_;
    item.kind = Item::Kind::loop_begin;
    const size_t begin_at = flat_.items.size();
    flat_.items.push_back(item);
    ++depth_;
    saw_loop_ = false;
    block(loop.body);
    item.innermost = !saw_loop_;
    saw_loop_ = true;
    --depth_;
    flat_.items[begin_at].innermost = item.innermost;
    item.kind = Item::Kind::loop_end;
    item.instr.scalar = {};
    item.depth = depth_ + 1;
    flat_.items.push_back(item);
  }

  void branch(const Branch& branch) {
    Operand right = branch.right;
    narrow(right);
    Item& item = push(Item::Kind::branch);
    item.instr.src[0] = branch.left;
    item.instr.scalar = right;
    item.instr.imm = static_cast<int64_t>(branch.compare);
    block(branch.then);
    push(Item::Kind::otherwise);
    block(branch.otherwise);
    push(Item::Kind::join);
  }

  void block(const Block& block) {
    for (const Node& node : block) {
      if (const auto* instr = std::get_if<Instr>(&node.value))
        instruction(*instr);
      else if (const auto* inner = std::get_if<Loop>(&node.value))
        loop(*inner);
      else
        branch(std::get<Branch>(node.value));
    }
  }

  FlatProgram flat_;
  int depth_ = 0;
  bool saw_loop_ = false;
};

// vmov of a register that only ever holds zero or all ones: the idiom is as cheap and needs no
// source.
void expand_copies_of_idioms(FlatProgram& flat, const RegisterCounts& counts) {
  std::vector<int64_t> idiom(flat.key_count(), -1);
  for (const Item& item : flat.items)
    if (item.kind == Item::Kind::instr && item.instr.op == Op::vconst &&
        counts.writes[key(item.instr.dst)] == 1) {
      const auto bits = static_cast<uint32_t>(item.instr.imm);
      if (bits == 0 || bits == UINT32_MAX) idiom[key(item.instr.dst)] = bits;
    }
  for (Item& item : flat.items)
    if (item.kind == Item::Kind::instr && item.instr.op == Op::vmov &&
        idiom[key(item.instr.src[0])] >= 0) {
      item.instr.op = Op::vconst;
      item.instr.imm = idiom[key(item.instr.src[0])];
      item.instr.src[0] = {};
    }
}

bool removable(const Item& item) {
  if (item.kind != Item::Kind::instr) return false;
  const auto& op = info(item.instr.op);
  return op.result != '-' && !op.writes_memory;
}

// Unread results, and what was computed only for them. Removing reverses the program's order, so
// one backward pass finds chains; cycles over loops (a counter nobody reads) stay.
void remove_unread(FlatProgram& flat) {
  RegisterCounts counts = count_registers(flat);
  for (auto item = flat.items.rbegin(); item != flat.items.rend(); ++item) {
    if (!removable(*item) || counts.reads[key(item->instr.dst)] != 0) continue;
    for_each_use(*item, [&](Reg reg) { --counts.reads[key(reg)]; });
    item->kind = Item::Kind::removed;
  }
}

void find_counters_nobody_reads(FlatProgram& flat) {
  const RegisterCounts counts = count_registers(flat);
  for (Item& item : flat.items) {
    if (item.kind != Item::Kind::loop_begin && item.kind != Item::Kind::loop_end) continue;
    // The loop's own end reads the counter once; a counter shared by two loops counts upward.
    const size_t counter = key(item.instr.dst);
    item.counts_down = counts.reads[counter] == 1 && counts.writes[counter] == 2;
  }
}

}  // namespace

size_t FlatProgram::key_count() const {
  return size_t{*std::max_element(registers.begin(), registers.end())} * 4;
}

Reg reg_of_key(size_t key) {
  return {static_cast<RegClass>(key % 4), static_cast<uint32_t>(key / 4)};
}

RegisterCounts count_registers(const FlatProgram& flat) {
  RegisterCounts counts;
  counts.reads.resize(flat.key_count());
  counts.writes.resize(flat.key_count());
  for (const Item& item : flat.items) {
    for_each_use(item, [&](Reg reg) { ++counts.reads[key(reg)]; });
    for_each_def(flat, item, [&](Reg reg) { ++counts.writes[key(reg)]; });
  }
  return counts;
}

double weight(const Item& item) { return std::pow(10.0, std::min(item.depth, 12)); }

std::vector<Reg> by_weight(const std::vector<double>& weights) {
  std::vector<Reg> order;
  for (size_t k = 0; k < weights.size(); ++k)
    if (weights[k] >= 0) order.push_back(reg_of_key(k));
  std::stable_sort(order.begin(), order.end(),
                   [&](Reg a, Reg b) { return weights[key(a)] < weights[key(b)]; });
  return order;
}

bool reads(const Item& item, Reg reg) {
  bool found = false;
  for_each_use(item, [&](Reg used) { found |= used == reg; });
  return found;
}

void rename_uses(Item& item, Reg from, Reg to) {
  for (Reg& source : item.instr.src)
    if (source == from) source = to;
  if (item.instr.address.pointer == from) item.instr.address.pointer = to;
  if (item.instr.address.index == from) item.instr.address.index = to;
  if (item.instr.scalar.reg == from) item.instr.scalar.reg = to;
  if (item.end.reg == from) item.end.reg = to;
  if (item.step.reg == from) item.step.reg = to;
}

void relink(FlatProgram& flat) {
  std::erase_if(flat.items, [](const Item& item) { return item.kind == Item::Kind::removed; });
  std::vector<int> open;
  for (int i = 0; i < static_cast<int>(flat.items.size()); ++i) {
    Item& item = flat.items[static_cast<size_t>(i)];
    const auto close = [&] {
      const int begin = open.back();
      open.pop_back();
      flat.items[static_cast<size_t>(begin)].partner = i;
      item.partner = begin;
    };
    switch (item.kind) {
      case Item::Kind::loop_begin:
      case Item::Kind::branch: open.push_back(i); break;
      case Item::Kind::loop_end:
      case Item::Kind::join: close(); break;
      case Item::Kind::otherwise:
        close();
        open.push_back(i);
        break;
      default: break;
    }
  }
}

FlatProgram flatten(const Program& program) {
  FlatProgram flat = Flattener(program).take();
  expand_copies_of_idioms(flat, count_registers(flat));
  remove_unread(flat);
  find_counters_nobody_reads(flat);
  relink(flat);
  return flat;
}

}  // namespace lathe::codegen::x86
