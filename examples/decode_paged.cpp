// Decoding against a paged cache, as a server does it: two sequences of different lengths share a
// pool of pages; each step writes the new token's key and value where the block table says, and one
// kernel attends to all that either has. What comes out is compared with plain code in double.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include <lathe/lathe.h>

namespace {

constexpr int64_t kSequences = 2, kPages = 9, kPage = 4, kMost = 4;
constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 16;

// A number between -1 and 1 for every place: what a model would compute.
float number(int64_t i) { return std::sin(0.7F * static_cast<float>(i) + 0.3F); }

// Keys and values in pools [page, token of the page, head, dim].
struct Cache {
  std::vector<float> k, v;
  std::vector<int32_t> table, lengths;  // [sequence, most], [sequence]

  size_t row(int64_t sequence, int64_t token, int64_t head) const {
    const int64_t page = table[static_cast<size_t>(sequence * kMost + token / kPage)];
    return static_cast<size_t>(((page * kPage + token % kPage) * kKvHeads + head) * kDim);
  }

  // The key and value of a sequence's next token. A real server takes a free page when one is full.
  void append(int64_t sequence) {
    const int64_t token = lengths[static_cast<size_t>(sequence)]++;
    for (int64_t head = 0; head < kKvHeads; ++head) {
      for (int64_t i = 0; i < kDim; ++i) {
        const size_t at = row(sequence, token, head) + static_cast<size_t>(i);
        k[at] = number(1000 * sequence + 31 * token + 7 * head + i);
        v[at] = number(5000 * sequence + 17 * token + 3 * head + i);
      }
    }
  }
};

// One head's attention in double.
std::vector<double> attend(const Cache& cache, const float* q, int64_t sequence, int64_t head) {
  const int64_t kv_head = head / (kHeads / kKvHeads);
  std::vector<double> scores, y(kDim);
  for (int64_t token = 0; token < cache.lengths[static_cast<size_t>(sequence)]; ++token) {
    const float* key = cache.k.data() + cache.row(sequence, token, kv_head);
    double score = 0;
    for (int64_t i = 0; i < kDim; ++i) score += double{q[i]} * double{key[i]};
    scores.push_back(score / std::sqrt(double{kDim}));
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (size_t token = 0; token < scores.size(); ++token) {
    const float* value = cache.v.data() + cache.row(sequence, static_cast<int64_t>(token), kv_head);
    for (size_t i = 0; i < y.size(); ++i) y[i] += scores[token] / sum * double{value[i]};
  }
  return y;
}

// [docs:decode_paged]
lathe::Result<lathe::Kernel> fetch_decode(const lathe::Library& library) {
  using lathe::Attention;
  return library.fetch(Attention{.heads = kHeads,
                                 .kv_heads = kKvHeads,
                                 .dim = kDim,
                                 .causal = Attention::Causal::end,
                                 .lengths = true,
                                 .cache = Attention::Cache::paged,
                                 .page = kPage,
                                 .tokens = 1,
                                 .context = kMost * kPage});
}

lathe::Status decode(const lathe::Kernel& kernel, const Cache& cache, const std::vector<float>& q,
                     std::vector<float>& y) {
  return kernel({{q.data(), {kSequences, 1, kHeads, kDim}},
                 {cache.k.data(), {kPages, kPage, kKvHeads, kDim}},
                 {cache.v.data(), {kPages, kPage, kKvHeads, kDim}},
                 {cache.lengths.data(), {kSequences}},
                 {cache.table.data(), {kSequences, kMost}}},
                {{y.data(), {kSequences, 1, kHeads, kDim}}});
}
// [/docs:decode_paged]

lathe::Status run() {
  auto library = lathe::Library::open();
  if (!library) return tl::unexpected(library.error());
  auto kernel = fetch_decode(*library);
  if (!kernel) return tl::unexpected(kernel.error());

  // Pages are in no order; entries that no token needs yet name no page.
  Cache cache{std::vector<float>(kPages * kPage * kKvHeads * kDim),
              std::vector<float>(kPages * kPage * kKvHeads * kDim),
              {7, 2, 5, 0, 3, 8, -1, -1},
              {0, 0}};
  for (int token = 0; token < 10; ++token) cache.append(0);
  for (int token = 0; token < 3; ++token) cache.append(1);

  std::vector<float> q(kSequences * kHeads * kDim), y(q.size());
  double worst = 0;
  for (int64_t step = 0; step < 5; ++step) {
    for (int64_t sequence = 0; sequence < kSequences; ++sequence) cache.append(sequence);
    for (size_t i = 0; i < q.size(); ++i) q[i] = number(77 * step + static_cast<int64_t>(i));
    if (auto status = decode(*kernel, cache, q, y); !status) return status;
    for (int64_t row = 0; row < kSequences * kHeads; ++row) {
      const auto expected = attend(cache, q.data() + row * kDim, row / kHeads, row % kHeads);
      for (int64_t i = 0; i < kDim; ++i)
        worst = std::max(worst, std::fabs(expected[static_cast<size_t>(i)] -
                                          y[static_cast<size_t>(row * kDim + i)]));
    }
  }
  std::printf("%s: %d and %d keys, off by %.1e at most\n", kernel->problem().data(),
              cache.lengths[0], cache.lengths[1], worst);
  if (!(worst < 1e-5))
    return tl::unexpected(lathe::Error{lathe::ErrorCode::mismatch, "the results differ"});

  // An entry that is needed has to name a page: an error, and nothing runs.
  cache.table[1] = kPages;
  const auto refused = decode(*kernel, cache, q, y);
  std::printf("%s\n", refused ? "(runs)" : refused.error().message.c_str());
  if (refused)
    return tl::unexpected(lathe::Error{lathe::ErrorCode::mismatch, "a bad entry was not found"});
  return {};
}

}  // namespace

int main() {
  const lathe::Status status = run();
  if (!status) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
