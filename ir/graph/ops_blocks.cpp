// Ops of block-sparse attention: lists of blocks as a mask, and tokens pooled block by block.
#include <algorithm>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

int64_t blocks_of(int64_t tokens, int64_t block) {
  return tokens / block + (tokens % block > 0 ? 1 : 0);
}

Status check_block(const InferContext& c) {
  const int64_t block = c.attributes.integer("block");
  if (block >= 1 && block <= kMaxDim) return {};
  return fail(ErrorCode::invalid_argument, "block: found {}, expected 1 to {}", block, kMaxDim);
}

enum MaskOperand : size_t { kMaskQueries, kMaskKeys, kCounts, kBlocks };

Result<Types> infer_block_mask(const InferContext& c) {
  const TensorType& q = c.operand(kMaskQueries);
  const TensorType& k = c.operand(kMaskKeys);
  const TensorType& counts = c.operand(kCounts);
  const TensorType& blocks = c.operand(kBlocks);
  LATHE_CHECK(check_block(c));
  if (q.rank() != 4 || k.rank() != 4 || k.shape[0] != q.shape[0]) {
    return fail(ErrorCode::invalid_argument,
                "found q of {} and k of {}, expected [batch, tokens, heads, size] of each",
                to_string(q), to_string(k));
  }
  const Dim& heads = q.shape[2];
  const Dim& kv_heads = k.shape[2];
  if (!heads.is_number() || !kv_heads.is_number() || kv_heads.number() == 0 ||
      heads.number() % kv_heads.number() != 0) {
    return fail(ErrorCode::invalid_argument,
                "found {} heads in q and {} in k, expected a multiple of those in k",
                to_string(heads), to_string(kv_heads));
  }
  if (counts.rank() != 3 || counts.shape[0] != k.shape[0] || counts.shape[1] != kv_heads) {
    return fail(ErrorCode::invalid_argument,
                "operand 'counts': found shape {}, expected [{}, {}, blocks of tokens]",
                to_string(counts.shape), to_string(k.shape[0]), to_string(kv_heads));
  }
  Shape expected = counts.shape;
  if (blocks.rank() == 4) expected.push_back(blocks.shape.back());
  if (blocks.shape != expected || blocks.rank() != 4) {
    return fail(ErrorCode::invalid_argument,
                "operand 'blocks': found shape {}, expected that of counts, {}, and a last "
                "dimension",
                to_string(blocks.shape), to_string(counts.shape));
  }
  return Types{{Type::boolean, {q.shape[0], heads, q.shape[1], k.shape[1]}}};
}

// The blocks listed in row `row`, checked.
Result<std::vector<int64_t>> listed_blocks(const Array& counts, const Array& blocks, size_t row,
                                           int64_t key_blocks) {
  const int64_t room = blocks.shape.back();
  const int64_t count = counts.integers[row];
  if (count < 0 || count > room) {
    return fail(ErrorCode::invalid_argument, "counts[{}]: found {}, expected 0 to {}", row, count,
                room);
  }
  std::vector<int64_t> list;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t block = blocks.integers[row * static_cast<size_t>(room) + static_cast<size_t>(i)];
    if (block < 0 || block >= key_blocks) {
      return fail(ErrorCode::invalid_argument, "blocks[{}, {}]: found {}, expected 0 to {}", row, i,
                  block, key_blocks - 1);
    }
    if (!list.empty() && block <= list.back()) {
      return fail(ErrorCode::invalid_argument,
                  "blocks[{}, {}]: found {} after {}, expected ascending blocks, none twice", row,
                  i, block, list.back());
    }
    list.push_back(block);
  }
  return list;
}

