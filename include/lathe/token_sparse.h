// Decode that reads the most relevant pages of a cache: which they are, and all steps as one call.
#pragma once

#include <cstdint>
#include <vector>

#include <lathe/error.h>
#include <lathe/library.h>
#include <lathe/ops.h>
#include <lathe/tensor_view.h>

namespace lathe {

/// Pages that are read whatever their scores. The last page of a sequence fills up while it is
/// read: its bounds need not be kept as long as `local` covers it, and every page that new tokens
/// are in.
struct AlwaysRead {
  int64_t sinks = 1;  ///< the first pages
  int64_t local = 1;  ///< the last pages of the sequence, at least 1
};

/// For each sequence and head of k the pages of the greatest scores, ascending, with those that are
/// always read among them; of equal scores the lower page first, and a NaN counts as the greatest.
/// scores f32 [batch, kv_heads, pages], as AttentionPageScores writes them; lengths i32 [batch],
/// keys of each sequence, or an empty view: pages · page each; list i32 [batch, kv_heads, kept] for
/// AttentionTokenSparse. A sequence of fewer pages repeats its last, which adds nothing. Time grows
/// with pages, not with pages · log(kept). invalid_argument naming what does not fit, before
/// anything is written.
Status select_pages(const TensorView& scores, const TensorView& lengths, int64_t page,
                    const AlwaysRead& always, const TensorView& list);

/// The three steps of sparse decode: scores of pages, their selection, attention over the selected.
/// Selection is neither of the kernels: which page is last of those kept hangs on the last bit of a
/// score, and a list can be checked before anything reads through it.
class SparseDecode {
 public:
  /// Operands of one call; those that the operations do not ask for stay empty.
  struct Operands {
    TensorView q, k, v;
    TensorView bounds;  ///< or codes
    TensorView w{}, lengths{}, sinks{};
    TensorView y, lse{};
  };

  /// `scores` takes heads, sizes, types and tokens of `attention`; its own members select, rank,
  /// kv_type, weight_type and pages count. `attention.kept` pages of each list are read.
  static Result<SparseDecode> fetch(const Library& library, const AttentionTokenSparse& attention,
                                    AttentionPageScores scores, const AlwaysRead& always = {});

  /// As Kernel's calls. One call at a time: scores and lists are kept between calls.
  Status operator()(const Operands& operands);

  /// The lists of the last call, i32 [batch, kv_heads, kept].
  const std::vector<int32_t>& pages() const { return list_; }

 private:
  Kernel scores_, attention_;
  AttentionTokenSparse op_;
  AlwaysRead always_;
  std::vector<float> page_scores_;
  std::vector<int32_t> list_;
};

}  // namespace lathe
