// Where each intermediate value of a lowered graph lies: one arena, reused as values die.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/lowering/lowered_graph.h"

namespace lathe::compiler::lowering {

/// For each value of the graph.
struct Placement {
  enum class Kind : uint8_t {
    none,      ///< not computed: fused away
    external,  ///< an input or output of the graph: the caller's memory
    arena,     ///< `offset` bytes into the arena
    alias,     ///< the memory of value `alias`
  } kind = Kind::none;
  int64_t offset = 0;
  int64_t bytes = 0;
  ValueId alias = -1;
};

struct MemoryPlan {
  /// Inputs of the graph that a call updates and that nothing needs afterwards: their memory may be
  /// that of the output that they become.
  std::vector<ValueId> donated;
  std::vector<Placement> placements;  ///< by value
  int64_t arena_bytes = 0;            ///< what the arena must hold
  int64_t unshared_bytes = 0;         ///< what it would hold if nothing were reused
};

/// A value that is another but for what a call writes (Call::updates) has the other's memory,
/// unless the caller holds that or something still reads the other: then it has its own, into which
/// the executor copies the other before the call. Offsets are multiples of 64. Largest values
/// first, each at the lowest offset where nothing that lives at the same time lies (Pisarchyk and
/// Lee 2020, "greedy by size").
MemoryPlan plan_memory(const LoweredGraph& lowered);

}  // namespace lathe::compiler::lowering
