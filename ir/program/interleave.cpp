// Round robin over the pieces, after proving that they do not get in each other's way.
#include "ir/program/interleave.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace lathe::ir::program {
namespace {

using Piece = std::span<const Node>;

const Instr& instr_at(Piece piece, size_t i) { return std::get<Instr>(piece[i].value); }

bool same_ops(Piece a, Piece b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto* x = std::get_if<Instr>(&a[i].value);
    const auto* y = std::get_if<Instr>(&b[i].value);
    if (x == nullptr || y == nullptr || x->op != y->op) return false;
  }
  return true;
}

bool reads(const Instr& instr, Reg reg) {
  const OpInfo& op = info(instr.op);
  for (size_t i = 0; i < op.sources.size(); ++i)
    if (instr.src[i] == reg) return true;
  if (op.has_address && (instr.address.pointer == reg || instr.address.index == reg)) return true;
  return op.has_scalar && instr.scalar.reg == reg;
}

int64_t accessed_bytes(const Instr& instr, int lanes) {
  return int64_t{bytes_of(instr.memory)} * lanes;
}

// Whether two accesses of different places, at least one of them a store, may change places in
// time.
bool independent_memory(const Instr& a, const Instr& b, int lanes) {
  const bool same_size = a.address.scale == b.address.scale && a.memory == b.memory;
  if (a.address.pointer != b.address.pointer && !same_size) return true;
  if (!same_size || a.address.index != b.address.index) return false;
  const int64_t a_end = a.address.offset + accessed_bytes(a, lanes);
  const int64_t b_end = b.address.offset + accessed_bytes(b, lanes);
  return a_end <= b.address.offset || b_end <= a.address.offset;
}

// Whether `later`, which stands behind `earlier`, may go before it.
bool may_pass(const Instr& later, const Instr& earlier, int lanes) {
  const OpInfo &l = info(later.op), &e = info(earlier.op);
  if (earlier.dst.valid() && (earlier.dst == later.dst || reads(later, earlier.dst))) return false;
  if (later.dst.valid() && reads(earlier, later.dst)) return false;
  const bool both = (l.reads_memory || l.writes_memory) && (e.reads_memory || e.writes_memory);
  if (both && (l.writes_memory || e.writes_memory))
    return independent_memory(later, earlier, lanes);
  return true;
}

// Instruction q of a later piece passes those of earlier ones from q + 1 on.
bool independent(std::span<const Piece> pieces, int lanes) {
  for (size_t i = 0; i < pieces.size(); ++i)
    for (size_t j = i + 1; j < pieces.size(); ++j)
      for (size_t q = 0; q < pieces[j].size(); ++q)
        for (size_t p = q + 1; p < pieces[i].size(); ++p)
          if (!may_pass(instr_at(pieces[j], q), instr_at(pieces[i], p), lanes)) return false;
  return true;
}

// The vector registers of a piece, constants apart.
struct Pressure {
  std::vector<int> after;  ///< those it made and still needs, after each instruction
  int found = 0;           ///< those it finds, which stay throughout
  int most() const { return *std::max_element(after.begin(), after.end()); }
};

Pressure pressure_of(Piece piece, const Target& target, const std::vector<bool>& is_constant) {
  const auto counts = [&](Reg reg) {
    return reg.cls == RegClass::vector || (reg.cls == RegClass::mask && target.mask_registers == 0);
  };
  std::map<Reg, std::pair<size_t, size_t>> lives;
  std::set<Reg> outside;
  for (size_t i = 0; i < piece.size(); ++i) {
    const Instr& instr = instr_at(piece, i);
    const OpInfo& op = info(instr.op);
    for (size_t s = 0; s < op.sources.size(); ++s) {
      const Reg reg = instr.src[s];
      if (!counts(reg)) continue;
      if (reg.cls == RegClass::vector && reg.id < is_constant.size() && is_constant[reg.id])
        continue;
      if (const auto life = lives.find(reg); life != lives.end())
        life->second.second = i;
      else
        outside.insert(reg);
    }
    if (instr.dst.valid() && counts(instr.dst)) lives.try_emplace(instr.dst, i, i);
  }
  Pressure pressure;
  pressure.found = static_cast<int>(outside.size());
  for (size_t i = 0; i < piece.size(); ++i)
    pressure.after.push_back(
        static_cast<int>(std::count_if(lives.begin(), lives.end(), [&](const auto& life) {
          return !outside.contains(life.first) && life.second.first <= i && i < life.second.second;
        })));
  return pressure;
}

