// Recorded layouts: what packing, fetching and graphs make of them.
#include "runtime/library/layout_record.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/c.h>
#include <lathe/lathe.h>

#include "compiler/choose_layout.h"
#include "compiler/family.h"
#include "ir/graph/builder.h"
#include "runtime/graph/executor.h"
#include "support/hardware.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kN = 72, kK = 40;

class LayoutRecord : public testing::Test {
 protected:
  void SetUp() override {
    LibraryOptions options;
    options.store = "none";
    options.threads = kThreads;
    auto library = KernelLibrary::open(options);
    ASSERT_TRUE(library) << library.error().message;
    target_ = (*library)->target();
    candidates_ = compiler::candidate_layouts(ir::Type::f32, kN, kK, false, target_);
    if (candidates_.size() < 2) GTEST_SKIP() << target_.name << " has one layout";
    other_ = candidates_[1].panel;
    auto store = store::Store::open(path_);
    ASSERT_TRUE(store) << store.error().message;
    store_.emplace(std::move(*store));
    const auto host = store_->record_host("cpu", support::host_identity(), "here");
    ASSERT_TRUE(host);
  }

  store::Key key(int threads = kThreads) const {
    RecordContext context;
    context.threads = threads;
    return layout_key(compiler::candidates_of(candidates_.front(), target_), "rows=1", target_,
                      context);
  }

  void record(const store::Key& key, const std::string& schedule, int64_t when = 0) {
    store::Winner winner;
    winner.schedule = schedule;
    winner.recorded_us = when;
    const Status recorded = store_->record_winner(key, winner);
    ASSERT_TRUE(recorded) << recorded.error().message;
  }

  std::string other_schedule() const { return fmt::format("panel={}", other_); }

  LibraryOptions options() const {
    LibraryOptions options;
    options.store = path_.string();
    options.threads = kThreads;
    return options;
  }

  // The panel that a library opened now packs the weight in.
  int64_t packed_panel(int64_t n = kN) {
    auto library = Library::open(options());
    EXPECT_TRUE(library);
    auto weight = library->pack_weight({weight_.data(), {n, kK}});
    EXPECT_TRUE(weight);
    return weight->linear().panel;
  }

  tests::TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "store.db";
  std::optional<store::Store> store_;
  ir::Target target_;
  std::vector<compiler::WeightLayout> candidates_;
  int64_t other_ = 0;
  std::vector<float> weight_ = std::vector<float>(kN * kK, 0.5F);
};

TEST_F(LayoutRecord, WithoutOneTheDefaultServes) {
  EXPECT_EQ(packed_panel(), candidates_.front().panel);
  record(key(), other_schedule());
  EXPECT_EQ(packed_panel(kN - 1), candidates_.front().panel) << "another weight has no record";
}

TEST_F(LayoutRecord, PackingAndFetchingFollowIt) {
  record(key(), other_schedule());
  auto library = Library::open(options());
  ASSERT_TRUE(library);
  auto weight = library->pack_weight({weight_.data(), {kN, kK}});
  ASSERT_TRUE(weight) << weight.error().message;
  EXPECT_EQ(weight->layout(), print(candidates_[1]));

  // The file carries it, also to where nothing is recorded.
  const std::string file = (folder_ / "weight").string();
  ASSERT_TRUE(weight->save(file));
  LibraryOptions without = options();
  without.store = "none";
  const auto mapped = Library::open(without)->map_weight(file);
  ASSERT_TRUE(mapped) << mapped.error().message;
  EXPECT_EQ(mapped->layout(), weight->layout());

  // An operation that leaves the panel open means the same weight, whoever is asked first.
  std::vector<float> x(3 * kK, 1), y(3 * kN);
  for (int i = 0; i < 2; ++i) {
    auto kernel = library->fetch(Linear{.n = kN, .k = kK, .weight = DataType::f32, .rows = 3});
    ASSERT_TRUE(kernel) << kernel.error().message;
    const Status status = (*kernel)({x.data(), {3, kK}}, *weight, {}, {y.data(), {3, kN}});
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(y.back(), 0.5F * kK);
  }
  // An explicit panel is obeyed.
  auto given = library->pack_weight({weight_.data(), {kN, kK}}, {.panel = 8});
  ASSERT_TRUE(given);
  EXPECT_EQ(given->linear().panel, 8);
}

