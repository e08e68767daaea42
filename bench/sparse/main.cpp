// sparse: what block-sparse attention gains over dense attention, and what its router takes of it.
//
//     build/release/bin/sparse --tokens 8192 --block 64 --threads 1
//
// Causal prefill on random q, k and v. A round runs dense attention once, then for each density
// the router, the selection and the attention over its lists; the table has medians over rounds.
// Densities are of the blocks that causal attention sees: each block of tokens keeps as many as
// makes the whole come nearest to them.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <lathe/lathe.h>

namespace {

struct Options {
  int64_t tokens = 8192, block = 64, heads = 16, kv_heads = 8, dim = 128, rank = 16;
  std::vector<double> densities = {0.25, 0.1};
  int threads = 1, rounds = 5;
  std::string target, store = "none";
};

template <typename T>
T take(lathe::Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "sparse: {}\n", result.error().message);
  std::exit(1);
}
void check(const lathe::Status& status) {
  if (status) return;
  fmt::print(stderr, "sparse: {}\n", status.error().message);
  std::exit(1);
}

// The same on every run; of mean 0 and deviation 1.
std::vector<float> random_values(int64_t count, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (float& value : values) {
    double sum = 0;
    for (int i = 0; i < 4; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      sum += static_cast<double>(state >> 40) * 0x1p-24 - 0.5;
    }
    value = static_cast<float>(sum * std::sqrt(3.0));
  }
  return values;
}

double milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Blocks kept of those that causal attention sees, where every list keeps `kept` at most.
double density_of(int64_t kept, int64_t blocks) {
  double sum = 0, all = 0;
  for (int64_t i = 1; i <= blocks; ++i) {
    sum += static_cast<double>(std::min(i, kept));
    all += static_cast<double>(i);
  }
  return sum / all;
}

int64_t kept_for(double density, int64_t blocks) {
  int64_t kept = std::min<int64_t>(2, blocks);  // a sink and the diagonal
  while (kept < blocks && std::fabs(density_of(kept + 1, blocks) - density) <=
                              std::fabs(density_of(kept, blocks) - density))
    ++kept;
  return kept;
}

class Comparison {
 public:
  explicit Comparison(const Options& options)
      : o_(options),
        library_(take(lathe::Library::open(
            {.target = options.target, .threads = options.threads, .store = options.store}))),
        blocks_((o_.tokens + o_.block - 1) / o_.block),
        q_values_(random_values(o_.tokens * o_.heads * o_.dim, 1)),
        k_values_(random_values(o_.tokens * o_.kv_heads * o_.dim, 2)),
        v_values_(random_values(o_.tokens * o_.kv_heads * o_.dim, 3)),
        wq_values_(random_values(o_.heads * o_.dim * o_.rank, 4)),
        wk_values_(random_values(o_.kv_heads * o_.dim * o_.rank, 5)),
        y_values_(q_values_.size()),
        score_values_(static_cast<size_t>(o_.kv_heads * blocks_ * blocks_)) {
    q_ = {q_values_.data(), {1, o_.tokens, o_.heads, o_.dim}};
    k_ = {k_values_.data(), {1, o_.tokens, o_.kv_heads, o_.dim}};
    v_ = {v_values_.data(), {1, o_.tokens, o_.kv_heads, o_.dim}};
    y_ = {y_values_.data(), {1, o_.tokens, o_.heads, o_.dim}};
    scores_ = {score_values_.data(), {1, o_.kv_heads, blocks_, blocks_}};
    dense_ = take(library_.fetch(lathe::Attention{.heads = o_.heads,
                                                  .kv_heads = o_.kv_heads,
                                                  .dim = o_.dim,
                                                  .causal = lathe::Attention::Causal::end,
                                                  .tokens = o_.tokens,
                                                  .context = o_.tokens}));
    router_ = take(library_.fetch(lathe::AttentionRouter{.block = o_.block,
                                                         .heads = o_.heads,
                                                         .kv_heads = o_.kv_heads,
                                                         .dim = o_.dim,
                                                         .rank = o_.rank,
                                                         .tokens = o_.tokens,
                                                         .context = o_.tokens}));
    for (const double density : o_.densities) add_density(density);
  }

