// The schedules of a product: which numbers its blocking may have.
#pragma once

#include "compiler/kernels/product/product.h"
#include "compiler/search_space.h"

namespace lathe::compiler::kernels::product {

/// Of a product whose w lies packed.
SearchSpace space(const Product& product, const ir::Target& target);

/// Of one whose w is packed as it is used, a block at a time, in panels as wide as a tile;
/// `must_pack`: its rows are copied whatever the schedule.
SearchSpace packing_space(const Product& product, const ir::Target& target, bool must_pack);

}  // namespace lathe::compiler::kernels::product
