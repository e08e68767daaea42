// The run-time sizes at which a problem is timed, estimated and tested unless the caller says
// otherwise.
#pragma once

#include "compiler/problem.h"

namespace lathe::compiler {

/// Rows of tables (position tables, vocabularies) when nobody gives them.
inline constexpr int64_t kDefaultTableRows = 4096;

/// A size for every named dimension of the problem's signature: a bucket's representative for the
/// dimension of that name, what is usual for the others; `given` overrides.
/// invalid_argument for a name the problem does not have, a size below 1, or one outside its
/// bucket.
Result<Sizes> complete_sizes(const Problem& problem, const Sizes& given = {});

/// invalid_argument where the size that a caller gives for a bucket's dimension is outside of it.
Status check_size(std::string_view name, int64_t size, const Bucket& bucket);

/// The sizes that a problem line names by themselves, `rows=16` in place of a bucket `rows=8..31`:
/// whoever writes one means to time it there. Empty for a line that names none.
Sizes sizes_named_in(std::string_view line);

}  // namespace lathe::compiler