  void run() {
    std::vector<double> dense;
    for (int round = -1; round < o_.rounds; ++round) {  // the first warms up
      const double of_dense = milliseconds([&] { check(dense_({q_, k_, v_}, {y_})); });
      if (round >= 0) dense.push_back(of_dense);
      for (Sparse& each : sparse_) run(each, round >= 0);
    }
    fmt::print("causal prefill of {} tokens, {}/{} heads of {}, blocks of {}, {}, {} threads\n",
               o_.tokens, o_.heads, o_.kv_heads, o_.dim, o_.block, library_.target(),
               library_.threads());
    fmt::print("{:<12}{:>12}{:>12}{:>12}{:>12}{:>9}\n", "", "router", "selection", "attention",
               "all", "gain");
    const double of_dense = median(dense);
    fmt::print("{:<12}{:>60.2f} ms\n", "dense", of_dense);
    for (const Sparse& each : sparse_) {
      const double all = median(each.all);
      fmt::print("{:<12}{:>9.2f} ms{:>9.2f} ms{:>9.2f} ms{:>9.2f} ms{:>8.2f}x   {}\n",
                 fmt::format("{:.1f} %", 100 * density_of(each.kept, blocks_)), median(each.router),
                 median(each.selection), median(each.attention), all, of_dense / all,
                 each.kernel.schedule());
    }
  }

 private:
  struct Sparse {
    int64_t kept = 0;
    lathe::Kernel kernel;
    std::vector<int32_t> counts, blocks;
    std::vector<double> router, selection, attention, all;
  };

  void add_density(double density) {
    Sparse& sparse = sparse_.emplace_back();
    sparse.kept = kept_for(density, blocks_);
    sparse.counts.resize(static_cast<size_t>(o_.kv_heads * blocks_));
    sparse.blocks.resize(static_cast<size_t>(o_.kv_heads * blocks_ * sparse.kept));
    sparse.kernel =
        take(library_.fetch(lathe::BlockSparseAttention{.block = o_.block,
                                                        .heads = o_.heads,
                                                        .kv_heads = o_.kv_heads,
                                                        .dim = o_.dim,
                                                        .causal = lathe::Attention::Causal::end,
                                                        .tokens = o_.tokens,
                                                        .context = o_.tokens,
                                                        .kept = sparse.kept}));
  }

  void run(Sparse& each, bool counts) {
    const lathe::TensorView of_counts(each.counts.data(), {1, o_.kv_heads, blocks_});
    const lathe::TensorView of_blocks(each.blocks.data(), {1, o_.kv_heads, blocks_, each.kept});
    std::vector<lathe::TensorView> inputs = {q_, k_};
    if (o_.rank > 0) {
      inputs.emplace_back(wq_values_.data(),
                          std::initializer_list<int64_t>{o_.heads, o_.dim, o_.rank});
      inputs.emplace_back(wk_values_.data(),
                          std::initializer_list<int64_t>{o_.kv_heads, o_.dim, o_.rank});
    }
    const double router = milliseconds([&] { check(router_(inputs, std::span(&scores_, 1))); });
    const double selection = milliseconds([&] {
      check(lathe::select_blocks(scores_,
                                 {.block = o_.block, .tokens = o_.tokens, .context = o_.tokens},
                                 of_counts, of_blocks));
    });
    const double attention =
        milliseconds([&] { check(each.kernel({q_, k_, v_, of_counts, of_blocks}, {y_})); });
    if (!counts) return;
    each.router.push_back(router);
    each.selection.push_back(selection);
    each.attention.push_back(attention);
    each.all.push_back(router + selection + attention);
  }

  const Options& o_;
  lathe::Library library_;
  int64_t blocks_;
  std::vector<float> q_values_, k_values_, v_values_, wq_values_, wk_values_, y_values_;
  std::vector<float> score_values_;
  lathe::TensorView q_, k_, v_, y_, scores_;
  lathe::Kernel dense_, router_;
  std::vector<Sparse> sparse_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Compares block-sparse attention with dense attention.", "sparse");
  app.add_option("--tokens", options.tokens)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--block", options.block)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--heads", options.heads)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--kv-heads", options.kv_heads)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--dim", options.dim)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--rank", options.rank, "of the router's weights; 0: mean pooling")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--density", options.densities, "shares of the causal blocks")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--threads", options.threads)
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--rounds", options.rounds)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--target", options.target, "default: the widest of this CPU");
  app.add_option("--store", options.store, "of tuned schedules")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Comparison(options).run();
  return 0;
}
