// A problem's operands, declared once: for calls, the reference graph, the plan and its programs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/problem.h"
#include "ir/graph/dim.h"
#include "ir/types.h"

namespace lathe::compiler {

/// One operand. The dimension `rows`, wherever it stands in the shape, is the one that kernels loop
/// over; an operand without it is the same for every row.
struct Port {
  std::string name;
  ir::Type type = ir::Type::f32;
  ir::graph::Shape shape;
  bool output = false;
  bool reread = false;  ///< an output that the kernel reads back
  /// An output that is an input, too, of which each row of the problem replaces an entry: so many
  /// of its last dimensions. 0: it is none.
  int updated_entry = 0;
  bool gathered = false;      ///< a table of which each row of the problem reads one row
  std::string index_limit{};  ///< the dimension below which every element must lie
  int64_t index_factor = 1;   ///< times this
  bool slots = false;         ///< no element stands twice, but for -1, which names nothing

  bool updated() const { return updated_entry > 0; }
  /// Where the dimension of that name stands in the shape; -1 where it does not.
  int dimension(std::string_view dim) const;
  int row_dimension() const { return dimension("rows"); }
  /// Bytes of the elements that belong to one row, or of the whole operand without rows; of an
  /// updated one those of an entry. Named dimensions take their size from `sizes`, 1 where it has
  /// none.
  int64_t row_bytes(const Sizes& sizes = {}) const;
};

/// Inputs first, then outputs.
using Signature = std::vector<Port>;

/// The names of the inputs' dimensions, each once, in order of appearance: what a call's sizes are
/// known by.
std::vector<std::string> dimension_names(const Signature& signature);

/// A dimension's size: 1 for one that `sizes` does not have.
int64_t size_of(const ir::graph::Dim& dim, const Sizes& sizes);

}  // namespace lathe::compiler
