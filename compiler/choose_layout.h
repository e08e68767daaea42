// Which layouts a weight can be packed in, and the texts that name them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "compiler/problem.h"
#include "compiler/shared_operand.h"
#include "compiler/weight_packing.h"
#include "ir/target.h"

namespace lathe::compiler {

/// Raised whenever pack_panels writes the same layout as other bytes: packed files of another
/// revision are refused.
inline constexpr uint32_t kLayoutRevision = 1;

/// The layouts worth comparing for a weight, at most three; the first is the one to take without
/// tuning. Each has kernels for every number of rows. `n` is that of one half where `pair`.
std::vector<WeightLayout> candidate_layouts(ir::Type type, int64_t n, int64_t k, bool pair,
                                            const ir::Target& target);

/// Says which layout a weight is packed in: the same one whenever it is asked, for all kernels of
/// a weight read one copy.
using LayoutRule = std::function<WeightLayout(ir::Type type, int64_t n, int64_t k, bool pair)>;

/// The first of the candidate_layouts().
LayoutRule default_layouts(const ir::Target& target);

/// The layout's identity: "panels16 bf16 4096x2048", of a pair "panels16 bf16 2x6144x2048".
std::string print(const WeightLayout& layout);

/// As the parameters of a problem line: "n=4096 k=2048 weight=bf16 panel=16".
std::string layout_parameters(const WeightLayout& layout);

/// What the weight is in any layout: "n=4096 k=2048 weight=bf16".
std::string weight_parameters(const WeightLayout& layout);

/// The layout of the weight that a `linear` problem multiplies by.
WeightLayout layout_of(const Problem& linear);

/// Weights as operands that kernels share: all of one n, k and type have one layout, for every
/// number of rows and every epilogue.
const SharedOperand& weight_operand();

/// The candidates of the weight, whatever its panel.
LayoutCandidates candidates_of(const WeightLayout& weight, const ir::Target& target);

}  // namespace lathe::compiler
