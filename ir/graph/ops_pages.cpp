// Data ops on lists of pages of keys.
#include <algorithm>

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
  for (int64_t row = 0; row < y.shape[0] * heads; ++row) {
    for (int64_t i = 0; i < listed; ++i) {
      const size_t at = static_cast<size_t>(row / group * listed + i);
      const int64_t number = pages.integers[at];
      if (number < 0) {
        return fail(ErrorCode::invalid_argument, "pages[{}, {}, {}]: found {}, expected 0 or more",
                    row / heads, row % heads / group, i, number);
      }
      // One that lies behind the keys has none; so large a number's first key is not computed.
      if (number > (keys - 1) / page) continue;
      const int64_t end = std::min(keys, (number + 1) * page);
      for (int64_t key = number * page; key < end; ++key)
        y.integers[static_cast<size_t>(row * keys + key)] = 1;
    }
  }
  return std::vector<Array>{std::move(y)};
}

}  // namespace

void add_page_ops(std::vector<Op>& table) {
  table.push_back(
      {.name = "page_mask",
       .family = Family::data,
       .doc = "[sequences, heads, 1, keys]: whether the page of a key, key / page, is among those "
              "that are listed for its sequence and head; a mask for attention",
       .operands = {{"pages", TypeClass::index, Arity::required,
                     "[sequences, heads of k, listed]: page numbers in any order; those behind the "
                     "keys, and repeated ones, add nothing"}},
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