Result<std::vector<Array>> eval_block_mask(const EvalContext& c) {
  const Array& counts = c.operand(kCounts);
  const int64_t block = c.attributes.integer("block");
  Array mask = c.make_result(0);
  const int64_t heads = mask.shape[1], tokens = mask.shape[2], keys = mask.shape[3];
  const int64_t kv_heads = counts.shape[1], query_blocks = counts.shape[2];
  if (query_blocks != blocks_of(tokens, block)) {
    return fail(ErrorCode::invalid_argument,
                "counts: found {} blocks of tokens, expected {}, as {} tokens make", query_blocks,
                blocks_of(tokens, block), tokens);
  }
  for (int64_t b = 0; b < mask.shape[0]; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t of_head = b * kv_heads + h / (heads / kv_heads);
      for (int64_t i = 0; i < query_blocks; ++i) {
        LATHE_TRY(const auto list, listed_blocks(counts, c.operand(kBlocks),
                                                 static_cast<size_t>(of_head * query_blocks + i),
                                                 blocks_of(keys, block)));
        for (int64_t t = i * block; t < std::min((i + 1) * block, tokens); ++t)
          for (const int64_t j : list)
            for (int64_t s = j * block; s < std::min((j + 1) * block, keys); ++s)
              mask.integers[static_cast<size_t>(((b * heads + h) * tokens + t) * keys + s)] = 1;
      }
    }
  }
  return std::vector<Array>{std::move(mask)};
}

Result<Types> infer_pool_blocks(const InferContext& c) {
  const TensorType& x = c.operand(0);
  LATHE_CHECK(check_block(c));
  const Shape& name = c.attributes.dims("blocks");
  if (x.rank() != 4 || name.size() != 1) {
    return fail(ErrorCode::invalid_argument,
                "found {} and {} names of blocks, expected [batch, tokens, heads, size] and one",
                to_string(x), name.size());
  }
  TensorType y = x;
  Dim& tokens = y.shape[1];
  tokens = tokens.is_number() ? Dim(blocks_of(tokens.number(), c.attributes.integer("block")))
                              : name.front();
  return Types{std::move(y)};
}

Result<std::vector<Array>> eval_pool_blocks(const EvalContext& c) {
  const Array& x = c.operand(0);
  const int64_t block = c.attributes.integer("block");
  Array y = c.make_result(0);
  const int64_t tokens = x.shape[1], width = x.shape[2] * x.shape[3];
  for (int64_t b = 0; b < x.shape[0]; ++b) {
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t first = t / block * block;
      const auto count = static_cast<double>(std::min(block, tokens - first));
      const auto from = static_cast<size_t>((b * tokens + t) * width);
      const auto to = static_cast<size_t>((b * y.shape[1] + t / block) * width);
      for (size_t i = 0; i < static_cast<size_t>(width); ++i)
        y.reals[to + i] += x.reals[from + i] / count;
    }
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_block_ops(std::vector<Op>& table) {
  const AttributeSpec block{"block", AttributeKind::integer, std::nullopt, "tokens of a block"};
  table.push_back(
      {.name = "block_mask",
       .family = Family::attention,
       .doc = "the mask of attention, bool [batch, heads, tokens, keys], by which each block of "
              "tokens sees the blocks of keys that are listed for it",
       .operands = {{"q", TypeClass::real, Arity::required,
                     "[batch, tokens, heads, size]: only its shape counts"},
                    {"k", TypeClass::real, Arity::required,
                     "[batch, keys, kv_heads, size]: the same"},
                    {"counts", TypeClass::index, Arity::required,
                     "[batch, kv_heads, blocks of tokens]: how many blocks of keys are listed; the "
                     "heads of q that share a head of k share its lists"},
                    {"blocks", TypeClass::index, Arity::required,
                     "[batch, kv_heads, blocks of tokens, room]: their numbers, ascending; those "
                     "after the first counts are not read"}},
       .attributes = {block},
       .results = {{"mask"}},
       .infer = infer_block_mask,
       .eval = eval_block_mask});
  table.push_back(
      {.name = "pool_blocks",
       .family = Family::attention,
       .doc = "means over each block of tokens, the last of those that there are: [batch, blocks, "
              "heads, size]",
       .operands = {{"x", TypeClass::real, Arity::required, "[batch, tokens, heads, size]"}},
       .attributes = {block,
                      {"blocks", AttributeKind::dims, std::nullopt,
                       "the name of the number of blocks, one, where that of tokens is a name"}},
       .results = {{"y"}},
       .infer = infer_pool_blocks,
       .eval = eval_pool_blocks});
}

}  // namespace lathe::ir::graph
