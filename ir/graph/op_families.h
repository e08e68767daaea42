// Where each family adds its rows to the op table. Internal to this folder.
#pragma once

#include <vector>

#include "ir/graph/op.h"

namespace lathe::ir::graph {

void add_matmul_ops(std::vector<Op>& table);
void add_attention_ops(std::vector<Op>& table);
void add_merge_ops(std::vector<Op>& table);  // attention: of parts of the keys
void add_block_ops(std::vector<Op>& table);  // attention: lists of blocks, their scores
void add_page_ops(std::vector<Op>& table);   // attention: lists of pages, their bounds and scores
void add_selection_ops(std::vector<Op>& table);  // attention: lists from scores
void add_norm_ops(std::vector<Op>& table);
void add_activation_ops(std::vector<Op>& table);
void add_position_ops(std::vector<Op>& table);
void add_arithmetic_ops(std::vector<Op>& table);  // elementwise: arithmetic, where, comparisons
void add_conversion_ops(std::vector<Op>& table);  // cast, quantize, quantize_rows, dequantize
void add_data_ops(std::vector<Op>& table);        // data: look-ups and scatters
void add_cache_ops(std::vector<Op>& table);       // data: paged caches, writing into a cache
void add_shape_ops(std::vector<Op>& table);       // data: concat, slice, transpose, reshape

}  // namespace lathe::ir::graph
