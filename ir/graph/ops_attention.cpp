// The attention op's signature and shape inference.
#include <cmath>
#include <optional>

#include "ir/graph/attention_sequences.h"
#include "ir/graph/head_layout.h"
#include "ir/graph/op_families.h"

namespace lathe::ir::graph {
namespace {

using Types = std::vector<TensorType>;

Status check_query_key_value(const InferContext& c, const HeadLayout& k_layout) {
  const TensorType& q = c.operand(kQueries);
  const TensorType& k = c.operand(kKeys);
  const TensorType& v = c.operand(kValues);
  Shape expected = k.shape;
  expected.back() = q.shape.back();
  if (q.rank() == 4) expected.front() = q.shape.front();
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
  const Dim& heads = q.shape[head_layout(c.attributes, q.shape.size()).heads];
  const Dim& kv_heads = k.shape[k_layout.heads];
  if (!heads.is_number() || !kv_heads.is_number() || kv_heads.number() == 0 ||
      heads.number() % kv_heads.number() != 0) {
    return fail(ErrorCode::invalid_argument,
                "found {} heads in q and {} in k, expected a multiple of those in k",
                to_string(heads), to_string(kv_heads));
  }
  return {};
}

Status check_operand_shape(std::string_view operand, const TensorType& found,
                           const Shape& expected) {
  if (found.shape == expected) return {};
  return fail(ErrorCode::invalid_argument, "operand '{}': found shape {}, expected {}", operand,
              to_string(found.shape), to_string(expected));
}

// How many sequences there are; nothing where only the size of a named dimension will tell.
Result<std::optional<Dim>> count_sequences(const InferContext& c, const HeadLayout& k_layout) {
  const TensorType& q = c.operand(kQueries);
  const TensorType& k = c.operand(kKeys);
  if (!c.has(kCuSeqlens)) {
    if (c.has(kCuSeqlensK)) {
      return fail(ErrorCode::invalid_argument,
                  "operand 'cu_seqlens_k': found it without 'cu_seqlens', expected both");
    }
    return std::optional(q.rank() == 4 ? q.shape.front() : Dim(1));
  }
  const TensorType& bounds = c.operand(kCuSeqlens);
  if (q.rank() != 3) {
    return fail(ErrorCode::invalid_argument,
                "operand 'cu_seqlens': found it with q of {}, expected packed tokens, rank 3",
                to_string(q));
  }
  if (bounds.rank() != 1 || bounds.shape[0] == Dim(0)) {
    return fail(ErrorCode::invalid_argument,
                "operand 'cu_seqlens': found shape {}, expected [sequences + 1]",
                to_string(bounds.shape));
  }
  std::optional<Dim> sequences;
  if (bounds.shape[0].is_number()) sequences = Dim(bounds.shape[0].number() - 1);
  if (c.has(kCuSeqlensK)) {
    LATHE_CHECK(check_operand_shape("cu_seqlens_k", c.operand(kCuSeqlensK), bounds.shape));
    if (k_layout.batched) {
      return fail(ErrorCode::invalid_argument,
                  "operand 'cu_seqlens_k': found it with k of {}, expected packed keys, rank 3",
                  to_string(k));
    }
  } else if (k_layout.batched) {
    if (sequences && k.shape.front().is_number() && k.shape.front() != *sequences) {
      return fail(ErrorCode::invalid_argument,
                  "operand 'k': found {} sequences, expected {} as cu_seqlens has",
                  to_string(k.shape.front()), to_string(*sequences));
    }
    if (!sequences) sequences = k.shape.front();
  } else if (const Dim& tokens = q.shape[head_layout(c.attributes, 3).tokens];
             k.shape[k_layout.tokens] != tokens) {
    return fail(ErrorCode::invalid_argument,
                "operand 'k': found {} keys, expected {}, the tokens of q, or an operand "
                "'cu_seqlens_k'",
                to_string(k.shape[k_layout.tokens]), to_string(tokens));
  }
  return sequences;
}

// An operand with one number for all sequences, or one for each.
Status check_per_sequence(std::string_view operand, const TensorType& found,
                          const std::optional<Dim>& sequences) {
  const bool one_each = found.rank() == 1 && (!sequences || found.shape[0] == *sequences);
  if (found.rank() == 0 || one_each) return {};
  return fail(ErrorCode::invalid_argument, "operand '{}': found shape {}, expected [] or [{}]",
              operand, to_string(found.shape), sequences ? to_string(*sequences) : "sequences");
}

Status check_attention_attributes(const InferContext& c) {
  const auto in_range = [&](std::string_view name, int64_t least) -> Status {
    const int64_t found = c.attributes.integer(name);
    if (found >= least && found <= kMaxDim) return {};
    return fail(ErrorCode::invalid_argument, "{}: found {}, expected {} to {}", name, found, least,
                kMaxDim);
  };
  LATHE_CHECK(in_range("window", 0));
  LATHE_CHECK(in_range("lookahead", -1));
  LATHE_CHECK(in_range("kept_keys", 0));
  if (c.attributes.integer("kept_keys") > 0 && c.attributes.integer("window") == 0) {
    return fail(ErrorCode::invalid_argument,
                "kept_keys: found {} without a window that would hide them, expected 0",
                c.attributes.integer("kept_keys"));
  }
  if (const double cap = c.attributes.real("softcap"); !(cap >= 0 && std::isfinite(cap))) {
    return fail(ErrorCode::invalid_argument,
                "softcap: found {}, expected a finite number, 0 or more", cap);
  }
  if (c.has(kOffset) && c.attributes.word("causal") == "end") {
    return fail(ErrorCode::invalid_argument,
                "operand 'offset': found it with causal = end, which says where tokens stand; "
                "expected start or none");
  }
  return {};
}

Result<Types> infer_attention(const InferContext& c) {
  const TensorType& q = c.operand(kQueries);
  const TensorType& k = c.operand(kKeys);
  const TensorType& v = c.operand(kValues);
  const bool packed_queries = c.has(kCuSeqlens) && q.rank() == 3 && k.rank() == 4;
  if ((q.rank() != 3 && q.rank() != 4) || (k.rank() != q.rank() && !packed_queries) ||
      v.rank() != k.rank()) {
    return fail(ErrorCode::invalid_argument,
                "found {}, {} and {}, expected q, k and v of rank 3, or 4 with a leading batch",
                to_string(q), to_string(k), to_string(v));
  }
  const HeadLayout layout = head_layout(c.attributes, q.shape.size());
  const HeadLayout k_layout = head_layout(c.attributes, k.shape.size());
  LATHE_CHECK(check_query_key_value(c, k_layout));
  LATHE_TRY(const auto sequences, count_sequences(c, k_layout));
  const Dim& heads = q.shape[layout.heads];

  Shape scores{heads, q.shape[layout.tokens], k.shape[k_layout.tokens]};
  if (layout.batched) scores.insert(scores.begin(), q.shape.front());
  if (c.has(kMask)) {
    const TensorType& mask = c.operand(kMask);
    if (!contains(TypeClass::real, mask.element) && mask.element != Type::boolean) {
      return fail(ErrorCode::invalid_argument, "operand 'mask': found {}, expected bool or {}",
                  to_string(mask), to_string(TypeClass::real));
    }
    LATHE_CHECK(check_broadcasts_to("operand 'mask'", mask.shape, scores));
  }
  if (c.has(kLengths)) LATHE_CHECK(check_per_sequence("lengths", c.operand(kLengths), sequences));
  if (c.has(kOffset)) LATHE_CHECK(check_per_sequence("offset", c.operand(kOffset), sequences));
  if (c.has(kSinks)) LATHE_CHECK(check_operand_shape("sinks", c.operand(kSinks), {heads}));
  LATHE_CHECK(check_attention_attributes(c));

  TensorType y = q;
  y.shape.back() = v.shape.back();
  TensorType log_sum_exp{Type::f32, Shape(q.shape.begin(), q.shape.end() - 1)};
  return Types{std::move(y), std::move(log_sum_exp), {q.element, std::move(scores)}};
}

}  // namespace

void add_attention_ops(std::vector<Op>& table) {
  const AttributeSpec causal{"causal",
                             AttributeKind::word,
                             AttributeValue("none"),
                             "start or end: no token sees a key after the one it stands at, which "
                             "start counts from the first key and end from the last valid one, "
                             "where the last token stands",
                             {"none", "start", "end"}};
  const AttributeSpec scores{"scores",
                             AttributeKind::word,
                             AttributeValue("masked"),
                             "the result of that name: products after scale, after softcap, "
                             "after mask (-inf for hidden keys), or the softmax's weights",
                             {"scaled", "capped", "masked", "softmax"}};
  table.push_back(
      {.name = "attention",
       .family = Family::attention,
       .doc = "softmax(softcap(q · kᵀ * scale) + mask) · v for each head; head h of q reads head h "
              "/ (heads / kv_heads) of k and v; hidden keys are not read, and a row that sees no "
              "key, or only scores of -inf, is 0",
       .operands =
           {{"q", TypeClass::real},
            {"k", TypeClass::real},
            {"v", TypeClass::real},
            {"mask", TypeClass::plain, Arity::optional,
             "broadcasts to [batch, heads, tokens, keys], without the batch at rank 3; false or "
             "-inf hides a key, other numbers are added"},
            {"cu_seqlens", TypeClass::index, Arity::optional,
             "[sequences + 1], from 0 to the tokens: bounds of the sequences that are packed in "
             "tokens of rank 3"},
            {"cu_seqlens_k", TypeClass::index, Arity::optional,
             "the same for keys of rank 3; without it they have the bounds of the tokens; keys of "
             "rank 4 have a row for each sequence"},
            {"lengths", TypeClass::index, Arity::optional,
             "[] or [sequences]: valid keys of each sequence, from its first; without it all are"},
            {"offset", TypeClass::index, Arity::optional,
             "[] or [sequences]: token t of a sequence stands at its key t + offset, which need "
             "not "
             "be there; without it t, with causal = end t + keys - tokens"},
            {"sinks", TypeClass::real, Arity::optional,
             "[heads]: a logit that joins the softmax of each row of its head, and has no value"}},
       .attributes =
           {causal,
            {"window", AttributeKind::integer, AttributeValue(0),
             "a token that stands at key p sees those after p - window; 0: all before it"},
            {"lookahead", AttributeKind::integer, AttributeValue(-1),
             "a token that stands at key p sees those up to p + lookahead, none after p if causal; "
             "-1: all after it"},
            {"kept_keys", AttributeKind::integer, AttributeValue(0),
             "first keys of a sequence that the window does not hide"},
            {"softcap", AttributeKind::real, AttributeValue(0.0),
             "c * tanh(score / c) before the mask; 0: none"},
            scores,
            {"scale", AttributeKind::real, AttributeValue(0.0), "0: 1 / sqrt(size of a head)"},
            head_layout_attribute()},
       .results =
           {{"y"},
            {"log_sum_exp", true,
             "shape of y without its last dimension, f32: log of the softmax's denominator, "
             "-inf for a row without keys and sink"},
            {"scores", true,
             "[batch, heads, tokens, keys], without the batch at rank 3: as the attribute says; "
             "between different sequences -inf, or weights of 0"}},
       .infer = infer_attention,
       .eval = eval_attention});
}

}  // namespace lathe::ir::graph
