// What the fusion passes ask of calls and chains.
#pragma once

#include <string>

#include "compiler/lowering/lowered_graph.h"

namespace lathe::compiler::lowering {

bool same_rows(const Call& a, const Call& b);

/// Whether the chain reads all of the value, once: a broadcast leaf of it cannot be replaced by an
/// expression of full rows.
bool is_full_reader(const Chain& chain, ValueId value);

/// Whether a kernel has room for the chain.
bool fits(const Chain& chain);

std::string value_or(const Call& call, const std::string& key, const std::string& fallback);
std::string in_type(const Call& call);
std::string matrix_type(const Call& product);  ///< of the [rows, n] inputs of its epilogue
std::string out_type(const Call& call);        ///< its own type parameter unless given

void remove(LoweredGraph& lowered, int index);

}  // namespace lathe::compiler::lowering
