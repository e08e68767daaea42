// Whether a record is used: one answer for a fetch, for `lathe run` and for who explains them.
#pragma once

#include "compiler/search_space.h"
#include "store/records.h"

namespace lathe::runtime {

/// The record's schedule. mismatch, with the reason, for a record that is not used: its machine
/// code was never checked, it has text that no writer of ours makes (control characters), or its
/// schedule is not in today's space. Whether its key is the wanted one is the store's business.
Result<compiler::Schedule> usable_schedule(const store::Winner& record,
                                           const compiler::SearchSpace& space);

}  // namespace lathe::runtime
