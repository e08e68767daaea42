// The run-time sizes at which a problem is timed, estimated and tested unless the caller says
// otherwise.
#pragma once

#include "compiler/problem.h"

namespace lathe::compiler {

/// Rows of tables (position tables, vocabularies) when nobody gives them.
inline constexpr int64_t kDefaultTableRows = 4096;

/// A size for every named dimension of the problem's signature: a bucket's representative for the
/// dimension of that name, kDefaultTableRows for the others; `given` overrides.
/// invalid_argument for a name the problem does not have, a size below 1, or one outside its
/// bucket.
Result<Sizes> complete_sizes(const Problem& problem, const Sizes& given = {});

}  // namespace lathe::compiler
