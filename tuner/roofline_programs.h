// The loops whose best rates are the roofs, as kernel programs.
#pragma once

#include "ir/program/program.h"
#include "ir/target.h"

namespace lathe::tuner {

/// `accumulators` independent chains of multiply-adds on registers, `iterations` times round.
/// Buffer y takes one vector; parameter: iterations. One round is accumulators * lanes * 2 flops.
ir::program::Program fma_loop(const ir::Target& target, int accumulators);

/// Reads `streams` equal parts of buffer x side by side, prefetching ahead. Parameters: bytes of
/// one part (a multiple of stream_granule()), bytes between the parts' starts. Writes one vector to
/// y.
ir::program::Program read_loop(const ir::Target& target, int streams);

/// Copies x to y; parameter: bytes (a multiple of stream_granule()). With `stream`, past the
/// caches; y must be aligned to the vector then.
ir::program::Program copy_loop(const ir::Target& target, bool stream);

int64_t stream_granule(const ir::Target& target);

}  // namespace lathe::tuner
