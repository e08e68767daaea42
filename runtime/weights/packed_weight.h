// Packed weights in memory and in files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lathe/packed_weight.h>

#include "compiler/choose_layout.h"
#include "compiler/problem.h"
#include "runtime/cpu/thread_pool.h"
#include "support/files.h"

namespace lathe::runtime {

/// The parts, one after the other in one block, each at a multiple of 64 bytes; gaps are zero, so
/// that the block is what files hold and checksums cover.
struct PackedWeightData {
  compiler::WeightLayout layout;
  std::string name;        ///< print(layout)
  std::string parameters;  ///< layout_parameters(layout)
  std::vector<TensorView> parts;
  int64_t bytes = 0;  ///< of the block

  const std::byte* block = nullptr;
  std::shared_ptr<void> memory;  ///< of an own block
  support::MappedFile file;      ///< of a mapped one
};

/// Where a layout's parts lie in the block.
struct PartPlace {
  compiler::PackedPart part;
  int64_t offset = 0, bytes = 0;
};
struct BlockPlan {
  std::vector<PartPlace> places;
  int64_t bytes = 0;
};
/// invalid_argument naming the parameter for a layout that the family `linear` refuses.
Result<BlockPlan> plan_block(const compiler::WeightLayout& layout);

/// Fills in names, sizes and parts of a weight that has its layout and block.
void set_parts(PackedWeightData& data, const BlockPlan& plan);

using compiler::WeightRows;

/// Packs to the parts' storage in parallel, from one matrix or from the two of a pair. A transposed
/// or divided weight (which is none of i8) takes memory for one panel a thread, others little or
/// none. invalid_argument where the weight has values that pack_panels refuses.
Status pack_parts(const compiler::WeightLayout& layout, std::span<const WeightRows> sources,
                  const std::vector<std::byte*>& parts, ThreadPool& pool);

/// Packs in parallel, as `layouts` says unless the options do, straight from the caller's rows to
/// the block: no other memory is taken but for one row a thread where they are quantised.
/// invalid_argument for a view that is no matrix of a weight type with contiguous rows, and for
/// scales that do not fit it.
Result<std::shared_ptr<const PackedWeightData>> pack_weight(const TensorView& weight,
                                                            const PackOptions& options,
                                                            const compiler::LayoutRule& layouts,
                                                            ThreadPool& pool);

Status save_weight(const PackedWeightData& weight, const std::string& path);

/// not_found, io_error; corrupt for what is no packed weight, is cut short or altered; mismatch for
/// another revision of the format or of the layout.
Result<std::shared_ptr<const PackedWeightData>> map_weight(const std::string& path,
                                                           const MapOptions& options);

/// mismatch where a `linear` problem is not of this weight's layout.
Status check_fits(const PackedWeightData& weight, const compiler::Problem& problem);

}  // namespace lathe::runtime
