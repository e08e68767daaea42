// Data ops on caches of keys and values: reading the pages of a pool, writing rows.
#include <algorithm>
#include <map>

#include "ir/graph/head_layout.h"
#include "ir/graph/op_families.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Result<Types> infer_gather_pages(const InferContext& c) {
  const TensorType& pool = c.operand(0);
  const TensorType& block_table = c.operand(1);
  if (pool.rank() != 4 || block_table.rank() != 2) {
    return fail(ErrorCode::invalid_argument,
                "found shapes {} and {}, expected a pool of pages, rank 4, and a block table "
                "[sequences, most_pages]",
                to_string(pool.shape), to_string(block_table.shape));
  }
  const Dim& sequences = block_table.shape[0];
  if (c.has(2) && c.operand(2).rank() != 0 && c.operand(2).shape != Shape{sequences}) {
    return fail(ErrorCode::invalid_argument,
                "operand 'lengths': found shape {}, expected [] or [{}]",
                to_string(c.operand(2).shape), to_string(sequences));
  }
  const HeadLayout layout = head_layout(c.attributes, 4);
  const Dim rows[] = {block_table.shape[1], pool.shape[layout.tokens]};
  LATHE_TRY(const DimProduct count, product(rows));
  const auto tokens = divide(count, {});
  if (!tokens) {
    return fail(ErrorCode::invalid_argument,
                "found {} pages of {} rows, expected a number for one of the two",
                to_string(rows[0]), to_string(rows[1]));
  }
  const bool quantised = contains(TypeClass::quantised, pool.element);
  TensorType y{quantised ? Type::f32 : pool.element, pool.shape};
  y.shape[0] = sequences;
  y.shape[layout.tokens] = *tokens;
  return Types{y};
}

// Offsets of the rows (one head of one token) of a tensor of heads of rank 4.
class HeadRows {
 public:
  HeadRows(const std::vector<int64_t>& shape, const HeadLayout& layout)
      : layout_(layout), strides_(row_major_strides(shape)) {}
  size_t at(size_t outer, size_t token, size_t head) const {
    return outer * static_cast<size_t>(strides_[0]) +
           token * static_cast<size_t>(strides_[layout_.tokens]) +
           head * static_cast<size_t>(strides_[layout_.heads]);
  }

 private:
  HeadLayout layout_;
  std::vector<int64_t> strides_;
};

