// Decode that reads the pages which learned codes choose: the example of docs/routing.md.
#include <cmath>
#include <cstdio>
#include <vector>

#include <lathe/lathe.h>

namespace {

std::vector<float> waves(int64_t count, float step) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(step * static_cast<float>(i));
  return values;
}

// [docs:page_codes]
lathe::Status decode(const lathe::Library& library) {
  constexpr int64_t kContext = 512, kHeads = 4, kKvHeads = 2, kDim = 32, kPage = 16, kRank = 8;
  constexpr int64_t kPages = kContext / kPage;
  const std::vector<float> q = waves(2 * kContext * kHeads * kDim, 0.7F);
  const std::vector<float> k = waves(2 * kContext * kKvHeads * kDim, 1.3F);

  // Once, from queries and keys of two sequences: one to fit to, one to choose by.
  const auto sample = [&](int64_t i) {
    return lathe::RouterSample{
        {q.data() + i * kContext * kHeads * kDim, {kContext, kHeads, kDim}},
        {k.data() + i * kContext * kKvHeads * kDim, {kContext, kKvHeads, kDim}}};
  };
  const lathe::RouterSample first = sample(0), second = sample(1);
  auto weights =
      lathe::fit_page_codes({&first, 1}, {&second, 1}, {.page = kPage, .rank = kRank, .stride = 8});
  if (!weights) return tl::unexpected(weights.error());

  // Whenever pages are full: their codes, kept beside the cache.
  std::vector<float> codes(kPages * kKvHeads * kRank);
  const lathe::TensorView of_codes(codes.data(), {1, kPages, kKvHeads, kRank});
  const lathe::TensorView by_page(k.data(), {1, kPages, kPage, kKvHeads, kDim});
  if (auto made = lathe::page_codes(by_page, *weights, of_codes); !made) return made;

  // With each token: scores of pages from their codes, selection, attention to those selected.
  auto sparse = lathe::SparseDecode::fetch(
      library,
      {.heads = kHeads,
       .kv_heads = kKvHeads,
       .dim = kDim,
       .page = kPage,
       .context = kContext,
       .kept = 4},
      {.select = lathe::AttentionPageScores::Select::learned, .rank = kRank, .pages = kPages});
  if (!sparse) return tl::unexpected(sparse.error());
  std::vector<float> y(kHeads * kDim);
  const lathe::TensorView cache(k.data(), {1, kContext, kKvHeads, kDim});
  auto status = (*sparse)({.q = {q.data(), {1, 1, kHeads, kDim}},
                           .k = cache,
                           .v = cache,
                           .bounds = of_codes,
                           .w = weights->w_view(),
                           .y = {y.data(), {1, 1, kHeads, kDim}}});
  std::printf("held-out divergence %.3f, pages %d and %d of %d\n", weights->held_out_loss,
              sparse->pages()[1], sparse->pages()[2], static_cast<int>(kPages));
  return status;
}
// [/docs:page_codes]

}  // namespace

int main() {
  const auto library = lathe::Library::open({.store = "none"});
  const lathe::Status status =
      library ? decode(*library) : lathe::Status(tl::unexpected(library.error()));
  if (!status) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
