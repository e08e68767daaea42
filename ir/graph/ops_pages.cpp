// Ops on pages of keys: lists of them as masks, bounds of their keys, and scores by which lists are
// chosen.
#include <algorithm>
#include <cmath>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Result<Types> infer_page_mask(const InferContext& c) {
  const TensorType& pages = c.operand(0);
  const Shape& keys = c.attributes.dims("keys");
  if (pages.rank() != 3 || !pages.shape[1].is_number() || keys.size() != 1) {
    return fail(ErrorCode::invalid_argument,
                "found shape {} and keys {}, expected pages [sequences, heads of k, listed], a "
                "number of heads, and one dimension of keys",
                to_string(pages.shape), to_string(keys));
  }
  const int64_t page = c.attributes.integer("page"), heads = c.attributes.integer("heads");
  const int64_t kv_heads = pages.shape[1].number();
  if (page < 1 || heads < 1 || kv_heads < 1 || heads % kv_heads != 0) {
    return fail(ErrorCode::invalid_argument,
                "found page {} and heads {} with {} heads of k, expected a page of at least 1 and "
                "a multiple of those heads",
                page, heads, kv_heads);
  }
  return Types{{Type::boolean, {pages.shape[0], heads, 1, keys.front()}}};
}

Result<std::vector<Array>> eval_page_mask(const EvalContext& c) {
  const Array& pages = c.operand(0);
  Array y = c.make_result(0);
  const int64_t page = c.attributes.integer("page");
  const int64_t heads = y.shape[1], keys = y.shape[3], listed = pages.shape[2];
  const int64_t group = heads / pages.shape[1];
  // Of no keys there is a first page, so that a list of it may be written.
  const int64_t last_page = std::max<int64_t>(keys - 1, 0) / page;
  for (int64_t row = 0; row < y.shape[0] * heads; ++row) {
    int64_t before = 0;
    for (int64_t i = 0; i < listed; ++i) {
      const size_t at = static_cast<size_t>(row / group * listed + i);
      const int64_t number = pages.integers[at];
      if (number < 0 || number > last_page) {
        return fail(ErrorCode::invalid_argument, "pages[{}, {}, {}]: found {}, expected 0 to {}",
                    row / heads, row % heads / group, i, number, last_page);
      }
      if (number < before) {
        return fail(ErrorCode::invalid_argument,
                    "pages[{}, {}, {}]: found {} after {}, expected ascending pages", row / heads,
                    row % heads / group, i, number, before);
      }
      before = number;
      const int64_t end = std::min(keys, (number + 1) * page);
      for (int64_t key = number * page; key < end; ++key)
        y.integers[static_cast<size_t>(row * keys + key)] = 1;
    }
  }
  return std::vector<Array>{std::move(y)};
}

Result<Types> infer_page_bounds(const InferContext& c) {
  const TensorType& k = c.operand(0);
  if (k.rank() != 5 || k.shape[2] == Dim(0)) {
    return fail(ErrorCode::invalid_argument,
                "found {}, expected [batch, pages, keys of a page, heads, size], with keys",
                to_string(k));
  }
  return Types{{k.element, {k.shape[0], k.shape[1], k.shape[3], 2 * k.shape[4]}}};
}

Result<std::vector<Array>> eval_page_bounds(const EvalContext& c) {
  const Array& k = c.operand(0);
  Array y = c.make_result(0);
  const int64_t page = k.shape[2], heads = k.shape[3], size = k.shape[4];
  for (int64_t row = 0; row < k.shape[0] * k.shape[1] * heads; ++row) {
    for (int64_t d = 0; d < size; ++d) {
      const auto key = [&](int64_t i) {
        return k.reals[static_cast<size_t>(((row / heads * page + i) * heads + row % heads) * size +
                                           d)];
      };
      double least = key(0), greatest = key(0);
      for (int64_t i = 1; i < page; ++i) {
        const double value = key(i);
        // As min and max: NaN if either is.
        if (value < least || std::isnan(value)) least = value;
        if (value > greatest || std::isnan(value)) greatest = value;
      }
      y.reals[static_cast<size_t>(row * 2 * size + d)] = least;
      y.reals[static_cast<size_t>((row * 2 + 1) * size + d)] = greatest;
    }
  }
  return std::vector<Array>{std::move(y)};
}

enum PageOperand : size_t { kPageQueries, kPageRows, kPageWeights };

