// Which layout the tuner chose for an operand that kernels share: a record like any other, its
// problem the operand, its schedule the layout.
//
//   problem   weight n=4096 k=2048 weight=bf16
//   schedule  panel=24
//   at        the sizes whose times were summed, "rows=1,16,128": another sum is another record
//
// The record's family is the operand's kind, its revision that of all families that read it
// (compiler::revision_of). Of several records of an operand the newest says how it lies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/shared_operand.h"
#include "runtime/library/record_key.h"
#include "store/store.h"

namespace lathe::runtime {

/// "24" of "panel=24"; empty for another text.
std::string layout_in(const compiler::SharedOperand& operand, const std::string& schedule);

/// The operand's key, whatever its layout, for times summed over `at`.
store::Key layout_key(const compiler::LayoutCandidates& candidates, const std::string& at,
                      const ir::Target& target, const RecordContext& context);

/// The operand's newest record on this host and target: one of as many threads where there is one.
Result<std::optional<store::KeyedWinner>> layout_record(
    const compiler::LayoutCandidates& candidates, const ir::Target& target,
    const RecordContext& context, store::Store& store);

/// How a candidate stood when the choice was made.
struct LayoutStanding {
  std::string layout;
  double relative = 0;   ///< its sum over that of the default layout; 0: without one
  bool dropped = false;  ///< clearly behind, or without a kernel for some sizes
};
/// Of each candidate of a record, the default first.
Result<std::vector<LayoutStanding>> layout_standings(const compiler::SharedOperand& operand,
                                                     const store::KeyedWinner& record,
                                                     store::Store& store);

/// The layout recorded for the operand, if it is one of the candidates; else their first.
/// Errors: the store cannot be read.
Result<std::string> choose_layout(const compiler::LayoutCandidates& candidates,
                                  const ir::Target& target, const RecordContext& context,
                                  store::Store& store);

}  // namespace lathe::runtime
