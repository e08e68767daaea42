// Which schedule a kernel gets: what the store knows, else the family's default, else what fits.
#pragma once

#include <memory>
#include <string>

#include <lathe/library.h>

#include "compiler/problem.h"
#include "runtime/launch/compiled_kernel.h"
#include "runtime/library/record_key.h"
#include "runtime/library/target_selection.h"
#include "store/store.h"

namespace lathe::runtime {

/// A schedule and how well it fits.
struct ScheduleChoice {
  compiler::Schedule schedule;
  Match match = Match::default_;
  std::string reason;
};

/// What a kernel gets where no record is asked for, or none can be read. Errors: as search_space().
Result<ScheduleChoice> default_choice(const compiler::Problem& problem, const ir::Target& target,
                                      std::string reason);

/// The best schedule known to the store for the problem: exact, near, other host, default; only
/// schedules that the problem's space accepts. Never fails for lack of records. Errors: the store
/// cannot be read; a caller that goes on with default_choice() says so; as search_space(). Compiles
/// nothing: see compile_chosen() and buildable_default().
Result<ScheduleChoice> choose_schedule(const compiler::Problem& problem, const ir::Target& target,
                                       const RecordContext& context, store::Store& store);

/// Compiles the choice. A record is advice: where it does not compile here, the default does; and
/// where the default's programs need more registers than the target has, the nearest point of the
/// space that fits. `choice` then names what was compiled and why. Errors: none fits.
Result<std::shared_ptr<const CompiledKernel>> compile_chosen(const compiler::Problem& problem,
                                                             const SelectedTarget& selected,
                                                             ScheduleChoice& choice);

/// The schedule that compile_chosen() ends at without a record, found by emitting alone: for
/// targets that this host cannot run, too.
Result<compiler::Schedule> buildable_default(const compiler::Problem& problem,
                                             const SelectedTarget& selected);

/// For the message that a schedule is refused where its problem's space accepts it: `error` with
/// the knobs by which the target would accept it, where that is `rejected` and there are some.
/// Found by emitting up to 64 other schedules; not for where time counts.
Error with_remedy(const compiler::Problem& problem, const SelectedTarget& selected,
                  const compiler::Schedule& schedule, Error error);

}  // namespace lathe::runtime
