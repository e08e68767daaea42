// The bounds of the buckets, and their text.
#include "compiler/bucket.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace lathe::compiler {
namespace {

constexpr std::array<int64_t, 8> kLower = {1, 2, 8, 32, 128, 512, 2048, 8192};

size_t index_of(int64_t size) {
  const auto above = std::upper_bound(kLower.begin(), kLower.end(), std::max<int64_t>(size, 1));
  return static_cast<size_t>(above - kLower.begin()) - 1;
}

bool read_size(std::string_view text, int64_t& size) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  return error == std::errc() && end == text.data() + text.size() && size >= 0;
}

}  // namespace

Bucket bucket_of(int64_t size) {
  const size_t i = index_of(size);
  const bool last = i + 1 == kLower.size();
  return {kLower[i], last ? std::numeric_limits<int64_t>::max() : kLower[i + 1] - 1};
}

int bucket_distance(const Bucket& a, const Bucket& b) {
  return std::abs(static_cast<int>(index_of(a.low)) - static_cast<int>(index_of(b.low)));
}

std::string print(const Bucket& bucket) {
  if (bucket.low == bucket.high) return std::to_string(bucket.low);
  if (bucket.high == std::numeric_limits<int64_t>::max()) return fmt::format("{}..", bucket.low);
  return fmt::format("{}..{}", bucket.low, bucket.high);
}

Result<Bucket> parse_bucket(std::string_view text) {
  int64_t low = 0;
  if (read_size(text, low)) return bucket_of(low);
  const size_t dots = text.find("..");
  if (dots != std::string_view::npos && read_size(text.substr(0, dots), low)) {
    const Bucket bucket = bucket_of(low);
    if (print(bucket) == text) return bucket;
    return fail(ErrorCode::invalid_argument, "found '{}', expected the bucket {} or a size", text,
                print(bucket));
  }
  return fail(ErrorCode::invalid_argument,
              "found '{}', expected a size such as 512 or a bucket such as {}", text,
              print(bucket_of(512)));
}

int64_t representative(const Bucket& bucket) { return bucket.low; }

}  // namespace lathe::compiler
