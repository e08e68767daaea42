// Fills in sizes from buckets and defaults.
#include "compiler/sizes.h"

#include <charconv>

#include "compiler/family.h"

namespace lathe::compiler {

Status check_size(std::string_view name, int64_t size, const Bucket& bucket) {
  if (bucket.contains(size)) return {};
  return fail(ErrorCode::invalid_argument,
              "size {}={} is outside the problem's bucket {}; give a size inside it, or the "
              "problem of bucket {}",
              name, size, print(bucket), print(bucket_of(size)));
}

Result<Sizes> complete_sizes(const Problem& problem, const Sizes& given) {
  Sizes wanted = given;
  if (problem.family().derive_sizes != nullptr)
    LATHE_CHECK(problem.family().derive_sizes(problem, wanted));
  Sizes sizes;
  for (const std::string& name : dimension_names(problem.family().signature(problem))) {
    const auto asked = wanted.find(name);
    if (!problem.has(name)) {
      const int64_t usual = name == "batch" ? 1 : kDefaultTableRows;
      sizes[name] = asked == wanted.end() ? usual : asked->second;
    } else {
      const Bucket& bucket = problem.bucket(name);
      sizes[name] = asked == wanted.end() ? representative(bucket) : asked->second;
      LATHE_CHECK(check_size(name, sizes[name], bucket));
    }
    if (sizes[name] < 1)
      return fail(ErrorCode::invalid_argument, "size {}={}: expected at least 1", name,
                  sizes[name]);
  }
  if (const auto dependent = problem.family().dependent_sizes; dependent != nullptr) {
    for (const auto& [name, size] : dependent(problem, sizes)) {
      if (const auto asked = given.find(name); asked != given.end() && asked->second != size) {
        return fail(ErrorCode::invalid_argument,
                    "size {}={}: expected {}, as other sizes have it; leave it out", name,
                    asked->second, size);
      }
      sizes[name] = size;
    }
  }
  for (const auto& [name, size] : wanted) {
    if (sizes.find(name) == sizes.end()) {
      return fail(ErrorCode::invalid_argument, "'{}' has no dimension '{}'; its dimensions: {}",
                  problem.line(), name, print(sizes));
    }
  }
  return sizes;
}

Sizes sizes_named_in(std::string_view line) {
  Sizes sizes;
  // Buckets are named after dimensions; of the other parameters none is called like one.
  for (const std::string_view name : {"rows", "batch", "tokens", "context", "pages", "kept"}) {
    const std::string key = fmt::format(" {}=", name);
    const size_t found = line.find(key);
    if (found == std::string_view::npos) continue;
    const std::string_view text = line.substr(found + key.size());
    int64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    const bool whole = end == text.data() + text.size() || *end == ' ';
    if (error == std::errc{} && whole && size > 0) sizes.emplace(name, size);
  }
  return sizes;
}

}  // namespace lathe::compiler