// How pieces take turns: `together` of them, each for the instructions up to the next of `ends`.
struct Turns {
  size_t together = 1;
  std::vector<size_t> ends;
};

// Only one piece at a time is inside a turn, where it may hold more than between turns.
Turns turns_of(const Pressure& pressure, size_t count, const Target& target) {
  constexpr int kSpare = 3;  // for constants read from memory, and what single instructions need
  constexpr size_t kLongestTurn = 4;  // the others would wait too long
  const size_t size = pressure.after.size();
  for (size_t together = count; together > 1; --together) {
    if (count % together != 0) continue;
    const int others = static_cast<int>(together) - 1;
    const int room =
        target.vector_registers - kSpare - (others + 1) * pressure.found - pressure.most();
    if (room < 0) continue;
    Turns turns{together, {}};
    size_t begin = 0, longest = 0;
    for (size_t i = 0; i < size; ++i) {
      if (i + 1 < size && others * pressure.after[i] > room) continue;
      turns.ends.push_back(i + 1);
      longest = std::max(longest, i + 1 - begin);
      begin = i + 1;
    }
    if (longest <= kLongestTurn) return turns;
  }
  return {};
}

bool writes_memory(const Node& node) { return info(std::get<Instr>(node.value).op).writes_memory; }

// A loaded value that is needed early and once more much later is loaded again for the late use:
// between them it needs no register.
Block with_late_loads(Piece piece, const std::function<Reg()>& fresh) {
  constexpr size_t kLate = 6;  // instructions without a use
  Block result(piece.begin(), piece.end());
  for (size_t i = 0; i < result.size(); ++i) {
    const Instr load = std::get<Instr>(result[i].value);
    if (load.op != Op::load || load.memory != MemoryType::raw32) continue;
    size_t previous = i, last = i;
    bool is_alone = true;
    for (size_t j = i + 1; j < result.size(); ++j) {
      const Instr& instr = std::get<Instr>(result[j].value);
      is_alone &= instr.dst != load.dst && instr.dst != load.address.pointer &&
                  instr.dst != load.address.index;
      if (reads(instr, load.dst)) previous = std::exchange(last, j);
    }
    const auto at = [&](size_t k) { return result.begin() + static_cast<std::ptrdiff_t>(k); };
    if (!is_alone || previous == i || last - previous < kLate ||
        std::any_of(at(i), at(last), writes_memory))
      continue;
    Instr again = load;
    again.dst = fresh();
    for (Reg& source : std::get<Instr>(result[last].value).src)
      if (source == load.dst) source = again.dst;
    result.insert(at(last), {again});
  }
  return result;
}

}  // namespace

void interleave(Block& block, std::span<const size_t> starts, const Target& target,
                const std::vector<bool>& is_constant, const std::function<Reg()>& fresh) {
  const size_t count = starts.size();
  if (count < 2) return;
  const auto begin = block.begin() + static_cast<std::ptrdiff_t>(starts[0]);
  const Block original(begin, block.end());
  std::vector<Piece> pieces;
  for (size_t i = 0; i < count; ++i) {
    const size_t end = i + 1 < count ? starts[i + 1] : block.size();
    pieces.push_back(std::span(original).subspan(starts[i] - starts[0], end - starts[i]));
    if (!same_ops(pieces[0], pieces.back())) return;
  }
  if (pieces[0].empty()) return;
  Turns turns = turns_of(pressure_of(pieces[0], target, is_constant), count, target);
  std::vector<Block> rewritten;
  if (turns.together < count) {
    const Block first = with_late_loads(pieces[0], fresh);
    const Turns more = turns_of(pressure_of(first, target, is_constant), count, target);
    if (more.together > turns.together) {
      turns = more;
      rewritten.push_back(first);
      for (size_t i = 1; i < count; ++i) rewritten.push_back(with_late_loads(pieces[i], fresh));
      pieces.assign(rewritten.begin(), rewritten.end());
    }
  }
  if (turns.together < 2 || !independent(pieces, target.lanes)) return;
  Block ordered;
  for (size_t group = 0; group < count; group += turns.together) {
    size_t from = 0;
    for (const size_t end : turns.ends) {
      for (size_t piece = group; piece < group + turns.together; ++piece)
        for (size_t i = from; i < end; ++i) ordered.push_back(pieces[piece][i]);
      from = end;
    }
  }
  block.erase(begin, block.end());
  block.insert(block.end(), ordered.begin(), ordered.end());
}

}  // namespace lathe::ir::program
