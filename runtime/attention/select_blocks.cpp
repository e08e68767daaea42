// Lists of blocks from their scores.
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/attention/visible_blocks.h"
#include "support/error.h"

namespace lathe {
namespace {

using runtime::blocks_of;
using runtime::VisibleBlocks;

Status check_list_view(const char* name, const TensorView& view, DataType type,
                       std::initializer_list<int64_t> shape) {
  const auto rank = static_cast<int>(shape.size());
  bool fits = view.rank == rank && view.type == type && view.data != nullptr;
  int64_t dense = 1;
  for (int k = rank - 1; fits && k >= 0; --k) {
    const int64_t expected = shape.begin()[k];
    fits = view.shape[k] == expected && (view.shape[k] <= 1 || view.strides[k] == dense);
    dense *= view.shape[k];
  }
  if (fits) return {};
  const auto* const found = view.rank > 0 ? view.shape : nullptr;
  return fail(ErrorCode::invalid_argument,
              "select_blocks: {}: found shape [{}], expected a dense {} of [{}]", name,
              fmt::join(found, found + std::max(view.rank, 0), ", "),
              type == DataType::f32 ? "f32" : "i32", fmt::join(shape, ", "));
}

Status check_selection(const BlockSelection& s, int64_t room) {
  if (s.block < 1 || s.tokens < 1 || s.context < 1 || s.kept < 0 || s.sinks < 0 || s.local < 1 ||
      !(s.threshold >= 0 && s.threshold <= 1)) {
    return fail(ErrorCode::invalid_argument,
                "select_blocks: found block {}, tokens {}, context {}, kept {}, sinks {}, local "
                "{}, threshold {}; expected block, tokens, context and local from 1 on, kept and "
                "sinks from 0 on, a threshold of 0 to 1",
                s.block, s.tokens, s.context, s.kept, s.sinks, s.local, s.threshold);
  }
  if (s.kept > room) {
    return fail(ErrorCode::invalid_argument,
                "select_blocks: kept: found {}, expected at most the {} that a list has room for",
                s.kept, room);
  }
  return {};
}

// Whether each list has room for what it always keeps. The views have been checked: there are as
// many lists as tokens ask for.
Status check_room(const BlockSelection& s, int64_t room) {
  const int64_t most = s.kept > 0 ? s.kept : room;
  for (int64_t i = 0; i < blocks_of(s.tokens, s.block); ++i) {
    const int64_t always = VisibleBlocks(s, i).count_kept();
    if (always > most) {
      return fail(ErrorCode::invalid_argument,
                  "select_blocks: found room for {} blocks, expected {}, which block of tokens {} "
                  "keeps always ({} sinks, {} local ones, its diagonal)",
                  most, always, i, s.sinks, s.local);
    }
  }
  return {};
}

// Writes the list of one block of tokens.
class ListWriter {
 public:
  ListWriter(const BlockSelection& selection, int64_t room)
      : s_(selection), most_(selection.kept > 0 ? selection.kept : room), room_(room) {}

  void write(const float* scores, int64_t query_block, int32_t* count, int32_t* list) {
    const VisibleBlocks visible(s_, query_block);
    chosen_.clear();
    others_.clear();
    const double least = least_score(scores, visible.end);
    for (int64_t j = 0; j < visible.end; ++j) {
      if (visible.is_kept(j)) {
        chosen_.push_back(static_cast<int32_t>(j));
      } else if (s_.threshold == 0 || score_of(scores[j]) >= least) {
        others_.push_back(static_cast<int32_t>(j));
      }
    }
    const size_t left = std::min(others_.size(), static_cast<size_t>(most_) - chosen_.size());
    const auto middle = others_.begin() + static_cast<std::ptrdiff_t>(left);
    const auto is_better = [&](int32_t a, int32_t b) {
      const double of_a = score_of(scores[a]), of_b = score_of(scores[b]);
      return of_a != of_b ? of_a > of_b : a < b;
    };
    if (middle != others_.end())
      std::nth_element(others_.begin(), middle, others_.end(), is_better);
    chosen_.insert(chosen_.end(), others_.begin(), middle);
    std::sort(chosen_.begin(), chosen_.end());
    *count = static_cast<int32_t>(chosen_.size());
    const int32_t last = chosen_.empty() ? 0 : chosen_.back();
    for (int64_t i = 0; i < room_; ++i)
      list[i] = static_cast<size_t>(i) < chosen_.size() ? chosen_[static_cast<size_t>(i)] : last;
  }

 private:
  static double score_of(float score) { return std::isnan(score) ? -INFINITY : double{score}; }

  // What a score must be for its share of the softmax to reach the threshold.
  double least_score(const float* scores, int64_t end) const {
    if (s_.threshold == 0) return -INFINITY;
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < end; ++j) largest = std::max(largest, score_of(scores[j]));
    if (!std::isfinite(largest)) return largest;
    for (int64_t j = 0; j < end; ++j) sum += std::exp(score_of(scores[j]) - largest);
    return largest + std::log(s_.threshold * sum);
  }

  const BlockSelection& s_;
  int64_t most_, room_;
  std::vector<int32_t> chosen_, others_;
};

}  // namespace

Status select_blocks(const TensorView& scores, const BlockSelection& selection,
                     const TensorView& counts, const TensorView& blocks) {
  const BlockSelection& s = selection;
  const int64_t room = blocks.rank == 4 ? blocks.shape[3] : 0;
  LATHE_CHECK(check_selection(s, room));
  const int64_t query_blocks = blocks_of(s.tokens, s.block);
  const int64_t key_blocks = blocks_of(s.context, s.block);
  const int64_t batch = scores.rank == 4 ? scores.shape[0] : 0;
  const int64_t heads = scores.rank == 4 ? scores.shape[1] : 0;
  LATHE_CHECK(
      check_list_view("scores", scores, DataType::f32, {batch, heads, query_blocks, key_blocks}));
  LATHE_CHECK(check_list_view("counts", counts, DataType::i32, {batch, heads, query_blocks}));
  LATHE_CHECK(check_list_view("blocks", blocks, DataType::i32, {batch, heads, query_blocks, room}));
  LATHE_CHECK(check_room(s, room));
  ListWriter lists(s, room);
  for (int64_t row = 0; row < batch * heads * query_blocks; ++row) {
    lists.write(static_cast<const float*>(scores.data) + row * key_blocks, row % query_blocks,
                static_cast<int32_t*>(counts.data) + row,
                static_cast<int32_t*>(blocks.data) + row * room);
  }
  return {};
}

}  // namespace lathe