TEST_F(LayoutRecord, TheCInterfaceFollowsIt) {
  record(key(), other_schedule());
  lathe_library* library = nullptr;
  ASSERT_EQ(lathe_library_open("", kThreads, path_.c_str(), &library), LATHE_OK);
  const int64_t shape[] = {kN, kK};
  const lathe_view matrix = {weight_.data(), LATHE_F32, 2, shape, nullptr};
  lathe_weight* weight = nullptr;
  ASSERT_EQ(lathe_weight_pack(library, &matrix, 0, 0, &weight), LATHE_OK) << lathe_last_error();
  EXPECT_EQ(lathe_weight_layout(weight), print(candidates_[1]));
  lathe_weight_release(weight);
  lathe_library_close(library);
}

TEST_F(LayoutRecord, GraphsPackByIt) {
  record(key(), other_schedule());
  auto library = KernelLibrary::open(options());
  ASSERT_TRUE(library);
  ir::graph::GraphBuilder graph("product");
  const auto x = graph.input("x", ir::Type::f32, {3, kK});
  const auto w = graph.input("w", ir::Type::f32, {kN, kK});
  auto finished = graph.finish({graph.op("linear", {x, w})});
  ASSERT_TRUE(finished) << finished.error().message;
  auto executor = Executor::create(std::move(*finished), *library);
  ASSERT_TRUE(executor);
  std::vector<ir::Tensor> inputs = {ir::Tensor(ir::Type::f32, {3, kK}),
                                    ir::Tensor(ir::Type::f32, {kN, kK})};
  for (ir::Tensor& input : inputs)
    for (int64_t i = 0; i < input.elements(); ++i) input.set(i, 0.5);
  const auto steps = (*executor)->steps(inputs);
  ASSERT_TRUE(steps) << steps.error().message;
  const bool packs = std::any_of(steps->begin(), steps->end(), [&](const ExecutionStep& step) {
    return step.what == "pack " + print(candidates_[1]);
  });
  EXPECT_TRUE(packs);
  const auto outputs = (*executor)->run(inputs);
  ASSERT_TRUE(outputs) << outputs.error().message;
  EXPECT_EQ(outputs->front().at(3 * kN - 1), 0.25 * kK);
}

// A tuner that runs beside a library must not come between a weight and its kernels.
TEST_F(LayoutRecord, ALibraryStaysWithWhatItFoundFirst) {
  auto library = Library::open(options());
  ASSERT_TRUE(library);
  const TensorView matrix(weight_.data(), {kN, kK});
  const auto before = library->pack_weight(matrix);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->linear().panel, candidates_.front().panel);
  record(key(), other_schedule());
  EXPECT_EQ(library->pack_weight(matrix)->layout(), before->layout());
  EXPECT_EQ(packed_panel(), other_);
}

TEST_F(LayoutRecord, TheNewestOfThisHostCounts) {
  const std::string other = other_schedule();
  const std::string usual = fmt::format("panel={}", candidates_.front().panel);
  store::Key elsewhere = key();
  const auto host = store_->record_host("cpu", "another machine", "there");
  ASSERT_TRUE(host);
  elsewhere.host = *host;
  record(elsewhere, other);
  EXPECT_EQ(packed_panel(), candidates_.front().panel);
  store::Key older = key();
  --older.family_revision;
  record(older, other);
  EXPECT_EQ(packed_panel(), candidates_.front().panel) << "its kernels' times no longer hold";
  record(key(kThreads + 1), other, 100);
  EXPECT_EQ(packed_panel(), other_) << "better than none";
  record(key(), usual, 50);
  EXPECT_EQ(packed_panel(), candidates_.front().panel) << "of as many threads, though older";
  store::Key sum = key();
  sum.at = "rows=1,16";
  record(sum, other, 60);
  EXPECT_EQ(packed_panel(), other_) << "newer, over other rows";
}

// A cache's record, and what programs are told of it.
class CacheRecord : public LayoutRecord {
 protected:
  static constexpr const char* kProblem =
      "attention_decode context=4096 heads=8 kv_heads=2 dim=16 kv_type=bf16";

  void record_cache(const std::string& schedule) {
    const auto cache = shared_by(*compiler::parse_problem(kProblem), target_);
    RecordContext context;
    context.threads = kThreads;
    record(layout_key(*cache, "tokens=1 context=4096", target_, context), schedule);
  }
  static Attention op() {
    return {.heads = 8, .kv_heads = 2, .dim = 16, .kv_type = DataType::bf16};
  }
};

