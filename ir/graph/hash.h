// A graph's identity for caches and stores: independent of the names of its values.
#pragma once

#include <cstdint>
#include <string>

#include "ir/graph/graph.h"

namespace lathe::ir::graph {

/// The graph printed with its name dropped and its values numbered in order of definition. Names of
/// dimensions are kept: they say which sizes vary together.
std::string canonical_text(const Graph& graph);

/// XXH3 (64 bits) of canonical_text(): equal on every machine.
uint64_t canonical_hash(const Graph& graph);

}  // namespace lathe::ir::graph
