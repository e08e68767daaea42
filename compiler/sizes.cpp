// Fills in sizes from buckets and defaults.
#include "compiler/sizes.h"

#include "compiler/family.h"

namespace lathe::compiler {

Result<Sizes> complete_sizes(const Problem& problem, const Sizes& given) {
  LATHE_TRY(const ir::graph::Graph graph, problem.family().reference(problem));
  Sizes sizes;
  for (const std::string& name : graph.dim_names()) {
    const auto asked = given.find(name);
    if (!problem.has(name)) {
      sizes[name] = asked == given.end() ? kDefaultTableRows : asked->second;
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

}  // namespace lathe::compiler