TEST_F(CacheRecord, ItIsRecommendedWhateverReadsTheCache) {
  using Layout = Attention::KvLayout;
  EXPECT_EQ(*Library::open(options())->kv_layout(op()), Layout::nhd) << "nothing is recorded";
  record_cache("kv_layout=hnd");
  const auto library = Library::open(options());
  ASSERT_TRUE(library);
  EXPECT_EQ(*library->kv_layout(op()), Layout::hnd);
  EXPECT_EQ(*library->kv_layout(kProblem), Layout::hnd);
  Attention other = op();
  other.heads = 2;  // of q: the cache is the same
  other.mask = Attention::Mask::additive;
  EXPECT_EQ(*library->kv_layout(other), Layout::hnd);
  for (auto change :
       {+[](Attention& a) { a.kv_type = DataType::f32; }, +[](Attention& a) { a.value_dim = 8; },
        +[](Attention& a) { a.kv_heads = 4; }, +[](Attention& a) { a.kv_heads = 1; },
        +[](Attention& a) { a.cache = Attention::Cache::paged, a.page = 16; }}) {
    Attention changed = op();
    change(changed);
    const auto layout = library->kv_layout(changed);
    ASSERT_TRUE(layout) << layout.error().message;
    EXPECT_EQ(*layout, Layout::nhd);
  }
  record_cache("kv_layout=nhd");
  EXPECT_EQ(*library->kv_layout(op()), Layout::hnd) << "a library stays with what it said";
  EXPECT_EQ(*Library::open(options())->kv_layout(op()), Layout::nhd);
}

TEST_F(CacheRecord, WhatIsNoCacheIsSaid) {
  const auto library = Library::open(options());
  ASSERT_TRUE(library);
  const auto message = [](const auto& found) { return found ? "" : found.error().message; };
  EXPECT_NE(message(library->kv_layout("relu rows=1 width=8")).find("kv_layout"),
            std::string::npos);
  EXPECT_NE(message(library->kv_layout("relu")).find("rows"), std::string::npos);
  Attention empty = op();
  empty.dim = 0;
  EXPECT_NE(message(library->kv_layout(empty)).find("dim"), std::string::npos);
}

TEST_F(CacheRecord, TheCInterfaceSaysIt) {
  record_cache("kv_layout=hnd");
  lathe_library* library = nullptr;
  ASSERT_EQ(lathe_library_open("", kThreads, path_.c_str(), &library), LATHE_OK);
  lathe_kv_layout layout = LATHE_KV_NHD;
  EXPECT_EQ(lathe_library_kv_layout(library, kProblem, &layout), LATHE_OK) << lathe_last_error();
  EXPECT_EQ(layout, LATHE_KV_HND);
  EXPECT_EQ(lathe_library_kv_layout(library, "relu rows=1 width=8", &layout),
            LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(layout, LATHE_KV_NHD);
  EXPECT_EQ(lathe_library_kv_layout(library, kProblem, nullptr), LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_library_kv_layout(library, nullptr, &layout), LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_library_kv_layout(nullptr, kProblem, &layout), LATHE_INVALID_ARGUMENT);
  lathe_library_close(library);
}

TEST_F(LayoutRecord, OneThatIsNoCandidateIsLeftAlone) {
  for (const char* schedule : {"panel=56", "panel=", "panel=16x", "unroll=4", ""}) {
    record(key(), schedule);
    EXPECT_EQ(packed_panel(), candidates_.front().panel) << schedule;
  }
  const compiler::SharedOperand& weight = compiler::weight_operand();
  EXPECT_EQ(layout_in(weight, "panel=24"), "24");
  EXPECT_EQ(layout_in(weight, "panel=24 unroll=2"), "");
  EXPECT_EQ(layout_in(weight, "panels=24"), "");
}

// Written out, as stores have them that were made before caches had layouts, too.
TEST_F(LayoutRecord, ItsFormStays) {
  store::Key written = key();
  written.problem = "weight n=72 k=40 weight=f32";
  written.family = "weight";
  written.family_revision = (*compiler::find_family("linear"))->revision;
  written.at = "rows=1";
  EXPECT_EQ(written, key());
  record(written, other_schedule());
  EXPECT_EQ(packed_panel(), other_);
}

}  // namespace
}  // namespace lathe::runtime
