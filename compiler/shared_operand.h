// Operands of which several kernels read one copy: a constant weight, a cache. Their layout is
// chosen once for all of these kernels, and is a parameter of each one's problem.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/problem.h"
#include "ir/target.h"

namespace lathe::compiler {

/// One kind of such operands. Families whose kernels read the same copies name the same object. All
/// functions are pure and thread-safe.
struct SharedOperand {
  std::string kind;       ///< "weight": what it is called, and the family of its records
  std::string parameter;  ///< of the problems, that names the layout: "panel"
  /// The run-time sizes by which the kernels of one operand differ: "rows".
  std::vector<std::string> sizes;
  /// What the problem's operand is in any layout, as parameters: "n=4096 k=2048 weight=bf16".
  /// Problems of one identity read the same copy. Empty: this problem's is its own.
  std::string (*identity)(const Problem&) = nullptr;
  /// The values of `parameter` that are worth comparing, first the one to take without tuning. Each
  /// has a kernel for every problem of the identity.
  std::vector<std::string> (*layouts)(const Problem&, const ir::Target&) = nullptr;
  /// For layouts that are an order of dimensions: those of the operand of that name from the
  /// outermost in memory to the innermost, which is the last of its shape. Empty: as in the shape.
  /// Null: a layout changes shapes, and operands lie as these say.
  std::vector<int> (*order)(const Problem&, std::string_view operand) = nullptr;
};

/// What is to be chosen for one operand.
struct LayoutCandidates {
  const SharedOperand* operand = nullptr;
  std::string identity;
  std::vector<std::string> layouts;  ///< as SharedOperand::layouts()

  /// "weight n=4096 k=2048 weight=bf16"
  std::string name() const;
  /// "panel=16"
  std::string text(std::string_view layout) const;
};

/// The operand that the problem's kernels share with others; nothing where there is none.
std::optional<LayoutCandidates> shared_by(const Problem& problem, const ir::Target& target);

/// The layout that the problem names: "16". It must be of a family that has one.
std::string layout_named_by(const Problem& problem);

/// The same problem with the operand in another layout. invalid_argument where the family has none:
/// the y of a product may be in blocks that such panels do not make.
Result<Problem> with_layout(const Problem& problem, std::string_view layout);

/// As SharedOperand::order(), empty for problems without such an operand.
std::vector<int> order_in_memory(const Problem& problem, std::string_view operand);

/// Every kind that a family of the catalogue names, in that order; users link compiler::kernels.
const std::vector<const SharedOperand*>& shared_operands();

/// The one of that kind; null where there is none. Users link compiler::kernels.
const SharedOperand* find_shared_operand(std::string_view kind);

/// The revision of a choice between layouts, which rests on the times of all families that name the
/// kind: the sum of theirs, as none of these ever falls. Users link compiler::kernels.
int revision_of(const SharedOperand& operand);

/// Today's revision of records of a family or of a kind of shared operands. not_found for another
/// name. Users link compiler::kernels.
Result<int> current_revision(std::string_view family_or_kind);

}  // namespace lathe::compiler
