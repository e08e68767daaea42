// The attention op: scaled dot product over grouped heads, causal or masked.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>

#include "ir/graph/head_layout.h"
#include "ir/graph/op_families.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Result<Types> infer_attention(const InferContext& c) {
  const TensorType& q = c.operand(0);
  const TensorType& k = c.operand(1);
  const TensorType& v = c.operand(2);
  if ((q.rank() != 3 && q.rank() != 4) || k.rank() != q.rank() || v.rank() != q.rank()) {
    return fail(ErrorCode::invalid_argument,
                "found {}, {} and {}, expected q, k and v of rank 3, or 4 with a leading batch",
                to_string(q), to_string(k), to_string(v));
  }
  const HeadLayout layout = head_layout(c.attributes, q.shape.size());
  Shape expected = q.shape;
  expected[layout.tokens] = k.shape[layout.tokens];
  expected[layout.heads] = k.shape[layout.heads];
  if (k.shape != expected) {
    return fail(ErrorCode::invalid_argument,
                "operand 'k': found shape {}, expected that of q, {}, but for tokens and heads",
                to_string(k.shape), to_string(q.shape));
  }
  expected.back() = v.shape.back();
  if (v.shape != expected) {
    return fail(ErrorCode::invalid_argument,
                "operand 'v': found shape {}, expected that of k, {}, but for the last dimension",
                to_string(v.shape), to_string(k.shape));
  }
  const Dim& heads = q.shape[layout.heads];
  const Dim& kv_heads = k.shape[layout.heads];
  if (!heads.is_number() || !kv_heads.is_number() || kv_heads.number() == 0 ||
      heads.number() % kv_heads.number() != 0) {
    return fail(ErrorCode::invalid_argument,
                "found {} heads in q and {} in k, expected a multiple of those in k",
                to_string(heads), to_string(kv_heads));
  }
  if (c.has(3)) {
    if (!contains(TypeClass::real, c.operand(3).element) && c.operand(3).element != Type::boolean) {
      return fail(ErrorCode::invalid_argument, "operand 'mask': found {}, expected bool or {}",
                  to_string(c.operand(3)), to_string(TypeClass::real));
    }
    Shape scores{heads, q.shape[layout.tokens], k.shape[layout.tokens]};
    if (layout.batched) scores.insert(scores.begin(), q.shape.front());
    LATHE_CHECK(check_broadcasts_to("operand 'mask'", c.operand(3).shape, scores));
  }
  TensorType y = q;
  y.shape.back() = v.shape.back();
  return Types{y};
}

// Rows (one head of one token) of an operand or the result.
class Rows {
 public:
  Rows(const Array& x, const HeadLayout& layout)
      : layout_(layout), strides_(row_major_strides(x.shape)) {}
  /// Offset of a row's first element.
  size_t at(size_t batch, size_t head, size_t token) const {
    const size_t outer = layout_.batched ? batch * stride(0) : 0;
    return outer + head * stride(layout_.heads) + token * stride(layout_.tokens);
  }

 private:
  size_t stride(size_t i) const { return static_cast<size_t>(strides_[i]); }
  HeadLayout layout_;
  std::vector<int64_t> strides_;
};

// What the mask adds to a score; nothing where the key is masked.
std::optional<double> mask_term(const Array& mask, size_t offset) {
  if (mask.type == Type::boolean) {
    return mask.integers[offset] != 0 ? std::optional(0.0) : std::nullopt;
  }
  const double term = mask.reals[offset];
  return term == -std::numeric_limits<double>::infinity() ? std::nullopt : std::optional(term);
}

struct Score {
  size_t token;
  double value;
};

// Softmax over the keys that are not masked; they alone are read.
void softmax(std::vector<Score>& scores) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const Score& score : scores) {
    if (score.value > largest || std::isnan(score.value)) largest = score.value;
  }
  double sum = 0;
  for (Score& score : scores) {
    score.value = std::exp(score.value - largest);
    sum += score.value;
  }
  for (Score& score : scores) score.value /= sum;
}

