// The fields of each record, listed once: SQL columns, checksums, JSON and miss reasons follow.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "store/records.h"

namespace lathe::store {

/// Calls visit(column name, field) for every stored field of a record, in the order of its table's
/// columns. Works on const and mutable records.
template <typename Record, typename Visit>
void for_each_field(Record& r, Visit&& visit) {
  using Plain = std::remove_const_t<Record>;
  if constexpr (std::is_same_v<Plain, Key>) {
    visit("problem", r.problem);
    visit("family", r.family);
    visit("family_revision", r.family_revision);
    visit("compiler_version", r.compiler_version);
    visit("host", r.host);
    visit("target", r.target);
    visit("threads", r.threads);
    visit("cache", r.cache);
    visit("at", r.at);
    visit("deterministic", r.deterministic);
    visit("objective", r.objective);
  } else if constexpr (std::is_same_v<Plain, Host>) {
    visit("id", r.id);
    visit("device", r.device);
    visit("identity", r.identity);
    visit("description", r.description);
  } else if constexpr (std::is_same_v<Plain, Trial>) {
    visit("schedule", r.schedule);
    visit("state", r.state);
    visit("batches_ns", r.batches_ns);
    visit("median_ns", r.median_ns);
    visit("min_ns", r.min_ns);
    visit("checked", r.check);
    visit("detail", r.detail);
    visit("session", r.session);
    visit("recorded_us", r.recorded_us);
  } else {
    static_assert(std::is_same_v<Plain, Winner>, "a record that the store knows");
    visit("schedule", r.schedule);
    visit("tuned_ns", r.tuned_ns);
    visit("default_ns", r.default_ns);
    visit("runner_up", r.runner_up);
    visit("runner_up_ns", r.runner_up_ns);
    visit("speedup", r.speedup);
    visit("gflops", r.gflops);
    visit("gbytes_per_s", r.gbytes_per_s);
    visit("roof_gflops", r.roof_gflops);
    visit("roof_gbytes_per_s", r.roof_gbytes_per_s);
    visit("roofline_fraction", r.roofline_fraction);
    visit("bound", r.bound);
    visit("confidence", r.confidence);
    visit("verified", r.verified);
    visit("why", r.why);
    visit("trials", r.trials);
    visit("session", r.session);
    visit("recorded_us", r.recorded_us);
  }
}

/// A record's hash together with its key's: what tells a row that noise has hit from a sound one.
/// Stable across machines and versions, as merged files are checked by it.
template <typename Record>
std::int64_t checksum(const Key& key, const Record& record);
extern template std::int64_t checksum<Trial>(const Key&, const Trial&);
extern template std::int64_t checksum<Winner>(const Key&, const Winner&);

}  // namespace lathe::store
