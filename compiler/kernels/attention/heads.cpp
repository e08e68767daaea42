// Which heads, and problems of as many.
#include "compiler/kernels/attention/heads.h"

#include <algorithm>

#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels::attention {

Result<Problem> with_few_heads(const Problem& p) {
  const int64_t group = p.integer("heads") / p.integer("kv_heads");
  const int64_t kv_heads = std::min<int64_t>(p.integer("kv_heads"), 2);
  return with_numbers(p, {{"heads", kv_heads * group}, {"kv_heads", kv_heads}});
}

OuterHeads::OuterHeads(const Problem& p) : kv_heads{0} {
  const int64_t all = p.integer("kv_heads"), group = p.integer("heads") / all;
  if (all > 1) kv_heads.push_back(all - 1);
  for (const int64_t head : kv_heads)
    for (int64_t i = 0; i < group; ++i) heads.push_back(head * group + i);
}

Result<Problem> OuterHeads::problem(const Problem& whole) const {
  return with_numbers(whole, {{"heads", static_cast<int64_t>(heads.size())},
                              {"kv_heads", static_cast<int64_t>(kv_heads.size())}});
}

}  // namespace lathe::compiler::kernels::attention
