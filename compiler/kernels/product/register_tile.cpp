// Sums in registers, and addresses of rows.
#include "compiler/kernels/product/register_tile.h"

namespace lathe::compiler::kernels::product {

using ir::program::Count;
using ir::program::Instr;

namespace {
constexpr int kRowsPerPointer = 3;  // p, p + d, p + 2d
}

RegisterTile::RegisterTile(Builder& b, int rows, int vectors, int chains)
    : b_(b), rows_(rows), vectors_(vectors), chains_(chains) {
  for (int i = 0; i < rows * vectors * chains; ++i) sums_.push_back(b.copy(b.constant(0.0F)));
}

void RegisterTile::step(int chain, const std::function<Vec(int)>& w,
                        const std::function<Vec(int)>& x, const Add& add) {
  std::vector<Vec> column(static_cast<size_t>(vectors_));
  for (int v = 0; rows_ > 1 && v < vectors_; ++v) column[static_cast<size_t>(v)] = w(v);
  for (int row = 0; row < rows_; ++row) {
    const Vec value = x(row);
    for (int v = 0; v < vectors_; ++v) {
      // A single row needs no vector of w twice: it may stay in memory.
      const Vec other = rows_ > 1 ? column[static_cast<size_t>(v)] : w(v);
      const Vec sum = at(row, v, chain);
      b_.set(sum, add(value, other, sum));
    }
  }
}

void RegisterTile::fold_chains() {
  for (int n = chains_; n > 1; n = (n + 1) / 2) {
    for (int chain = 0; chain < n / 2; ++chain) {
      for (int row = 0; row < rows_; ++row) {
        for (int v = 0; v < vectors_; ++v)
          b_.set(at(row, v, chain), at(row, v, chain) + at(row, v, chain + (n + 1) / 2));
      }
    }
  }
}

RowPointers::RowPointers(Builder& b, Pointer first, int rows, Count distance)
    : b_(b), distance_(distance) {
  pointers_.push_back(b.copy(first));
  if (distance.operand.is_imm()) return;
  for (int row = kRowsPerPointer; row < rows; row += kRowsPerPointer) {
    Pointer next = b.copy(pointers_.back());
    for (int i = 0; i < kRowsPerPointer; ++i) b.advance(next, distance);
    pointers_.push_back(next);
  }
}

Vec RowPointers::load_splat(int row, int64_t offset) const {
  const bool fixed = distance_.operand.is_imm();
  const Pointer& pointer = pointers_[static_cast<size_t>(fixed ? 0 : row / kRowsPerPointer)];
  Instr instr{.op = Op::load_splat};
  instr.memory = ir::program::memory_type(pointer.type);
  const int64_t bytes = offset * ir::program::bytes_of(instr.memory);
  if (fixed) {
    instr.address = {pointer.reg, {}, 1, bytes + row * distance_.operand.imm};
  } else {
    const int steps = row % kRowsPerPointer;
    instr.address = {pointer.reg, steps == 0 ? ir::program::Reg{} : distance_.operand.reg,
                     steps == 0 ? 1 : steps, bytes};
  }
  Vec value;
  value.reg = b_.emit(instr);
  value.builder = &b_;
  return value;
}

void RowPointers::advance(int64_t elements) const {
  const int64_t bytes =
      elements * ir::program::bytes_of(ir::program::memory_type(pointers_.front().type));
  for (const Pointer& pointer : pointers_) b_.advance(pointer, bytes);
}

}  // namespace lathe::compiler::kernels::product
