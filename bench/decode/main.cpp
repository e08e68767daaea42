// What a step of decode costs that reads less of a long cache, beside the dense one:
//
//     build/release/bin/decode --threads 1 --context 16384 --percent 10
//
// Sparse decode with bounds of each type, and its three steps alone; keys and values of several
// ranks. Contenders take turns, each finds its operands cold, and the table has medians over
// rounds. The numbers in the caches do not matter to the time: whichever pages are chosen, as many
// are read.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <lathe/lathe.h>

#include "support/evict.h"

namespace {

struct Options {
  int threads = 1;
  int rounds = 21;
  int64_t heads = 16, kv_heads = 8, dim = 128, page = 16, context = 16384;
  double percent = 10;
  std::string store = {}, target = {};
  bool heads_first = false;
};

// An operand, row-major.
class Operand {
 public:
  Operand(lathe::DataType type, std::initializer_list<int64_t> shape) : type_(type), shape_(shape) {
    int64_t count = type == lathe::DataType::bf16 ? 2 : 4;
    for (const int64_t size : shape_) count *= size;
    bytes_.resize(static_cast<size_t>(count));
  }
  explicit Operand(std::initializer_list<int64_t> shape) : Operand(lathe::DataType::f32, shape) {
    // Numbers in [-1, 1) from a fixed sequence.
    uint32_t state = 1;
    auto* numbers = reinterpret_cast<float*>(bytes_.data());
    for (size_t i = 0; i < bytes_.size() / 4; ++i) {
      state = state * 1664525U + 1013904223U;
      numbers[i] = static_cast<float>(state >> 8) * 0x1p-23F - 1.0F;
    }
  }
  lathe::TensorView view() {
    return {bytes_.data(), type_, shape_.data(), static_cast<int>(shape_.size())};
  }
  /// A cache [batch of 1, keys, heads, size], whose heads lie one behind the other, or beside each
  /// other.
  lathe::TensorView cache(bool heads_first) {
    lathe::TensorView cache = view();
    if (!heads_first) return cache;
    cache.strides[1] = shape_[3];
    cache.strides[2] = shape_[1] * shape_[3];
    return cache;
  }
  /// The same as [1, pages, page, heads, size].
  lathe::TensorView pages(int64_t page, bool heads_first) {
    const lathe::TensorView rows = cache(heads_first);
    const std::array<int64_t, 5> shape = {1, shape_[1] / page, page, shape_[2], shape_[3]};
    lathe::TensorView pages(bytes_.data(), type_, shape.data(), 5);
    pages.strides[0] = rows.strides[0];
    pages.strides[1] = page * rows.strides[1];
    pages.strides[2] = rows.strides[1];
    pages.strides[3] = rows.strides[2];
    return pages;
  }
  void evict() const { lathe::support::evict(bytes_.data(), bytes_.size()); }

 private:
  lathe::DataType type_;
  std::vector<int64_t> shape_;
  std::vector<std::byte> bytes_;
};

[[noreturn]] void stop(const lathe::Error& error) {
  fmt::print(stderr, "decode: {}\n", error.message);
  std::exit(1);
}
void check(const lathe::Status& status) {
  if (!status) stop(status.error());
}
template <typename T>
T must(lathe::Result<T> result) {
  if (!result) stop(result.error());
  return *std::move(result);
}

struct Contender {
  std::string name;
  std::vector<const Operand*> reads;  // are cold
  std::function<lathe::Status()> run;
  std::vector<double> microseconds{};

  double median() {
    std::sort(microseconds.begin(), microseconds.end());
    return microseconds[microseconds.size() / 2];
  }
};

void race(std::vector<Contender>& contenders, int rounds) {
  using Clock = std::chrono::steady_clock;
  for (Contender& contender : contenders) check(contender.run());
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) {
      for (const Operand* operand : contender.reads) operand->evict();
      const auto begin = Clock::now();
      check(contender.run());
      const std::chrono::duration<double, std::micro> taken = Clock::now() - begin;
      contender.microseconds.push_back(taken.count());
    }
  }
}

