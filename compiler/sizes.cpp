// Fills in sizes from buckets and defaults.
#include "compiler/sizes.h"

#include <charconv>

#include "compiler/family.h"

namespace lathe::compiler {

Result<Sizes> complete_sizes(const Problem& problem, const Sizes& given) {
  LATHE_TRY(const ir::graph::Graph graph, problem.family().reference(problem));
  Sizes sizes;
  for (const std::string& name : graph.dim_names()) {
    const auto asked = given.find(name);
    if (!problem.has(name)) {
      const int64_t usual = name == "batch" ? 1 : kDefaultTableRows;
      sizes[name] = asked == given.end() ? usual : asked->second;
    } else {
      const Bucket& bucket = problem.bucket(name);
      sizes[name] = asked == given.end() ? representative(bucket) : asked->second;
      if (!bucket.contains(sizes[name])) {
        return fail(ErrorCode::invalid_argument,
                    "size {}={} is outside the problem's bucket {}; give a size inside it, or the "
                    "problem of bucket {}",
                    name, sizes[name], print(bucket), print(bucket_of(sizes[name])));
      }
    }
    if (sizes[name] < 1)
      return fail(ErrorCode::invalid_argument, "size {}={}: expected at least 1", name,
                  sizes[name]);
  }
  for (const auto& [name, size] : given) {
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
