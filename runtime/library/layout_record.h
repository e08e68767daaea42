// Which layout the tuner chose for a weight: a record like any other, its problem the weight, its
// schedule the layout.
//
//   problem   weight n=4096 k=2048 weight=bf16
//   schedule  panel=24
//   at        the rows whose times were summed, "rows=1,16,128": another sum is another record
//
// The family "weight" has the revision of `linear`, on whose kernels' times the choice rests. Of
// several records of a weight the newest says how it is packed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/choose_layout.h"
#include "runtime/library/record_key.h"
#include "store/store.h"

namespace lathe::runtime {

inline constexpr std::string_view kLayoutFamily = "weight";

/// "panel=24", and back; 0 for another text.
std::string layout_schedule(const compiler::WeightLayout& layout);
int64_t panel_of(const std::string& schedule);

/// The weight's key, whatever its panel, for times summed over `at`.
store::Key layout_key(const compiler::WeightLayout& weight, const std::string& at,
                      const ir::Target& target, const RecordContext& context);

/// The weight's newest record on this host and target: one of as many threads where there is one.
Result<std::optional<store::KeyedWinner>> layout_record(const compiler::WeightLayout& weight,
                                                        const ir::Target& target,
                                                        const RecordContext& context,
                                                        store::Store& store);

/// How a candidate stood when the choice was made.
struct LayoutStanding {
  int64_t panel = 0;
  double relative = 0;   ///< its sum over that of the default layout; 0: without one
  bool dropped = false;  ///< clearly behind, or without a kernel for some rows
};
/// Of each candidate of a record, the default first.
Result<std::vector<LayoutStanding>> layout_standings(const store::KeyedWinner& record,
                                                     store::Store& store);

/// The layout recorded for the weight, if it is one of today's candidates; else the default.
/// Errors: the store cannot be read.
Result<compiler::WeightLayout> choose_layout(const compiler::WeightLayout& weight,
                                             const ir::Target& target, const RecordContext& context,
                                             store::Store& store);

}  // namespace lathe::runtime