Result<std::vector<Array>> eval_gather_pages(const EvalContext& c) {
  const Array& pool = c.operand(0);
  const Array& block_table = c.operand(1);
  Array y = c.make_result(0);
  const HeadLayout layout = head_layout(c.attributes, 4);
  const auto page = static_cast<size_t>(pool.shape[layout.tokens]);
  const auto heads = static_cast<size_t>(pool.shape[layout.heads]);
  const auto size = static_cast<size_t>(pool.shape.back());
  const auto most_pages = static_cast<size_t>(block_table.shape[1]);
  const HeadRows from(pool.shape, layout);
  const HeadRows to(y.shape, layout);
  for (size_t s = 0; s < static_cast<size_t>(block_table.shape[0]); ++s) {
    size_t length = most_pages * page;
    if (c.has(2)) {
      const size_t i = c.operand(2).shape.empty() ? 0 : s;
      const int64_t found = c.operand(2).integers[i];
      if (found < 0 || static_cast<uint64_t>(found) > length) {
        return fail(ErrorCode::invalid_argument,
                    "lengths[{}]: found {}, expected 0 to {}, the rows of a sequence's pages", i,
                    found, length);
      }
      length = static_cast<size_t>(found);
    }
    for (size_t row = 0; row < length; ++row) {
      const int64_t number = block_table.integers[s * most_pages + row / page];
      if (number < 0 || number >= pool.shape[0]) {
        return fail(ErrorCode::invalid_argument,
                    "block_table[{}, {}]: found page {}, expected 0 to {}", s, row / page, number,
                    pool.shape[0] - 1);
      }
      for (size_t head = 0; head < heads; ++head) {
        copy_elements(pool, from.at(static_cast<size_t>(number), row % page, head), size, y,
                      to.at(s, row, head));
      }
    }
  }
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_write_cache(const InferContext& c) {
  const TensorType& cache = c.operand(0);
  const TensorType& rows = c.operand(1);
  const TensorType& positions = c.operand(2);
  if (cache.rank() != 3 && cache.rank() != 4) {
    return fail(ErrorCode::invalid_argument,
                "operand 'cache': found {}, expected rank 3, or 4 with a leading batch",
                to_string(cache));
  }
  const HeadLayout layout = head_layout(c.attributes, cache.shape.size());
  TensorType expected = cache;
  if (rows.rank() == cache.rank()) expected.shape[layout.tokens] = rows.shape[layout.tokens];
  if (rows != expected) {
    return fail(ErrorCode::invalid_argument,
                "operand 'rows': found {}, expected {} but for the number of tokens",
                to_string(rows), to_string(cache));
  }
  Shape shared{rows.shape[layout.tokens]};
  Shape each = shared;
  if (layout.batched) each.insert(each.begin(), rows.shape.front());
  if (positions.shape != shared && positions.shape != each) {
    return fail(ErrorCode::invalid_argument, "operand 'positions': found shape {}, expected {}",
                to_string(positions.shape), to_string(each));
  }
  return Types{cache};
}

Result<std::vector<Array>> eval_write_cache(const EvalContext& c) {
  const Array& rows = c.operand(1);
  const Array& positions = c.operand(2);
  Array y = c.operand(0);
  // A cache without a batch is a batch of one.
  std::vector<int64_t> cache_shape = y.shape;
  std::vector<int64_t> rows_shape = rows.shape;
  if (cache_shape.size() == 3) {
    cache_shape.insert(cache_shape.begin(), 1);
    rows_shape.insert(rows_shape.begin(), 1);
  }
  const HeadLayout layout = head_layout(c.attributes, 4);
  const HeadRows from(rows_shape, layout);
  const HeadRows to(cache_shape, layout);
  const auto tokens = static_cast<size_t>(rows_shape[layout.tokens]);
  const auto heads = static_cast<size_t>(rows_shape[layout.heads]);
  const auto size = static_cast<size_t>(rows_shape.back());
  const int64_t capacity = cache_shape[layout.tokens];
  for (size_t b = 0; b < static_cast<size_t>(rows_shape[0]); ++b) {
    std::map<int64_t, size_t> taken;  // positions, each with the place that names it
    for (size_t t = 0; t < tokens; ++t) {
      const size_t i = positions.shape.size() == 2 ? b * tokens + t : t;
      const int64_t position = positions.integers[i];
      if (position == -1) continue;
      if (position < 0 || position >= capacity) {
        return fail(ErrorCode::invalid_argument,
                    "positions[{}]: found {}, expected 0 to {}, or -1 for a row that is dropped", i,
                    position, capacity - 1);
      }
      const auto [first, is_new] = taken.emplace(position, i);
      if (!is_new) {
        return fail(ErrorCode::invalid_argument,
                    "positions[{}]: found {}, as at [{}]; expected a position of its own for each "
                    "row of a sequence",
                    i, position, first->second);
      }
      for (size_t head = 0; head < heads; ++head) {
        copy_elements(rows, from.at(b, t, head), size, y,
                      to.at(b, static_cast<size_t>(position), head));
      }
    }
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_cache_ops(std::vector<Op>& table) {
  table.push_back(
      {.name = "gather_pages",
       .family = Family::data,
       .doc =
           "the pages of each sequence one after the other: row r of sequence s is row r mod page "
           "of page block_table[s, r / page]; a block-quantised pool gives f32",
       .operands =
           {{"pool", TypeClass::weight, Arity::required,
             "[pages, page, heads, size] or [pages, heads, page, size]"},
            {"block_table", TypeClass::index, Arity::required,
             "[sequences, most_pages]: page numbers"},
            {"lengths", TypeClass::index, Arity::optional,
             "[] or [sequences]: rows after these are 0, and entries of the table that only "
             "they need are not read"}},
       .attributes = {head_layout_attribute()},
       .results = {{"y"}},
       .infer = infer_gather_pages,
       .eval = eval_gather_pages});
  table.push_back(
      {.name = "write_cache",
       .family = Family::data,
       .doc = "the cache with the row of each token replaced at its position, a different one for "
              "each",
       .operands = {{"cache", TypeClass::weight},
                    {"rows", TypeClass::weight, Arity::required,
                     "type and shape of the cache but for the number of tokens"},
                    {"positions", TypeClass::index, Arity::required,
                     "[tokens] or [batch, tokens]; -1 drops a row"}},
       .attributes = {head_layout_attribute()},
       .results = {{"y"}},
       .updates = 0,
       .infer = infer_write_cache,
       .eval = eval_write_cache});
}

}  // namespace lathe::ir::graph
