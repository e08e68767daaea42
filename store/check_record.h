// What must hold of a record before it is written.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "store/fields.h"
#include "support/error.h"

namespace lathe::store {

/// invalid_argument for a key that no record has.
inline Status check_key(const Key& key) {
  if (key.problem.empty() || key.family.empty() || key.host.empty() || key.target.empty()) {
    return fail(ErrorCode::invalid_argument,
                "a record's key needs a problem, a family, a host and a target: found '{}', '{}', "
                "'{}', '{}'",
                key.problem, key.family, key.host, key.target);
  }
  if (key.threads < 1) {
    return fail(ErrorCode::invalid_argument, "a record's key has {} threads: expected at least 1",
                key.threads);
  }
  return {};
}

/// invalid_argument for a number that is not finite: SQLite keeps a NaN as NULL, and JSON knows
/// neither NaN nor infinity.
template <typename Record>
Status check_numbers(const Key& key, const Record& record) {
  Status status;
  for_each_field(record, [&](const char* name, const auto& value) {
    bool finite = true;
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, double>) finite = std::isfinite(value);
    if constexpr (std::is_same_v<Value, std::vector<float>>) {
      finite = std::all_of(value.begin(), value.end(), [](float v) { return std::isfinite(v); });
    }
    if (!finite && status) {
      status = fail(ErrorCode::invalid_argument, "{} of '{}' for '{}' is not a finite number", name,
                    record.schedule, key.problem);
    }
  });
  return status;
}

inline tl::unexpected<Error> unknown_host(const Key& key) {
  return fail(ErrorCode::not_found, "the store does not know the host {}: record_host comes first",
              key.host);
}

}  // namespace lathe::store
