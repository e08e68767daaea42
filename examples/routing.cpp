// Block-sparse attention: a router that was fitted scores blocks, lists are chosen, and each block
// of tokens attends to the blocks of keys on its list.
#include <cmath>
#include <cstdio>
#include <vector>

#include <lathe/lathe.h>

// [docs:routing]
lathe::Status attend(const lathe::Library& library) {
  constexpr int64_t kTokens = 512, kHeads = 4, kKvHeads = 2, kDim = 32, kBlock = 64, kKept = 3;
  constexpr int64_t kBlocks = kTokens / kBlock;
  std::vector<float> q(kTokens * kHeads * kDim), k(kTokens * kKvHeads * kDim), v(k.size(), 1);
  for (size_t i = 0; i < q.size(); ++i) q[i] = std::sin(static_cast<float>(i));
  for (size_t i = 0; i < k.size(); ++i) k[i] = std::cos(static_cast<float>(i));

  // Once, from queries and keys that were captured where attention reads them.
  const lathe::RouterSample sample{{q.data(), {kTokens, kHeads, kDim}},
                                   {k.data(), {kTokens, kKvHeads, kDim}}};
  auto weights = lathe::fit_router({&sample, 1}, {.block = kBlock, .rank = 8});
  if (!weights) return tl::unexpected(weights.error());

  // With each prefill: scores, lists, attention.
  const lathe::TensorView of_q(q.data(), {1, kTokens, kHeads, kDim});
  const lathe::TensorView of_k(k.data(), {1, kTokens, kKvHeads, kDim});
  auto router = library.fetch(lathe::AttentionRouter{
      .block = kBlock, .heads = kHeads, .kv_heads = kKvHeads, .dim = kDim, .rank = 8});
  if (!router) return tl::unexpected(router.error());
  std::vector<float> scores(kKvHeads * kBlocks * kBlocks);
  const lathe::TensorView of_scores(scores.data(), {1, kKvHeads, kBlocks, kBlocks});
  if (auto scored = (*router)({of_q, of_k, weights->wq_view(), weights->wk_view()}, {of_scores});
      !scored)
    return scored;

  std::vector<int32_t> counts(kKvHeads * kBlocks), blocks(counts.size() * kKept);
  const lathe::TensorView of_counts(counts.data(), {1, kKvHeads, kBlocks});
  const lathe::TensorView of_blocks(blocks.data(), {1, kKvHeads, kBlocks, kKept});
  if (auto selected =
          lathe::select_blocks(of_scores, {.block = kBlock, .tokens = kTokens, .context = kTokens},
                               of_counts, of_blocks);
      !selected)
    return selected;

  auto attention =
      library.fetch(lathe::BlockSparseAttention{.block = kBlock,
                                                .heads = kHeads,
                                                .kv_heads = kKvHeads,
                                                .dim = kDim,
                                                .causal = lathe::Attention::Causal::end,
                                                .kept = kKept});
  if (!attention) return tl::unexpected(attention.error());
  std::vector<float> y(q.size());
  auto status =
      (*attention)({of_q, of_k, {v.data(), {1, kTokens, kKvHeads, kDim}}, of_counts, of_blocks},
                   {{y.data(), {1, kTokens, kHeads, kDim}}});
  std::printf("%s: %g\n", attention->problem().data(), y.back());
  return status;
}
// [/docs:routing]

int main() {
  auto library = lathe::Library::open();
  const auto status = library ? attend(*library) : lathe::Status(tl::unexpected(library.error()));
  if (!status) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
