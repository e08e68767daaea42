// Decoding against a paged cache, as a server does it: two sequences of different lengths share a
// pool of pages; each step writes the new tokens' keys and values where the block table says, a key
// in the one pass that also turns it, and one kernel attends to all that either has. What comes out
// is compared with plain code in double.
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

  // Where the next token of a sequence goes. A real server takes a free page when one is full.
  int32_t next_slot(int64_t sequence) {
    const int64_t token = lengths[static_cast<size_t>(sequence)]++;
    return static_cast<int32_t>(row(sequence, token, 0)) / static_cast<int32_t>(kKvHeads * kDim);
  }
};

// Angles of positions, [position, pair].
constexpr int64_t kPairs = kDim / 2;
double angle(int64_t position, int64_t pair) {
  return static_cast<double>(position) *
         std::pow(10000.0, -static_cast<double>(pair) / static_cast<double>(kPairs));
}

// A token's key before it is turned, and its value: what a model would compute.
float raw_key(int64_t sequence, int64_t token, int64_t head, int64_t i) {
  return number(1000 * sequence + 31 * token + 7 * head + i);
}
float value_of(int64_t sequence, int64_t token, int64_t head, int64_t i) {
  return number(5000 * sequence + 17 * token + 3 * head + i);
}

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

// [docs:write_paged]
// One row for each sequence: its key is turned and written at its slot, its value written there.
struct Writers {
  lathe::Kernel keys, values;
};

lathe::Result<Writers> fetch_writers(const lathe::Library& library) {
  auto keys = library.fetch(lathe::Rope{.heads = kKvHeads,
                                        .dim = kDim,
                                        .kind = lathe::Rope::Kind::plain,
                                        .slots = lathe::CacheSlots::paged,
                                        .page = kPage,
                                        .rows = kSequences});
  if (!keys) return tl::unexpected(keys.error());
  auto values = library.fetch(lathe::WriteCache{.heads = kKvHeads,
                                                .dim = kDim,
                                                .slots = lathe::CacheSlots::paged,
                                                .page = kPage,
                                                .rows = kSequences});
  if (!values) return tl::unexpected(values.error());
  return Writers{*keys, *values};
}

// The caches are outputs that are inputs, too: what no slot names stays. A slot of -1 writes
// nothing.
lathe::Status write(const Writers& writers, const std::vector<float>& k,
                    const std::vector<float>& v, const std::vector<float>& cos,
                    const std::vector<float>& sin, const std::vector<int32_t>& positions,
                    const std::vector<int32_t>& slots, Cache& cache) {
  const int64_t table = static_cast<int64_t>(cos.size()) / kPairs;
  auto status = writers.keys({{k.data(), {kSequences, kKvHeads, kDim}},
                              {cos.data(), {table, kPairs}},
                              {sin.data(), {table, kPairs}},
                              {positions.data(), {kSequences}},
                              {slots.data(), {kSequences}}},
                             {{cache.k.data(), {kPages, kPage, kKvHeads, kDim}}});
  if (!status) return status;
  return writers.values({{v.data(), {kSequences, kKvHeads, kDim}}, {slots.data(), {kSequences}}},
                        {{cache.v.data(), {kPages, kPage, kKvHeads, kDim}}});
}
// [/docs:write_paged]

// Appends a token to each sequence that has one.
lathe::Status append(const Writers& writers, Cache& cache, const std::vector<bool>& has_token) {
  constexpr int64_t kPositions = kMost * kPage;
  std::vector<float> k, v, cos, sin;
  for (int64_t position = 0; position < kPositions; ++position) {
    for (int64_t pair = 0; pair < kPairs; ++pair) {
      cos.push_back(static_cast<float>(std::cos(angle(position, pair))));
      sin.push_back(static_cast<float>(std::sin(angle(position, pair))));
    }
  }
  std::vector<int32_t> positions, slots;
  for (int64_t sequence = 0; sequence < kSequences; ++sequence) {
    const int32_t token = cache.lengths[static_cast<size_t>(sequence)];
    for (int64_t i = 0; i < kKvHeads * kDim; ++i) {
      k.push_back(raw_key(sequence, token, i / kDim, i % kDim));
      v.push_back(value_of(sequence, token, i / kDim, i % kDim));
    }
    positions.push_back(token % static_cast<int32_t>(kPositions));
    slots.push_back(has_token[static_cast<size_t>(sequence)] ? cache.next_slot(sequence) : -1);
  }
  return write(writers, k, v, cos, sin, positions, slots, cache);
}

// How far the cache is from keys that are turned, and values, in double.
double worst_of_cache(const Cache& cache) {
  double worst = 0;
  for (int64_t sequence = 0; sequence < kSequences; ++sequence) {
    for (int64_t token = 0; token < cache.lengths[static_cast<size_t>(sequence)]; ++token) {
      for (int64_t head = 0; head < kKvHeads; ++head) {
        const size_t at = cache.row(sequence, token, head);
        for (int64_t i = 0; i < kDim; ++i) {
          const int64_t pair = i % kPairs;
          const double cos = std::cos(angle(token, pair)), sin = std::sin(angle(token, pair));
          const double a = raw_key(sequence, token, head, pair);
          const double b = raw_key(sequence, token, head, pair + kPairs);
          const double turned = i < kPairs ? a * cos - b * sin : b * cos + a * sin;
          const size_t here = at + static_cast<size_t>(i);
          worst = std::max(worst, std::fabs(turned - double{cache.k[here]}));
          worst = std::max(worst,
                           std::fabs(value_of(sequence, token, head, i) - double{cache.v[here]}));
        }
      }
    }
  }
  return worst;
}

lathe::Status run() {
  auto library = lathe::Library::open();
  if (!library) return tl::unexpected(library.error());
  auto kernel = fetch_decode(*library);
  if (!kernel) return tl::unexpected(kernel.error());
  auto writers = fetch_writers(*library);
  if (!writers) return tl::unexpected(writers.error());

  // Pages are in no order; entries that no token needs yet name no page.
  Cache cache{std::vector<float>(kPages * kPage * kKvHeads * kDim),
              std::vector<float>(kPages * kPage * kKvHeads * kDim),
              {7, 2, 5, 0, 3, 8, -1, -1},
              {0, 0}};
  for (int token = 0; token < 10; ++token)
    if (auto status = append(*writers, cache, {true, token < 3}); !status) return status;

  std::vector<float> q(kSequences * kHeads * kDim), y(q.size());
  double worst = 0;
  for (int64_t step = 0; step < 5; ++step) {
    if (auto status = append(*writers, cache, {true, true}); !status) return status;
    for (size_t i = 0; i < q.size(); ++i) q[i] = number(77 * step + static_cast<int64_t>(i));
    if (auto status = decode(*kernel, cache, q, y); !status) return status;
    for (int64_t row = 0; row < kSequences * kHeads; ++row) {
      const auto expected = attend(cache, q.data() + row * kDim, row / kHeads, row % kHeads);
      for (int64_t i = 0; i < kDim; ++i)
        worst = std::max(worst, std::fabs(expected[static_cast<size_t>(i)] -
                                          y[static_cast<size_t>(row * kDim + i)]));
    }
  }
  worst = std::max(worst, worst_of_cache(cache));
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
