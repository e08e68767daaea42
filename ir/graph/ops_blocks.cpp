// Ops of block-sparse attention: lists of blocks as a mask, tokens pooled block by block, and
// scores by which lists are chosen.
#include <algorithm>
#include <cmath>

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

// How many blocks so many tokens make; where that is a name, of the name that the attribute gives.
Result<Dim> count_blocks(const InferContext& c, const Dim& tokens, std::string_view attribute) {
  if (tokens.is_number()) return Dim(blocks_of(tokens.number(), c.attributes.integer("block")));
  const Shape& name = c.attributes.dims(attribute);
  if (name.size() == 1) return name.front();
  return fail(ErrorCode::invalid_argument,
              "{}: found {} names, expected one for the number of blocks that {} tokens make",
              attribute, name.size(), to_string(tokens));
}

// q and k of every op here are [batch, tokens, heads, size].
Status check_queries_and_keys(const TensorType& q, const TensorType& k) {
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
  return {};
}

enum MaskOperand : size_t { kMaskQueries, kMaskKeys, kCounts, kBlocks };

Result<Types> infer_block_mask(const InferContext& c) {
  const TensorType& q = c.operand(kMaskQueries);
  const TensorType& k = c.operand(kMaskKeys);
  const TensorType& counts = c.operand(kCounts);
  const TensorType& blocks = c.operand(kBlocks);
  LATHE_CHECK(check_block(c));
  LATHE_CHECK(check_queries_and_keys(q, k));
  const Dim& heads = q.shape[2];
  const Dim& kv_heads = k.shape[2];
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

// Means over each block of tokens, of all heads: row after row of heads * size numbers.
std::vector<double> means(const Array& x, int64_t block) {
  const int64_t tokens = x.shape[1], width = x.shape[2] * x.shape[3];
  const int64_t blocks = blocks_of(tokens, block);
  std::vector<double> y(static_cast<size_t>(x.shape[0] * blocks * width));
  for (int64_t b = 0; b < x.shape[0]; ++b) {
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t first = t / block * block;
      const auto count = static_cast<double>(std::min(block, tokens - first));
      const auto from = static_cast<size_t>((b * tokens + t) * width);
      const auto to = static_cast<size_t>((b * blocks + t / block) * width);
      for (size_t i = 0; i < static_cast<size_t>(width); ++i)
        y[to + i] += x.reals[from + i] / count;
    }
  }
  return y;
}

Result<std::vector<Array>> eval_pool_blocks(const EvalContext& c) {
  Array y = c.make_result(0);
  y.reals = means(c.operand(0), c.attributes.integer("block"));
  return std::vector<Array>{std::move(y)};
}

enum ScoreOperand : size_t { kScoreQueries, kScoreKeys, kQueryWeights, kKeyWeights };

Result<Types> infer_block_scores(const InferContext& c) {
  const TensorType& q = c.operand(kScoreQueries);
  const TensorType& k = c.operand(kScoreKeys);
  LATHE_CHECK(check_block(c));
  LATHE_CHECK(check_queries_and_keys(q, k));
  if (k.shape[3] != q.shape[3] || k.element != q.element) {
    return fail(ErrorCode::invalid_argument,
                "found q of {} and k of {}, expected the same type and size of a head",
                to_string(q), to_string(k));
  }
  if (c.has(kQueryWeights) != c.has(kKeyWeights)) {
    return fail(ErrorCode::invalid_argument,
                "operand '{}' is omitted, expected both weights or none",
                c.has(kQueryWeights) ? "wk" : "wq");
  }
  if (c.has(kQueryWeights)) {
    const TensorType& wq = c.operand(kQueryWeights);
    const TensorType& wk = c.operand(kKeyWeights);
    const Dim rank = wq.rank() == 3 ? wq.shape[2] : Dim("rank");
    const Shape of_queries = {q.shape[2], q.shape[3], rank};
    const Shape of_keys = {k.shape[2], k.shape[3], rank};
    if (wq.shape != of_queries || wk.shape != of_keys) {
      return fail(ErrorCode::invalid_argument, "found wq of {} and wk of {}, expected {} and {}",
                  to_string(wq.shape), to_string(wk.shape), to_string(of_queries),
                  to_string(of_keys));
    }
  }
  LATHE_TRY(Dim query_blocks, count_blocks(c, q.shape[1], "query_blocks"));
  LATHE_TRY(Dim key_blocks, count_blocks(c, k.shape[1], "key_blocks"));
  return Types{
      {Type::f32, {q.shape[0], k.shape[2], std::move(query_blocks), std::move(key_blocks)}}};
}

