// Which layout a weight is packed in, and the text that names it.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/weight_packing.h"
#include "ir/target.h"

namespace lathe::compiler {

/// Raised whenever pack_panels writes the same layout as other bytes: packed files of another
/// revision are refused.
inline constexpr uint32_t kLayoutRevision = 1;

/// The layout of a weight, the same for every caller and every number of rows: a weight is held
/// once, and all its kernels read that one copy. `n` is that of one half where `pair`.
WeightLayout choose_layout(ir::Type type, int64_t n, int64_t k, bool pair,
                           const ir::Target& target);

/// The layout's identity: "panels16 bf16 4096x2048", of a pair "panels16 bf16 2x6144x2048".
std::string print(const WeightLayout& layout);

/// As the parameters of a problem line: "n=4096 k=2048 weight=bf16 panel=16".
std::string layout_parameters(const WeightLayout& layout);

}  // namespace lathe::compiler
