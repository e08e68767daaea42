// How much of dense attention lists of pages and of blocks keep.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <lathe/lathe.h>

namespace lathe::bench {

/// Lists of pages for one token at a time, as decode makes them: for the tokens of the second half
/// of a sequence, each of which sees the keys up to its own. A list has the share `density` of the
/// pages that its token sees, the first and the last always among them. Shares of attention are the
/// mean over tokens and heads of q, computed in double precision; scores are the library's
/// kernels'. The sequence has as many tokens as keys, in whole pages, and outlives this.
class PageRecall {
 public:
  static Result<PageRecall> of(const Library& library, const RouterSample& sample, int64_t page,
                               double density, int64_t stride = 1);

  /// The share that lists keep of those pages that get most.
  Result<double> oracle() const;
  /// Of the pages of the greatest bounds (Quest).
  Result<double> bounds() const;
  /// Of those whose mean key has the greatest product with the sum of the heads' queries.
  Result<double> means() const;
  Result<double> codes(const PageCodeWeights& weights) const;

 private:
  struct Token {
    int64_t token = 0;
    std::vector<float> mass;  ///< [kv_heads, pages]
  };
  using Scorer = std::function<Status(int64_t token, const TensorView& scores)>;

  PageRecall(const Library& library, const RouterSample& sample, int64_t page, double density)
      : library_(library), sample_(sample), page_(page), density_(density) {}
  Result<double> kept_by(const Scorer& scorer) const;
  Result<double> kept_by_kernel(const AttentionPageScores& op, const TensorView& w,
                                const TensorView& codes) const;

  int64_t heads() const { return sample_.q.shape[1]; }
  int64_t kv_heads() const { return sample_.k.shape[1]; }
  int64_t dim() const { return sample_.q.shape[2]; }
  int64_t pages() const { return sample_.k.shape[0] / page_; }
  TensorView keys_by_page() const {
    return {static_cast<const float*>(sample_.k.data), {1, pages(), page_, kv_heads(), dim()}};
  }

  Library library_;
  RouterSample sample_;
  int64_t page_;
  double density_;
  std::vector<Token> tokens_;
};

/// Lists of blocks for blocks of tokens, as prefill makes them, causal: of such a length, the first
/// and the diagonal among them, that they have about `density` of the pairs that are seen. A
/// sequence has as many tokens as keys, and outlives this.
class BlockRecall {
 public:
  static Result<BlockRecall> of(const Library& library, const RouterSample& sample, int64_t block,
                                double density);

  Result<double> oracle() const;
  /// Of a router's scores; of those of means where it is null.
  Result<double> router(const RouterWeights* weights) const;

 private:
  BlockRecall(const Library& library, const RouterSample& sample, int64_t block)
      : library_(library), sample_(sample), block_(block) {}
  Result<double> kept_by(const TensorView& scores) const;

  int64_t kv_heads() const { return sample_.k.shape[1]; }
  int64_t blocks() const { return (sample_.k.shape[0] + block_ - 1) / block_; }

  Library library_;
  RouterSample sample_;
  int64_t block_;
  int64_t kept_ = 0;  ///< of each list
  std::vector<float> mass_;
};

}  // namespace lathe::bench
