// Ops that choose by scores: lists of blocks for block_mask, lists of pages for page_mask.
#include <algorithm>
#include <cmath>
#include <optional>

#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Status check_integer(const InferContext& c, std::string_view name, int64_t least, int64_t most) {
  const int64_t found = c.attributes.integer(name);
  if (found >= least && found <= most) return {};
  return fail(ErrorCode::invalid_argument, "{}: found {}, expected {} to {}", name, found, least,
              most);
}

// So long may a list be, and a page.
constexpr int64_t kMostListed = int64_t{1} << 30;

// The blocks of keys that one block of tokens may see, and those that it keeps whatever their
// scores: the first ones, and the last ones up to the block of the key at which its last token
// stands, those of its other tokens among them.
class KeptBlocks {
 public:
  KeptBlocks(const Attributes& attributes, int64_t tokens, int64_t keys, int64_t query_block)
      : sinks_(attributes.integer("sinks")) {
    const int64_t block = attributes.integer("block");
    const std::string& causal = attributes.word("causal");
    const int64_t shift = causal == "end" ? keys - tokens : 0;
    // Of a token that stands before the first key -1, behind the last the last.
    const auto block_of = [&](int64_t token) {
      const int64_t key = std::min(token + shift, keys - 1);
      return key < 0 ? -1 : key / block;
    };
    const int64_t first = query_block * block;
    last_ = block_of(std::min(first + block, tokens) - 1);
    local_ = std::min(block_of(first), last_ - attributes.integer("local") + 1);
    end_ = causal == "none" ? (keys + block - 1) / block : last_ + 1;
  }

  int64_t visible() const { return end_; }
  bool is_kept(int64_t block) const {
    return block < sinks_ || (block >= local_ && block <= last_);
  }

 private:
  int64_t sinks_, local_ = 0, last_ = 0, end_ = 0;
};

int64_t blocks_that_make(int64_t count, int64_t block) {
  return count / block + (count % block > 0 ? 1 : 0);
}

Status check_block_numbers(const InferContext& c) {
  LATHE_CHECK(check_integer(c, "block", 1, kMaxDim));
  LATHE_CHECK(check_integer(c, "kept", 1, kMostListed));
  LATHE_CHECK(check_integer(c, "sinks", 0, kMostListed));
  LATHE_CHECK(check_integer(c, "local", 1, kMostListed));
  if (const double least = c.attributes.real("threshold"); !(least >= 0 && least <= 1))
    return fail(ErrorCode::invalid_argument, "threshold: found {}, expected 0 to 1", least);
  return {};
}

Result<Types> infer_select_blocks(const InferContext& c) {
  const TensorType& scores = c.operand(0);
  LATHE_CHECK(check_block_numbers(c));
  const Shape& tokens = c.attributes.dims("tokens");
  const Shape& keys = c.attributes.dims("keys");
  if (scores.rank() != 4 || tokens.size() != 1 || keys.size() != 1) {
    return fail(
        ErrorCode::invalid_argument,
        "found scores of shape {}, tokens {} and keys {}, expected [batch, kv_heads, blocks "
        "of tokens, blocks of keys] and one dimension of tokens and of keys",
        to_string(scores.shape), to_string(tokens), to_string(keys));
  }
  const int64_t block = c.attributes.integer("block");
  const auto check_count = [&](std::string_view of, const Dim& count, const Dim& blocks) -> Status {
    if (!count.is_number() || !blocks.is_number() ||
        blocks.number() == blocks_that_make(count.number(), block))
      return {};
    return fail(ErrorCode::invalid_argument,
                "operand 'scores': found {} blocks of {}, expected {}, as {} make", blocks.number(),
                of, blocks_that_make(count.number(), block), count.number());
  };
  LATHE_CHECK(check_count("tokens", tokens.front(), scores.shape[2]));
  LATHE_CHECK(check_count("keys", keys.front(), scores.shape[3]));
  const Shape counts(scores.shape.begin(), scores.shape.end() - 1);
  Shape blocks = counts;
  blocks.emplace_back(c.attributes.integer("kept"));
  return Types{{Type::i32, counts}, {Type::i32, std::move(blocks)}};
}

