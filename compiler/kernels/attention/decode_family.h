// What families beside attention_decode take over from it: parameters, rules, what is checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/heads.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels::attention {

/// A family of a few tokens against a cache of another form than attention_decode's: its parameters
/// without masks and windows, causal at the end of the cache or not at all, and `lengths`. It is
/// asked for by its problem alone: no graph's node becomes a call of it.
Family family_of_decode(std::string name);

/// The rules of all such families.
Status validate_decode_family(const Problem& problem);

/// The reference graph whose results are these of `attention`, of which the second is asked for as
/// `lse` or not.
Result<ir::graph::Graph> finish_reference(ir::graph::GraphBuilder& graph,
                                          const Attention& attention,
                                          const std::vector<ir::graph::Var>& results);

/// Where an operand has its heads, if not as q, k and v have theirs, and which of them are taken.
struct HeadAxis {
  std::string_view operand;
  int axis;
  const std::vector<int64_t>& heads;
};

/// What a check at true size looks at: `outer` heads, and the last tokens.
Result<Sample> sample_of_decode(const Problem& problem, const Attention& attention,
                                const Sizes& sizes, const OuterHeads& outer,
                                const std::vector<HeadAxis>& others);

}  // namespace lathe::compiler::kernels::attention
