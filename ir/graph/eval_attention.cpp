// Attention in double precision, row by row: which keys a token sees, their scores, their softmax.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>

#include "ir/graph/attention_sequences.h"
#include "ir/graph/head_layout.h"
#include "ir/graph/strides.h"

namespace lathe::ir::graph {
namespace {

constexpr double kNegativeInfinity = -std::numeric_limits<double>::infinity();

// Where the rows (one head of one token) of an operand or a result begin.
class Rows {
 public:
  Rows(const std::vector<int64_t>& shape, const HeadLayout& layout)
      : layout_(layout), strides_(row_major_strides(shape)) {}
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
  return term == kNegativeInfinity ? std::nullopt : std::optional(term);
}

struct Score {
  size_t key;    // counted in the dimension of k
  double value;  // of the score, then of its weight
};

// Turns the scores of the keys that a row sees into weights; returns the logarithm of the sum of
// their exponentials, the sink's (-inf: none) among them. Where every score is -inf, no key is
// left.
double softmax_with_sink(std::vector<Score>& scores, double sink) {
  double largest = sink;
  for (const Score& score : scores) {
    if (score.value > largest || std::isnan(score.value)) largest = score.value;
  }
  if (largest == kNegativeInfinity) {
    scores.clear();
    return largest;
  }
  double sum = std::exp(sink - largest);
  for (Score& score : scores) {
    score.value = std::exp(score.value - largest);
    sum += score.value;
  }
  for (Score& score : scores) score.value /= sum;
  return std::isinf(largest) ? largest : largest + std::log(sum);
}

// Which scores the third result holds.
enum class Stage { scaled, capped, masked, softmax };

Stage stage_of(const std::string& word) {
  if (word == "scaled") return Stage::scaled;
  if (word == "capped") return Stage::capped;
  return word == "masked" ? Stage::masked : Stage::softmax;
}

// One row of the result: a head of a token of a sequence.
struct Row {
  const AttentionSequence& sequence;
  size_t head;
  size_t token;  // counted in the dimension of q
};

class Attention {
 public:
  explicit Attention(const EvalContext& c)
      : c_(c),
        q_layout_(head_layout(c.attributes, c.operand(kQueries).shape.size())),
        k_layout_(head_layout(c.attributes, c.operand(kKeys).shape.size())),
        heads_(extent(kQueries, q_layout_.heads)),
        group_(heads_ / extent(kKeys, k_layout_.heads)),
        tokens_(extent(kQueries, q_layout_.tokens)),
        keys_(extent(kKeys, k_layout_.tokens)),
        size_(static_cast<size_t>(c.operand(kQueries).shape.back())),
        width_(static_cast<size_t>(c.operand(kValues).shape.back())),
        causal_(c.attributes.word("causal") != "none"),
        window_(c.attributes.integer("window")),
        lookahead_(c.attributes.integer("lookahead")),
        kept_keys_(c.attributes.integer("kept_keys")),
        scale_(c.attributes.real("scale")),
        softcap_(c.attributes.real("softcap")),
        stage_(stage_of(c.attributes.word("scores"))),
        q_rows_(c.operand(kQueries).shape, q_layout_),
        k_rows_(c.operand(kKeys).shape, k_layout_),
        v_rows_(c.operand(kValues).shape, k_layout_) {
    if (scale_ == 0) scale_ = 1.0 / std::sqrt(static_cast<double>(size_));
    if (c.has(kMask)) {
      const size_t scores[] = {q_layout_.batched ? extent(kQueries, 0) : 1, heads_, tokens_, keys_};
      mask_strides_ = broadcast_strides(c.operand(kMask).shape,
                                        std::vector<int64_t>(std::begin(scores), std::end(scores)));
    }
  }

  std::vector<Array> run(const std::vector<AttentionSequence>& sequences) const {
    std::vector<Array> results;
    for (size_t i = 0; i < c_.results.size(); ++i) results.push_back(c_.make_result(i));
    if (results.size() > 2 && stage_ != Stage::softmax) {
      std::fill(results[2].reals.begin(), results[2].reals.end(), kNegativeInfinity);
    }
    for (const AttentionSequence& sequence : sequences) {
      for (size_t head = 0; head < heads_; ++head) {
        for (size_t t = 0; t < sequence.tokens; ++t) {
          compute({sequence, head, sequence.first_token + t}, results);
        }
      }
    }
    return results;
  }

 private:
  size_t extent(size_t operand, size_t dim) const {
    return static_cast<size_t>(c_.operand(operand).shape[dim]);
  }

