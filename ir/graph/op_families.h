// Where each family adds its rows to the op table. Internal to this folder.
#pragma once

#include <vector>

#include "ir/graph/op.h"

namespace lathe::ir::graph {

void add_matmul_ops(std::vector<Op>& table);
void add_attention_ops(std::vector<Op>& table);
void add_block_ops(std::vector<Op>& table);  // attention: lists of blocks, pooled blocks
void add_norm_ops(std::vector<Op>& table);
void add_activation_ops(std::vector<Op>& table);
void add_position_ops(std::vector<Op>& table);
void add_arithmetic_ops(std::vector<Op>& table);  // elementwise: arithmetic, where, comparisons
void add_conversion_ops(std::vector<Op>& table);  // cast, quantize, quantize_rows, dequantize
void add_data_ops(std::vector<Op>& table);        // data: look-ups and scatters
void add_cache_ops(std::vector<Op>& table);       // data: paged caches, writing into a cache
void add_page_ops(std::vector<Op>& table);        // data: lists of pages as masks
void add_shape_ops(std::vector<Op>& table);       // data: concat, slice, transpose, reshape

}  // namespace lathe::ir::graph
