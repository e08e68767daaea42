// Round robin over the pieces, after proving that they do not get in each other's way.
#include "ir/program/interleave.h"

#include <algorithm>
#include <map>
#include <set>

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

// Vector registers that a piece holds at once, constants apart: those it makes, from their first
// write to their last use; and those it finds, throughout.
int pressure(Piece piece, const Target& target, const std::vector<bool>& is_constant, int& found) {
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
  size_t most = 0;
  for (size_t i = 0; i < piece.size(); ++i)
    most = std::max(
        most, static_cast<size_t>(std::count_if(lives.begin(), lives.end(), [&](const auto& life) {
          return !outside.contains(life.first) && life.second.first <= i && i < life.second.second;
        })));
  found = static_cast<int>(outside.size());
  return static_cast<int>(most);
}

}  // namespace

void interleave(Block& block, std::span<const size_t> starts, const Target& target,
                const std::vector<bool>& is_constant) {
  const size_t count = starts.size();
  if (count < 2) return;
  const Block original(block.begin() + static_cast<std::ptrdiff_t>(starts[0]), block.end());
  std::vector<Piece> pieces;
  for (size_t i = 0; i < count; ++i) {
    const size_t end = i + 1 < count ? starts[i + 1] : block.size();
    pieces.push_back(std::span(original).subspan(starts[i] - starts[0], end - starts[i]));
    if (!same_ops(pieces[0], pieces.back())) return;
  }
  int found = 0;
  const int own = pressure(pieces[0], target, is_constant, found);
  size_t together = count;
  constexpr int kSpare = 3;  // for constants read from memory, and what single instructions need
  const auto fits = [&](size_t n) {
    return static_cast<int>(n) * (own + found) + kSpare <= target.vector_registers &&
           count % n == 0;
  };
  while (together > 1 && !fits(together)) --together;
  if (together < 2 || !independent(pieces, target.lanes)) return;
  size_t at = starts[0];
  for (size_t group = 0; group < count; group += together)
    for (size_t i = 0; i < pieces[0].size(); ++i)
      for (size_t piece = group; piece < group + together; ++piece) block[at++] = pieces[piece][i];
}

}  // namespace lathe::ir::program