Result<Types> infer_page_scores(const InferContext& c) {
  const TensorType& q = c.operand(kPageQueries);
  const TensorType& pages = c.operand(kPageRows);
  if (q.rank() != 4 || pages.rank() != 4 || pages.shape[0] != q.shape[0]) {
    return fail(ErrorCode::invalid_argument,
                "found q of {} and bounds of {}, expected [batch, tokens, heads, size] and [batch, "
                "pages, kv_heads, 2 * size]",
                to_string(q), to_string(pages));
  }
  const Dim& heads = q.shape[2];
  const Dim& kv_heads = pages.shape[2];
  if (!heads.is_number() || !kv_heads.is_number() || kv_heads.number() == 0 ||
      heads.number() % kv_heads.number() != 0) {
    return fail(ErrorCode::invalid_argument,
                "found {} heads in q and {} in bounds, expected a multiple of those in bounds",
                to_string(heads), to_string(kv_heads));
  }
  if (!c.has(kPageWeights)) {
    if (pages.shape[3] != 2 * q.shape[3]) {
      return fail(ErrorCode::invalid_argument, "operand 'bounds': found {}, expected rows of {}",
                  to_string(pages), to_string(2 * q.shape[3]));
    }
  } else if (const TensorType& w = c.operand(kPageWeights);
             w.shape != Shape{heads, q.shape[3], pages.shape[3]}) {
    return fail(ErrorCode::invalid_argument, "operand 'w': found {}, expected shape {}",
                to_string(w), to_string(Shape{heads, q.shape[3], pages.shape[3]}));
  }
  return Types{{Type::f32, {q.shape[0], kv_heads, pages.shape[1]}}};
}

Result<std::vector<Array>> eval_page_scores(const EvalContext& c) {
  const Array& q = c.operand(kPageQueries);
  const Array& pages = c.operand(kPageRows);
  const Array* const w = c.has(kPageWeights) ? &c.operand(kPageWeights) : nullptr;
  Array y = c.make_result(0);
  const int64_t tokens = q.shape[1], heads = q.shape[2], size = q.shape[3];
  const int64_t count = pages.shape[1], kv_heads = pages.shape[2], width = pages.shape[3];
  const int64_t group = heads / kv_heads;
  for (int64_t row = 0; row < q.shape[0] * kv_heads; ++row) {
    const int64_t batch = row / kv_heads, kv_head = row % kv_heads;
    // What a page's row is multiplied by, of all rows of q that share the head.
    std::vector<double> by(static_cast<size_t>(width));
    for (int64_t i = 0; i < tokens * group; ++i) {
      const int64_t head = kv_head * group + i % group;
      const double* const query =
          q.reals.data() + ((batch * tokens + i / group) * heads + head) * size;
      for (int64_t d = 0; d < size; ++d) {
        if (w == nullptr) {
          // Of a negative q the least key is the best, of a positive one the greatest.
          by[static_cast<size_t>(d)] += std::min(query[d], 0.0);
          by[static_cast<size_t>(size + d)] += std::max(query[d], 0.0);
          continue;
        }
        const double* const weights = w->reals.data() + (head * size + d) * width;
        for (int64_t r = 0; r < width; ++r) by[static_cast<size_t>(r)] += query[d] * weights[r];
      }
    }
    for (int64_t p = 0; p < count; ++p) {
      const double* const of_page =
          pages.reals.data() + ((batch * count + p) * kv_heads + kv_head) * width;
      double& sum = y.reals[static_cast<size_t>(row * count + p)];
      for (int64_t r = 0; r < width; ++r) sum += by[static_cast<size_t>(r)] * of_page[r];
    }
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_page_ops(std::vector<Op>& table) {
  table.push_back(
      {.name = "page_bounds",
       .family = Family::attention,
       .doc = "the least of each dimension among the keys of a page, then the greatest: [batch, "
              "pages, heads, 2 * size]",
       .operands = {{"k", TypeClass::real, Arity::required,
                     "[batch, pages, keys of a page, heads, size]"}},
       .attributes = {},
       .results = {{"bounds"}},
       .infer = infer_page_bounds,
       .eval = eval_page_bounds});
  table.push_back(
      {.name = "page_scores",
       .family = Family::attention,
       .doc = "how relevant each page is, f32 [batch, kv_heads, pages]: min(q, 0) · least + max(q, "
              "0) · greatest, which no key of the page exceeds, or (q · w) · code; the sum over "
              "tokens and the heads of q that share a head of k",
       .operands = {{"q", TypeClass::real, Arity::required, "[batch, tokens, heads, size]"},
                    {"bounds", TypeClass::real, Arity::required,
                     "[batch, pages, kv_heads, 2 * size], as page_bounds gives them; with weights "
                     "codes [batch, pages, kv_heads, rank]"},
                    {"w", TypeClass::real, Arity::optional, "[heads, size, rank]"}},
       .attributes = {},
       .results = {{"scores"}},
       .infer = infer_page_scores,
       .eval = eval_page_scores});
  table.push_back(
      {.name = "page_mask",
       .family = Family::attention,
       .doc = "[sequences, heads, 1, keys]: whether the page of a key, key / page, is among those "
              "that are listed for its sequence and head; a mask for attention",
       .operands = {{"pages", TypeClass::index, Arity::required,
                     "[sequences, heads of k, listed]: page numbers, ascending; repeated ones add "
                     "nothing"}},
       .attributes = {{"page", AttributeKind::integer, std::nullopt, "keys of a page"},
                      {"heads", AttributeKind::integer, std::nullopt,
                       "heads of q: a multiple of those of k, whose lists they share"},
                      {"keys", AttributeKind::dims, std::nullopt,
                       "one dimension: the number of keys"}},
       .results = {{"y"}},
       .infer = infer_page_mask,
       .eval = eval_page_mask});
}

}  // namespace lathe::ir::graph
