// The canonical form of a graph, and its hash.
#include "ir/graph/hash.h"

#include "ir/graph/text.h"
#include "support/hash.h"

namespace lathe::ir::graph {

std::string canonical_text(const Graph& graph) {
  Graph renamed = graph;
  renamed.name = "g";
  std::vector<ValueId> order = graph.inputs;
  for (const Node& node : graph.nodes) {
    order.insert(order.end(), node.results.begin(), node.results.end());
  }
  int next = 0;
  for (const ValueId id : order) renamed.value(id).name = std::to_string(next++);
  return print(renamed);
}

uint64_t canonical_hash(const Graph& graph) { return support::hash64(canonical_text(graph)); }

}  // namespace lathe::ir::graph