  void compute(const Row& row, std::vector<Array>& results) const {
    const size_t batch = row.sequence.q_batch;
    const double sink = c_.has(kSinks) ? c_.operand(kSinks).reals[row.head] : kNegativeInfinity;
    std::vector<Score> scores = visible_scores(row);
    if (results.size() > 2) {
      if (stage_ == Stage::masked) write_scores(row, scores, results[2]);
      if (stage_ == Stage::scaled || stage_ == Stage::capped) {
        write_scores(row, all_scores(row), results[2]);
      }
    }
    const double log_sum_exp = softmax_with_sink(scores, sink);
    if (results.size() > 2 && stage_ == Stage::softmax) write_scores(row, scores, results[2]);
    if (results.size() > 1) {
      const Rows rows(results[1].shape, q_layout_);
      results[1].reals[rows.at(batch, row.head, row.token)] = log_sum_exp;
    }
    const Rows rows(results[0].shape, q_layout_);
    double* y = results[0].reals.data() + rows.at(batch, row.head, row.token);  // 0 without keys
    for (const Score& score : scores) {
      const double* value = c_.operand(kValues).reals.data() +
                            v_rows_.at(row.sequence.k_batch, row.head / group_, score.key);
      for (size_t i = 0; i < width_; ++i) y[i] += score.value * value[i];
    }
  }

  // Whether causality and window let a token at `position` see `key`; both count in the sequence.
  bool sees(int64_t position, int64_t key) const {
    if (causal_ && key > position) return false;
    if (lookahead_ >= 0 && key > position + lookahead_) return false;
    return window_ == 0 || key > position - window_ || key < kept_keys_;
  }

  double scaled_score(const Row& row, size_t key) const {
    const double* q =
        c_.operand(kQueries).reals.data() + q_rows_.at(row.sequence.q_batch, row.head, row.token);
    const double* k =
        c_.operand(kKeys).reals.data() + k_rows_.at(row.sequence.k_batch, row.head / group_, key);
    return std::inner_product(q, q + size_, k, 0.0) * scale_;
  }

  double capped(double score) const {
    return softcap_ > 0 ? softcap_ * std::tanh(score / softcap_) : score;
  }

  // Hidden keys are not read.
  std::vector<Score> visible_scores(const Row& row) const {
    const AttentionSequence& sequence = row.sequence;
    const int64_t position =
        sequence.offset + static_cast<int64_t>(row.token - sequence.first_token);
    std::vector<Score> scores;
    for (size_t j = 0; j < sequence.keys; ++j) {
      if (!sees(position, static_cast<int64_t>(j))) continue;
      const size_t key = sequence.first_key + j;
      const std::optional<double> term =
          c_.has(kMask) ? mask_term(c_.operand(kMask), mask_offset(row, key)) : std::optional(0.0);
      if (term) scores.push_back({key, capped(scaled_score(row, key)) + *term});
    }
    return scores;
  }

  // Of every key that the sequence holds, hidden or not, before the mask.
  std::vector<Score> all_scores(const Row& row) const {
    std::vector<Score> scores;
    for (size_t j = 0; j < row.sequence.held; ++j) {
      const size_t key = row.sequence.first_key + j;
      const double score = scaled_score(row, key);
      scores.push_back({key, stage_ == Stage::capped ? capped(score) : score});
    }
    return scores;
  }

  void write_scores(const Row& row, const std::vector<Score>& scores, Array& result) const {
    const size_t first = ((row.sequence.q_batch * heads_ + row.head) * tokens_ + row.token) * keys_;
    for (const Score& score : scores) result.reals[first + score.key] = score.value;
  }

  size_t mask_offset(const Row& row, size_t key) const {
    const size_t index[] = {row.sequence.q_batch, row.head, row.token, key};
    size_t offset = 0;
    for (size_t i = 0; i < 4; ++i) offset += index[i] * static_cast<size_t>(mask_strides_[i]);
    return offset;
  }

  const EvalContext& c_;
  HeadLayout q_layout_, k_layout_;
  size_t heads_, group_, tokens_, keys_, size_, width_;
  bool causal_;
  int64_t window_, lookahead_, kept_keys_;
  double scale_, softcap_;
  Stage stage_;
  Rows q_rows_, k_rows_, v_rows_;
  std::vector<int64_t> mask_strides_;
};

}  // namespace

Result<std::vector<Array>> eval_attention(const EvalContext& c) {
  LATHE_TRY(const auto sequences, attention_sequences(c));
  return Attention(c).run(sequences);
}

}  // namespace lathe::ir::graph