void run(const Options& o) {
  const lathe::Library library =
      must(lathe::Library::open({.target = o.target, .threads = o.threads, .store = o.store}));
  const int64_t pages = o.context / o.page, context = pages * o.page;
  const auto kept = static_cast<int64_t>(static_cast<double>(pages) * o.percent / 100);
  Operand q({1, 1, o.heads, o.dim}), y({1, 1, o.heads, o.dim});
  Operand k({1, context, o.kv_heads, o.dim}), v({1, context, o.kv_heads, o.dim});
  const lathe::TensorView of_k = k.cache(o.heads_first), of_v = v.cache(o.heads_first);
  std::vector<Contender> contenders;

  using KvLayout = lathe::Attention::KvLayout;
  const KvLayout layout = o.heads_first ? KvLayout::hnd : KvLayout::nhd;
  const lathe::Kernel dense = must(library.fetch(lathe::Attention{.heads = o.heads,
                                                                  .kv_heads = o.kv_heads,
                                                                  .dim = o.dim,
                                                                  .kv_layout = layout,
                                                                  .tokens = 1,
                                                                  .context = context}));
  contenders.push_back(
      {"dense", {&k, &v}, [&] { return dense({q.view(), of_k, of_v}, {y.view()}); }});

  const lathe::AttentionTokenSparse sparse{.heads = o.heads,
                                           .kv_heads = o.kv_heads,
                                           .dim = o.dim,
                                           .page = o.page,
                                           .kv_layout = layout,
                                           .context = context,
                                           .kept = kept};
  std::vector<std::unique_ptr<Operand>> all_bounds;
  std::vector<std::unique_ptr<lathe::SparseDecode>> steps;
  for (const auto& [type, name] :
       {std::pair(lathe::DataType::f32, "f32"), std::pair(lathe::DataType::bf16, "bf16")}) {
    Operand& bounds = *all_bounds.emplace_back(std::make_unique<Operand>(
        type, std::initializer_list<int64_t>{1, pages, o.kv_heads, 2 * o.dim}));
    const auto make = must(library.fetch(lathe::AttentionPageBounds{
        .kv_heads = o.kv_heads, .dim = o.dim, .page = o.page, .out = type, .pages = pages}));
    check(make({k.pages(o.page, o.heads_first)}, {bounds.view()}));
    lathe::SparseDecode& step = *steps.emplace_back(std::make_unique<lathe::SparseDecode>(
        must(lathe::SparseDecode::fetch(library, sparse, {.kv_type = type, .pages = pages}))));
    contenders.push_back(
        {fmt::format("sparse, bounds of {}", name), {&k, &v, &bounds}, [&] {
           return step(
               {.q = q.view(), .k = of_k, .v = of_v, .bounds = bounds.view(), .y = y.view()});
         }});
  }

  // The steps alone, of the last bounds.
  Operand& bounds = *all_bounds.back();
  Operand scores({1, o.kv_heads, pages}), list(lathe::DataType::i32, {1, o.kv_heads, kept});
  const lathe::Kernel score =
      must(library.fetch(lathe::AttentionPageScores{.heads = o.heads,
                                                    .kv_heads = o.kv_heads,
                                                    .dim = o.dim,
                                                    .kv_type = lathe::DataType::bf16,
                                                    .pages = pages}));
  const lathe::Kernel attend = must(library.fetch(sparse));
  contenders.push_back({"  scores, bounds of bf16", {&bounds}, [&] {
                          return score({q.view(), bounds.view()}, {scores.view()});
                        }});
  contenders.push_back({"  selection", {}, [&] {
                          return lathe::select_pages(scores.view(), {}, o.page, {}, list.view());
                        }});
  contenders.push_back({"  attention", {&k, &v}, [&] {
                          return attend({q.view(), of_k, of_v, list.view()}, {y.view()});
                        }});

  std::vector<std::unique_ptr<Operand>> factors;
  const auto factor = [&](std::initializer_list<int64_t> shape) {
    return factors.emplace_back(std::make_unique<Operand>(shape)).get();
  };
  for (const int64_t rank : {o.dim / 4, o.dim / 2}) {
    Operand* c_k = factor({1, context, o.kv_heads, rank});
    Operand* c_v = factor({1, context, o.kv_heads, rank});
    Operand* up = factor({o.kv_heads, rank, o.dim});
    const lathe::Kernel low_rank =
        must(library.fetch(lathe::AttentionLowRank{.heads = o.heads,
                                                   .kv_heads = o.kv_heads,
                                                   .dim = o.dim,
                                                   .rank = rank,
                                                   .kv_layout = layout,
                                                   .context = context}));
    contenders.push_back({fmt::format("rank {}", rank), {c_k, c_v, up}, [=, &q, &y, &o] {
                            return low_rank({q.view(), c_k->cache(o.heads_first),
                                             c_v->cache(o.heads_first), up->view(), up->view()},
                                            {y.view()});
                          }});
  }
  race(contenders, o.rounds);
  const double of_dense = contenders.front().median();
  fmt::print("{}/{} heads of {}, {} keys, {} of {} pages of {}, f32, heads {}, {} threads, {}\n",
             o.heads, o.kv_heads, o.dim, context, kept, pages, o.page,
             o.heads_first ? "one behind the other" : "beside each other", library.threads(),
             library.target());
  for (Contender& contender : contenders) {
    fmt::print("{:28} {:9.0f} us {:6.2f} x\n", contender.name, contender.median(),
               of_dense / contender.median());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("What a step of decode costs that reads less of a long cache.");
  app.add_option("--threads", options.threads, "0: all cores")->capture_default_str();
  app.add_option("--rounds", options.rounds, "of which medians are taken")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--heads", options.heads, "of q")->capture_default_str();
  app.add_option("--kv-heads", options.kv_heads, "of k and v")->capture_default_str();
  app.add_option("--dim", options.dim, "of a head")
      ->capture_default_str()
      ->check(CLI::Range(4, 1024));
  app.add_option("--page", options.page, "keys of a page")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--context", options.context, "keys")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--percent", options.percent, "of the pages are read")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  app.add_flag("--heads-first", options.heads_first,
               "heads of the cache lie one behind the other, not beside each other");
  app.add_option("--store", options.store, "of tuned schedules, or none (default: the user's)");
  app.add_option("--target", options.target, "such as avx2 (default: the widest)");
  CLI11_PARSE(app, argc, argv);
  run(options);
  return 0;
}
