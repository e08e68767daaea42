// recall: how much of dense attention lists of pages and of blocks keep, by how they are chosen.
//
//     build/release/bin/recall                         planted structure
//     python3 bench/recall/tiny_model.py MODEL build/qk
//     build/release/bin/recall build/qk/layer0 build/qk/layer1
//
// What is learned is fitted to all sequences but the last two, chosen by the one before the last,
// and judged on the last. A STEM names sequences by the files STEM.0.q.npy, STEM.0.k.npy,
// STEM.1.q.npy, ...: q [tokens, heads, dim] and k [tokens, kv_heads, dim], f32.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <lathe/lathe.h>

#include "bench/recall/planted.h"
#include "bench/recall/recall.h"
#include "ir/npy.h"

namespace {

struct Options {
  std::vector<std::string> stems;
  int64_t page = 16, rank = 16, stride = 1;
  double density = 0.1;
  int sequences = 6;
};

template <typename T>
T take(lathe::Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "recall: {}\n", result.error().message);
  std::exit(1);
}

/// Sequences, and the memory that they view.
struct Sequences {
  std::vector<lathe::bench::Planted> planted;
  std::vector<lathe::ir::Tensor> tensors;
  std::vector<lathe::RouterSample> samples;
};

lathe::TensorView view_of(const lathe::ir::Tensor& tensor, const std::string& path) {
  if (tensor.type() != lathe::ir::Type::f32 || tensor.rank() != 3) {
    fmt::print(stderr, "recall: {}: found {} of rank {}, expected f32 [tokens, heads, dim]\n", path,
               lathe::ir::name(tensor.type()), tensor.rank());
    std::exit(1);
  }
  return {const_cast<std::byte*>(tensor.data()), lathe::DataType::f32, tensor.shape().data(), 3};
}

Sequences read_sequences(const std::string& stem) {
  Sequences all;
  std::vector<std::string> paths;
  for (int i = 0; std::filesystem::exists(fmt::format("{}.{}.q.npy", stem, i)); ++i)
    for (const char* name : {"q", "k"}) paths.push_back(fmt::format("{}.{}.{}.npy", stem, i, name));
  for (const std::string& path : paths) all.tensors.push_back(take(lathe::ir::read_npy(path)));
  for (size_t i = 0; i < paths.size(); i += 2)
    all.samples.push_back(
        {view_of(all.tensors[i], paths[i]), view_of(all.tensors[i + 1], paths[i + 1])});
  return all;
}

/// `alike`: tokens that look for the same block, as blocks of tokens do in prefill.
Sequences plant_sequences(const Options& o, int64_t alike) {
  Sequences all;
  for (int i = 0; i < o.sequences; ++i)
    all.planted.push_back(
        lathe::bench::plant({.block = o.page, .alike = alike}, static_cast<uint64_t>(i) + 1));
  for (const auto& each : all.planted) all.samples.push_back(each.sample());
  return all;
}

void print_share(const char* name, double share, double oracle) {
  fmt::print("  {:<34}{:>8.3f}{:>12.3f}\n", name, share, share / oracle);
}

void compare_pages(const lathe::Library& library, const std::string& name, const Sequences& all,
                   const Options& o) {
  const std::span<const lathe::RouterSample> samples(all.samples);
  const auto recall =
      take(lathe::bench::PageRecall::of(library, samples.back(), o.page, o.density));
  const auto weights = take(lathe::fit_page_codes(
      samples.first(samples.size() - 2), samples.subspan(samples.size() - 2, 1),
      {.page = o.page, .rank = std::min(o.rank, samples.back().q.shape[2]), .stride = o.stride}));
  const double oracle = take(recall.oracle());
  fmt::print("{}: decode, pages of {}, {:.0f} % of those that a token sees\n", name, o.page,
             100 * o.density);
  print_share("oracle: greatest attention", oracle, oracle);
  print_share("learned codes", take(recall.codes(weights)), oracle);
  print_share("means of keys", take(recall.means()), oracle);
  print_share("bounds of keys (Quest)", take(recall.bounds()), oracle);
  fmt::print("  codes of rank {}: divergence {:.4f} of the samples, {:.4f} held out\n",
             weights.rank, weights.loss, weights.held_out_loss);
}

void compare_blocks(const lathe::Library& library, const std::string& name, const Sequences& all,
                    const Options& o) {
  const std::span<const lathe::RouterSample> samples(all.samples);
  const auto recall =
      take(lathe::bench::BlockRecall::of(library, samples.back(), o.page, o.density));
  const auto weights =
      take(lathe::fit_router(samples.first(samples.size() - 2),
                             {.block = o.page, .rank = std::min(o.rank, samples.back().q.shape[2])},
                             samples.subspan(samples.size() - 2, 1)));
  const double oracle = take(recall.oracle());
  fmt::print("{}: prefill, blocks of {}, {:.0f} % of the pairs that are seen\n", name, o.page,
             100 * o.density);
  print_share("oracle: greatest attention", oracle, oracle);
  print_share("learned router", take(recall.router(&weights)), oracle);
  print_share("means of queries and keys", take(recall.router(nullptr)), oracle);
  fmt::print("  router of rank {}: divergence {:.4f} of the samples, {:.4f} held out\n",
             weights.rank, weights.loss, weights.held_out_loss);
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("How much of dense attention lists of pages and blocks keep.", "recall");
  app.add_option("STEM", o.stems, "captured sequences; none: planted structure");
  app.add_option("--page", o.page, "keys of a page, and of a block")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--rank", o.rank, "of what is learned")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--density", o.density)->capture_default_str()->check(CLI::Range(0.0, 1.0));
  app.add_option("--stride", o.stride, "codes are fitted to every such token")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--sequences", o.sequences, "that are planted")
      ->capture_default_str()
      ->check(CLI::Range(3, 1000));
  CLI11_PARSE(app, argc, argv);
  const auto library = take(lathe::Library::open({.store = "none"}));
  fmt::print("{:<36}{:>8}{:>12}\n", "share of dense attention", "kept", "of oracle");
  if (o.stems.empty()) {
    compare_pages(library, "planted", plant_sequences(o, 1), o);
    compare_blocks(library, "planted", plant_sequences(o, o.page), o);
  }
  for (const std::string& stem : o.stems) {
    const Sequences all = read_sequences(stem);
    if (all.samples.size() < 3) {
      fmt::print(stderr, "recall: {}: found {} sequences, expected three or more\n", stem,
                 all.samples.size());
      return 1;
    }
    const std::string name = std::filesystem::path(stem).filename();
    compare_pages(library, name, all, o);
    compare_blocks(library, name, all, o);
  }
  return 0;
}