// One evaluation, row by row.
class Attention {
 public:
  explicit Attention(const EvalContext& c)
      : c_(c),
        layout_(head_layout(c.attributes, c.operand(0).shape.size())),
        batch_(layout_.batched ? extent(0, 0) : 1),
        heads_(extent(0, layout_.heads)),
        group_(heads_ / extent(1, layout_.heads)),
        tokens_(extent(0, layout_.tokens)),
        keys_(extent(1, layout_.tokens)),
        size_(extent(0, c.operand(0).shape.size() - 1)),
        causal_(c.attributes.word("causal")),
        scale_(c.attributes.real("scale")),
        q_rows_(c.operand(0), layout_),
        k_rows_(c.operand(1), layout_),
        v_rows_(c.operand(2), layout_) {
    if (scale_ == 0) scale_ = 1.0 / std::sqrt(static_cast<double>(size_));
    if (c.has(3)) {
      const size_t scores[] = {batch_, heads_, tokens_, keys_};
      mask_strides_ = broadcast_strides(c.operand(3).shape,
                                        std::vector<int64_t>(std::begin(scores), std::end(scores)));
    }
  }

  Array run() const {
    Array y = c_.make_result(0);
    const Rows y_rows(y, layout_);
    const size_t width = extent(2, c_.operand(2).shape.size() - 1);
    for (size_t b = 0; b < batch_; ++b) {
      for (size_t h = 0; h < heads_; ++h) {
        for (size_t t = 0; t < tokens_; ++t) {
          auto scores = visible_scores(b, h, t);
          softmax(scores);
          double* row = y.reals.data() + y_rows.at(b, h, t);  // stays 0 where every key is masked
          for (const Score& score : scores) {
            const double* value =
                c_.operand(2).reals.data() + v_rows_.at(b, h / group_, score.token);
            for (size_t i = 0; i < width; ++i) row[i] += score.value * value[i];
          }
        }
      }
    }
    return y;
  }

 private:
  size_t extent(size_t operand, size_t dim) const {
    return static_cast<size_t>(c_.operand(operand).shape[dim]);
  }

  // How many keys, from the first, causality lets token t see.
  size_t visible_keys(size_t t) const {
    if (causal_ == "none") return keys_;
    if (causal_ == "start") return std::min(t + 1, keys_);
    return t + keys_ + 1 > tokens_ ? std::min(t + keys_ + 1 - tokens_, keys_) : 0;
  }

  std::vector<Score> visible_scores(size_t b, size_t h, size_t t) const {
    std::vector<Score> scores;
    const double* q = c_.operand(0).reals.data() + q_rows_.at(b, h, t);
    for (size_t j = 0; j < visible_keys(t); ++j) {
      const std::optional<double> term =
          c_.has(3) ? mask_term(c_.operand(3), mask_offset(b, h, t, j)) : std::optional(0.0);
      if (!term) continue;
      const double* k = c_.operand(1).reals.data() + k_rows_.at(b, h / group_, j);
      scores.push_back({j, std::inner_product(q, q + size_, k, 0.0) * scale_ + *term});
    }
    return scores;
  }

  size_t mask_offset(size_t b, size_t h, size_t t, size_t j) const {
    const size_t index[] = {b, h, t, j};
    size_t offset = 0;
    for (size_t i = 0; i < 4; ++i) offset += index[i] * static_cast<size_t>(mask_strides_[i]);
    return offset;
  }

  const EvalContext& c_;
  HeadLayout layout_;
  size_t batch_, heads_, group_, tokens_, keys_, size_;
  const std::string& causal_;
  double scale_;
  Rows q_rows_, k_rows_, v_rows_;
  std::vector<int64_t> mask_strides_;
};

Result<std::vector<Array>> eval_attention(const EvalContext& c) {
  return std::vector<Array>{Attention(c).run()};
}

}  // namespace

void add_attention_ops(std::vector<Op>& table) {
  table.push_back({.name = "attention",
                   .family = Family::attention,
                   .doc = "softmax(q · kᵀ * scale + mask) · v for each head; head h of q reads "
                          "head h / (heads / kv_heads) of k and "
                          "v; a false or -inf mask hides a key, and a row that sees no key is 0",
                   .operands = {{"q", TypeClass::real},
                                {"k", TypeClass::real},
                                {"v", TypeClass::real},
                                {"mask", TypeClass::plain, Arity::optional}},
                   .attributes = {{"causal",
                                   AttributeKind::word,
                                   AttributeValue("none"),
                                   "start: token t sees keys up to t; end: up to t + keys - "
                                   "tokens, as with a cache of earlier keys",
                                   {"none", "start", "end"}},
                                  {"scale", AttributeKind::real, AttributeValue(0.0),
                                   "0: 1 / sqrt(size of a head)"},
                                  head_layout_attribute()},
                   .results = {{"y"}},
                   .infer = infer_attention,
                   .eval = eval_attention});
}

}  // namespace lathe::ir::graph
