// Buckets of run-time sizes: one tuned kernel serves every length in its bucket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "support/error.h"

namespace lathe::compiler {

/// Sizes low … high, both included; high is INT64_MAX in the last bucket.
struct Bucket {
  int64_t low = 1;
  int64_t high = 1;
  bool contains(int64_t size) const { return low <= size && size <= high; }
  bool operator==(const Bucket&) const = default;
};

/// The one function that makes buckets; tuner and runtime both call it. The bounds are 1, 2, 8, 32,
/// 128, 512, 2048, 8192: a factor of four apart, because a row kernel's best schedule changes with
/// the cache level that its rows fit, and those are a factor of four or more apart. size 0 counts
/// as 1.
Bucket bucket_of(int64_t size);

/// The distance in buckets, for near matches.
int bucket_distance(const Bucket& a, const Bucket& b);

/// "1", "2..7", …, "8192..".
std::string print(const Bucket& bucket);

/// Reads what print() wrote, or a plain size, which stands for its bucket.
Result<Bucket> parse_bucket(std::string_view text);

/// The size at which a bucket is timed unless the caller says otherwise: the lower bound, since it
/// is the size that callers name (1, 128, 512, …).
int64_t representative(const Bucket& bucket);

}  // namespace lathe::compiler