// The chosen ones, ascending: those that are kept always, then the others from the highest score
// on, of equal ones the first. Nothing where there is no room for those that are kept always.
std::optional<std::vector<int64_t>> chosen_blocks(const double* scores, const KeptBlocks& rule,
                                                  const Attributes& attributes) {
  const double threshold = attributes.real("threshold");
  const int64_t visible = rule.visible();
  const double largest = visible > 0 ? *std::max_element(scores, scores + visible) : 0;
  const auto relative = [&](int64_t block) {
    return scores[block] == largest ? 1.0 : std::exp(scores[block] - largest);
  };
  double sum = 0;
  for (int64_t j = 0; j < visible; ++j) sum += relative(j);
  std::vector<int64_t> chosen, others;
  for (int64_t j = 0; j < visible; ++j) {
    if (rule.is_kept(j)) {
      chosen.push_back(j);
    } else if (threshold == 0 || relative(j) >= threshold * (std::isfinite(largest) ? sum : 1)) {
      others.push_back(j);
    }
  }
  std::stable_sort(others.begin(), others.end(),
                   [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  const auto room = static_cast<size_t>(attributes.integer("kept"));
  if (chosen.size() > room) return std::nullopt;
  others.resize(std::min(others.size(), room - chosen.size()));
  chosen.insert(chosen.end(), others.begin(), others.end());
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

Result<std::vector<Array>> eval_select_blocks(const EvalContext& c) {
  const Array& scores = c.operand(0);
  const int64_t heads = scores.shape[1], rows = scores.shape[2], columns = scores.shape[3];
  const int64_t tokens = c.attributes.dims("tokens").front().number();
  const int64_t keys = c.attributes.dims("keys").front().number();
  const auto room = static_cast<size_t>(c.attributes.integer("kept"));
  for (size_t i = 0; i < scores.reals.size(); ++i) {
    if (!std::isnan(scores.reals[i])) continue;
    const auto at = static_cast<int64_t>(i);
    return fail(ErrorCode::invalid_argument,
                "scores[{}, {}, {}, {}]: found NaN, expected numbers to choose by",
                at / columns / rows / heads, at / columns / rows % heads, at / columns % rows,
                at % columns);
  }
  Array counts = c.make_result(0), blocks = c.make_result(1);
  for (int64_t row = 0; row < counts.elements(); ++row) {
    const KeptBlocks rule(c.attributes, tokens, keys, row % rows);
    const auto chosen = chosen_blocks(scores.reals.data() + row * columns, rule, c.attributes);
    if (!chosen) {
      return fail(ErrorCode::invalid_argument,
                  "kept: found {}, expected room for what block of tokens {} keeps always ({} "
                  "sinks, {} local ones, its diagonal)",
                  room, row % rows, c.attributes.integer("sinks"), c.attributes.integer("local"));
    }
    counts.integers[static_cast<size_t>(row)] = static_cast<int64_t>(chosen->size());
    for (size_t i = 0; i < room && !chosen->empty(); ++i)
      blocks.integers[static_cast<size_t>(row) * room + i] =
          (*chosen)[std::min(i, chosen->size() - 1)];
  }
  return std::vector<Array>{std::move(counts), std::move(blocks)};
}

Result<Types> infer_select_pages(const InferContext& c) {
  const TensorType& scores = c.operand(0);
  LATHE_CHECK(check_integer(c, "page", 1, kMostListed));
  LATHE_CHECK(check_integer(c, "kept", 1, kMostListed));
  const int64_t kept = c.attributes.integer("kept");
  LATHE_CHECK(check_integer(c, "local", 1, kept));
  LATHE_CHECK(check_integer(c, "sinks", 0, kept - c.attributes.integer("local")));
  if (scores.rank() != 3) {
    return fail(ErrorCode::invalid_argument,
                "operand 'scores': found shape {}, expected [batch, kv_heads, pages]",
                to_string(scores.shape));
  }
  if (c.has(1) && c.operand(1).shape != Shape{scores.shape[0]}) {
    return fail(ErrorCode::invalid_argument, "operand 'lengths': found shape {}, expected [{}]",
                to_string(c.operand(1).shape), to_string(scores.shape[0]));
  }
  return Types{{Type::i32, {scores.shape[0], scores.shape[1], Dim(kept)}}};
}

Result<std::vector<Array>> eval_select_pages(const EvalContext& c) {
  const Array& scores = c.operand(0);
  const int64_t heads = scores.shape[1], all = scores.shape[2];
  const int64_t page = c.attributes.integer("page"), kept = c.attributes.integer("kept");
  const int64_t sinks = c.attributes.integer("sinks"), local = c.attributes.integer("local");
  Array list = c.make_result(0);
  for (int64_t row = 0; row < scores.shape[0] * heads; ++row) {
    int64_t pages = all;
    if (c.has(1)) {
      const int64_t length = c.operand(1).integers[static_cast<size_t>(row / heads)];
      pages = blocks_that_make(length, page);
      if (length < 0 || pages > all) {
        return fail(ErrorCode::invalid_argument,
                    "lengths[{}]: found {}, expected 0 to {}, the keys of {} pages", row / heads,
                    length, all * page, all);
      }
    }
    const double* const of_row = scores.reals.data() + row * all;
    int64_t* const to = list.integers.data() + row * kept;
    if (pages <= kept) {  // all of them, the last as often as there is room
      for (int64_t i = 0; i < kept; ++i) to[i] = std::min(i, std::max<int64_t>(pages - 1, 0));
      continue;
    }
    std::vector<int64_t> judged;
    for (int64_t p = sinks; p < pages - local; ++p) {
      judged.push_back(p);
      if (!std::isnan(of_row[p])) continue;
      return fail(ErrorCode::invalid_argument,
                  "scores[{}, {}, {}]: found NaN, expected numbers to choose by", row / heads,
                  row % heads, p);
    }
    std::stable_sort(judged.begin(), judged.end(),
                     [&](int64_t a, int64_t b) { return of_row[a] > of_row[b]; });
    judged.resize(static_cast<size_t>(kept - sinks - local));
    for (int64_t p = 0; p < sinks; ++p) judged.push_back(p);
    for (int64_t p = pages - local; p < pages; ++p) judged.push_back(p);
    std::sort(judged.begin(), judged.end());
    std::copy(judged.begin(), judged.end(), to);
  }
  return std::vector<Array>{std::move(list)};
}

}  // namespace

void add_selection_ops(std::vector<Op>& table) {
  const AttributeSpec sinks{"sinks", AttributeKind::integer, AttributeValue(1),
                            "the first ones, which are kept whatever their scores"};
  table.push_back(
      {.name = "select_blocks",
       .family = Family::attention,
       .doc = "for each block of tokens the blocks of keys that it sees, i32: how many, and their "
              "numbers, ascending; those that are kept always, then those of the highest scores, "
              "of equal ones the first",
       .operands = {{"scores", TypeClass::real, Arity::required,
                     "[batch, kv_heads, blocks of tokens, blocks of keys], as block_scores gives "
                     "them; a NaN is an error"}},
       .attributes =
           {{"block", AttributeKind::integer, std::nullopt, "tokens of a block, and keys of one"},
            {"tokens", AttributeKind::dims, std::nullopt, "one dimension: the number of tokens"},
            {"keys", AttributeKind::dims, std::nullopt, "one dimension: the number of keys"},
            {"kept", AttributeKind::integer, std::nullopt,
             "blocks of a list at most: its room, which repeats the last block"},
            {"causal",
             AttributeKind::word,
             AttributeValue("none"),
             "as of attention: no block behind that of the key at which the last token stands",
             {"none", "start", "end"}},
            {"threshold", AttributeKind::real, AttributeValue(0.0),
             "the least share of the softmax over the scores that a block of tokens may see; 0: "
             "any"},
            sinks,
            {"local", AttributeKind::integer, AttributeValue(1),
             "the last ones up to the diagonal, which are kept as the diagonal is: the blocks of "
             "the keys at which tokens stand"}},
       .results = {{"counts", false, "[batch, kv_heads, blocks of tokens]"},
                   {"blocks", false, "[batch, kv_heads, blocks of tokens, kept]"}},
       .infer = infer_select_blocks,
       .eval = eval_select_blocks});
  table.push_back(
      {.name = "select_pages",
       .family = Family::attention,
       .doc = "the pages of the greatest scores, ascending, i32 [batch, kv_heads, kept]; of equal "
              "ones the first; of fewer pages all, and the last again",
       .operands = {{"scores", TypeClass::real, Arity::required,
                     "[batch, kv_heads, pages], as page_scores gives them; a NaN among those that "
                     "are judged is an error"},
                    {"lengths", TypeClass::index, Arity::optional,
                     "[batch]: keys of each sequence; without it page * pages of each"}},
       .attributes = {{"page", AttributeKind::integer, std::nullopt, "keys of a page"},
                      {"kept", AttributeKind::integer, std::nullopt, "pages of a list"},
                      sinks,
                      {"local", AttributeKind::integer, AttributeValue(1),
                       "the last pages of a sequence, which are kept whatever their scores: those "
                       "that are still being filled"}},
       .results = {{"pages"}},
       .infer = infer_select_pages,
       .eval = eval_select_pages});
}

}  // namespace lathe::ir::graph