// What blocks are compared by: of each head of k, block after block, `rank` numbers, which each of
// the heads of x that share it adds to: its mean times its weight, or the mean itself.
std::vector<double> projected(const Array& x, const Array* weights, int64_t kv_heads,
                              int64_t block) {
  const std::vector<double> pooled = means(x, block);
  const int64_t batch = x.shape[0], heads = x.shape[2], size = x.shape[3];
  const int64_t blocks = blocks_of(x.shape[1], block), group = heads / kv_heads;
  const int64_t rank = weights != nullptr ? weights->shape[2] : size;
  std::vector<double> y(static_cast<size_t>(batch * kv_heads * blocks * rank));
  for (int64_t row = 0; row < batch * blocks; ++row) {
    for (int64_t h = 0; h < heads; ++h) {
      const double* mean = pooled.data() + (row * heads + h) * size;
      double* to =
          y.data() + ((row / blocks * kv_heads + h / group) * blocks + row % blocks) * rank;
      for (int64_t d = 0; d < size; ++d) {
        if (weights == nullptr) {
          to[d] += mean[d];
          continue;
        }
        const double* w = weights->reals.data() + (h * size + d) * rank;
        for (int64_t r = 0; r < rank; ++r) to[r] += mean[d] * w[r];
      }
    }
  }
  return y;
}

Result<std::vector<Array>> eval_block_scores(const EvalContext& c) {
  for (const size_t weights : {kQueryWeights, kKeyWeights}) {
    if (!c.has(weights)) continue;
    const std::vector<double>& values = c.operand(weights).reals;
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i])) continue;
      return fail(ErrorCode::invalid_argument,
                  "{}: found {} at element {}, expected finite weights",
                  weights == kQueryWeights ? "wq" : "wk", values[i], i);
    }
  }
  const Array& q = c.operand(kScoreQueries);
  const Array& k = c.operand(kScoreKeys);
  const int64_t block = c.attributes.integer("block"), kv_heads = k.shape[2];
  const auto weights = [&](size_t i) { return c.has(i) ? &c.operand(i) : nullptr; };
  const std::vector<double> rows = projected(q, weights(kQueryWeights), kv_heads, block);
  const std::vector<double> columns = projected(k, weights(kKeyWeights), kv_heads, block);
  const int64_t rank = c.has(kQueryWeights) ? c.operand(kQueryWeights).shape[2] : q.shape[3];
  const double scale = 1 / std::sqrt(static_cast<double>(q.shape[3]));
  Array scores = c.make_result(0);
  const int64_t query_blocks = scores.shape[2], key_blocks = scores.shape[3];
  for (int64_t i = 0; i < scores.elements(); ++i) {
    const int64_t row = i / key_blocks, head = row / query_blocks;
    const double* a = rows.data() + row * rank;
    const double* b = columns.data() + (head * key_blocks + i % key_blocks) * rank;
    double sum = 0;
    for (int64_t r = 0; r < rank; ++r) sum += a[r] * b[r];
    scores.reals[static_cast<size_t>(i)] = sum * scale;
  }
  return std::vector<Array>{std::move(scores)};
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
  const AttributeSpec name_of_blocks{
      "", AttributeKind::dims, AttributeValue(Shape{}),
      "the name of the number of blocks, where that of tokens is a name"};
  AttributeSpec query_blocks = name_of_blocks, key_blocks = name_of_blocks;
  query_blocks.name = "query_blocks";
  key_blocks.name = "key_blocks";
  table.push_back(
      {.name = "block_scores",
       .family = Family::attention,
       .doc = "(mean of a block of q · wq) · (mean of a block of k · wk)ᵀ / sqrt(size of a head), "
              "f32 [batch, kv_heads, blocks of tokens, blocks of keys]; the heads of q that share "
              "a head of k are added up",
       .operands =
           {{"q", TypeClass::real, Arity::required, "[batch, tokens, heads, size]"},
            {"k", TypeClass::real, Arity::required,
             "[batch, keys, kv_heads, size], of the type of q"},
            {"wq", TypeClass::real, Arity::optional,
             "[heads, size, rank], finite; without weights means are multiplied as they are"},
            {"wk", TypeClass::real, Arity::optional, "[kv_heads, size, rank], finite"}},
       .attributes = {block, std::move(query_blocks), std::move(key_blocks)},
       .results = {{"scores"}},
       .infer = infer_block_scores,
       .eval = eval_block_scores});
}

}  // namespace lathe::ir::graph
