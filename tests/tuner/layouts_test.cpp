// Layouts of weights in whole sessions, whose worker makes the times up.
#include <algorithm>
#include <cstdlib>
#include <set>

#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "compiler/choose_layout.h"
#include "runtime/library/choose_schedule.h"
#include "support/interrupt.h"
#include "tests/temporary_folder.h"
#include "tests/tuner/kernels.h"
#include "tuner/session.h"

namespace lathe::tuner {
namespace {

class Layouts : public testing::Test {
 protected:
  void SetUp() override {
    const char* worker = std::getenv("LATHE_FAKE_WORKER");
    ASSERT_NE(worker, nullptr) << "LATHE_FAKE_WORKER names no program";
    worker_ = worker;
    const auto& backend = test_backends().front();
    auto avx2 = backend->target("avx2", "");  // of which nothing is run
    ASSERT_TRUE(avx2) << avx2.error().message;
    options_.target = {std::move(*avx2), backend};
    options_.effort = Effort::quick;
    auto opened = store::Store::open(folder_ / "store.db");
    ASSERT_TRUE(opened) << opened.error().message;
    store_.emplace(std::move(*opened));
    add(1);
    add(512);
  }
  void TearDown() override { support::set_interrupted(false); }

  void add(int64_t rows, const std::string& parameters = "n=96 k=64 weight=bf16") {
    Task task;
    const auto problem =
        compiler::parse_problem(fmt::format("linear rows={} {}", rows, parameters));
    ASSERT_TRUE(problem) << problem.error().message;
    task.problem = *problem;
    task.at = {{"rows", rows}};
    task.pass = fmt::format("{} tokens", rows);
    tasks_.push_back(std::move(task));
  }

  SessionResult run(const std::vector<std::string>& times,
                    const std::function<void(const Progress&)>& progress = nullptr) {
    options_.worker_command = {worker_};
    options_.worker_command.insert(options_.worker_command.end(), times.begin(), times.end());
    auto result = run_session(tasks_, options_, *store_, progress);
    EXPECT_TRUE(result) << result.error().message;
    return result ? *result : SessionResult{};
  }

  static int64_t panel_of(const LayoutResult& result) { return std::stoll(result.layout); }

  // What a library would pack the tasks' weight in.
  int64_t panel_in_store() {
    runtime::RecordContext context;
    context.threads = options_.threads;
    const compiler::LayoutCandidates weight = compiler::candidates_of(
        compiler::layout_of(tasks_.front().problem), options_.target.target);
    return std::stoll(*runtime::choose_layout(weight, options_.target.target, context, *store_));
  }

  // The session's choice, which must be that of the store and have a record for each kernel.
  int64_t choice(const SessionResult& result) {
    EXPECT_EQ(result.layouts.size(), 1U);
    const int64_t panel = panel_of(result.layouts.front());
    EXPECT_EQ(panel, panel_in_store());
    for (const TaskResult& task : result.tasks) {
      EXPECT_EQ(task.task.problem.integer("panel"), panel);
      const auto lookup = store_->find(task.key);
      EXPECT_TRUE(lookup && lookup->winner) << task.key.problem;
      if (!lookup || !lookup->winner) continue;
      EXPECT_GT(lookup->winner->roofline_fraction, 0);
    }
    return panel;
  }

  tests::TemporaryFolder folder_;
  std::optional<store::Store> store_;
  std::vector<Task> tasks_;
  SessionOptions options_;
  std::string worker_;
};

TEST_F(Layouts, ASlowerDefaultLoses) {
  EXPECT_EQ(panel_in_store(), 24);
  const SessionResult result = run({"24=100", "16=90", "32=120"});
  EXPECT_EQ(choice(result), 16);
  const LayoutResult& weight = result.layouts.front();
  EXPECT_TRUE(weight.decided);
  EXPECT_NE(weight.why.find("panel=24 takes 1.111"), std::string::npos) << weight.why;
  EXPECT_NE(weight.why.find("rows=1,512"), std::string::npos) << weight.why;
  ASSERT_EQ(weight.standings.size(), 3U);
  EXPECT_EQ(weight.standings[0].layout, "24");
  EXPECT_DOUBLE_EQ(weight.standings[0].relative, 1);
  EXPECT_DOUBLE_EQ(weight.standings[1].relative, 0.9);
  EXPECT_DOUBLE_EQ(weight.standings[2].relative, 1.2);
  EXPECT_TRUE(weight.standings[0].dropped);
  EXPECT_FALSE(weight.standings[1].dropped);
  EXPECT_TRUE(weight.standings[2].dropped);
}

TEST_F(Layouts, ATieKeepsTheDefault) {
  const SessionResult result = run({});
  EXPECT_EQ(choice(result), 24);
  EXPECT_TRUE(result.layouts.front().decided);
  for (const auto& layout : result.layouts.front().standings) EXPECT_FALSE(layout.dropped);
}

// 512 tokens take a hundred times as long as one, and are asked for as much more seldom.
TEST_F(Layouts, EachPassCountsAlike) {
  EXPECT_EQ(choice(run({"24@512=10000", "16@512=8000", "16@1=130", "32@512=20000"})), 24);
}

TEST_F(Layouts, ItsShareOfThePassCounts) {
  Task other;
  other.problem = *compiler::parse_problem("relu rows=1 width=64");
  other.at = {{"rows", 1}};
  other.pass = tasks_.front().pass;
  other.weight = 9;  // takes nine tenths of the pass over one token
  tasks_.push_back(other);
  const SessionResult result = run({"24@512=10000", "16@512=8000", "16@1=130", "32@512=20000"});
  EXPECT_EQ(panel_of(result.layouts.front()), 16);
}

TEST_F(Layouts, WeightsOfOneShapeAndSeveralEpiloguesAreOne) {
  add(1, "n=96 k=64 weight=bf16 epilogue=add(y,vec(b))");
  EXPECT_EQ(choice(run({"16=90"})), 16);
}

TEST_F(Layouts, OthersAreChosenByThemselves) {
  add(1, "n=96 k=32 weight=bf16");
  const SessionResult result = run({"16=90"});
  ASSERT_EQ(result.layouts.size(), 2U);
  for (const LayoutResult& weight : result.layouts) EXPECT_EQ(panel_of(weight), 16);
}

TEST_F(Layouts, AChoiceStaysUntilItIsBeaten) {
  EXPECT_EQ(choice(run({"16=90"})), 16);
  const auto again = run({"24=50", "32=50"});
  EXPECT_EQ(choice(again), 16) << "decided for these rows: the layouts do not meet again";
  EXPECT_TRUE(again.layouts.front().decided);
  for (const TaskResult& task : again.tasks) EXPECT_TRUE(task.from_earlier_run);
  add(16);  // another sum
  EXPECT_EQ(choice(run({})), 16) << "a tie";
  tasks_.pop_back();
  EXPECT_EQ(choice(run({"24=50", "32=50"})), 24) << "its last sum was another: they meet again";
}

TEST_F(Layouts, AnotherSumDecidesAnew) {
  EXPECT_EQ(choice(run({"16=90"})), 16);
  add(16);
  // The times of before stay in the store; what counts is how the layouts meet today.
  EXPECT_EQ(choice(run({"16=90", "32=70"})), 32);
}

// A layout that is not far behind is tuned, too, and meets the first once more.
TEST_F(Layouts, AnUntunedLayoutIsNotDroppedForALittle) {
  options_.effort = Effort::full;
  const auto space = [&](int64_t panel) {
    const auto problem = compiler::with_layout(tasks_[1].problem, std::to_string(panel));
    return problem->family().space(*problem, options_.target.target);
  };
  // A schedule that is no layout's default.
  const auto usual = space(32).default_schedule()["mc"];
  const std::string better = usual == 96 ? "mc=48" : "mc=96";
  const SessionResult result = run({"32=102", "16=150", "32@512/" + better + "=70"});
  EXPECT_EQ(choice(result), 32);
  EXPECT_NE(result.tasks[1].winner->schedule.find(better), std::string::npos);
  EXPECT_TRUE(result.layouts.front().standings[1].dropped) << "panels of 16";
}

TEST_F(Layouts, AnInterruptedMeetingDecidesNothingAndIsHeldAgain) {
  // While the second task's layouts race: those of the first have been timed.
  std::set<std::string> reported;
  const auto first = run({"16=90"}, [&](const Progress& progress) {
    reported.insert(progress.current);
    if (reported.count("linear rows=512..2047 n=96 k=64 weight=bf16") != 0)
      support::set_interrupted(true);
  });
  EXPECT_TRUE(first.interrupted);
  EXPECT_EQ(choice(first), 24);
  EXPECT_FALSE(first.layouts.front().decided);
  support::set_interrupted(false);
  const auto second = run({"16=90"});
  EXPECT_EQ(choice(second), 16);
  EXPECT_TRUE(second.layouts.front().decided);
}

// Whenever a session ends, the choice is one whose kernels all have records.
TEST_F(Layouts, EveryMomentLeavesAConsistentChoice) {
  for (int stop = 1; stop < 40; stop += 3) {
    int reports = 0;
    const auto result = run({"16=90"}, [&](const Progress&) {
      if (++reports == stop) support::set_interrupted(true);
    });
    support::set_interrupted(false);
    const int64_t panel = panel_in_store();
    EXPECT_EQ(panel_of(result.layouts.front()), panel);
    if (panel == 24) continue;
    EXPECT_EQ(choice(result), 16);
  }
  EXPECT_EQ(choice(run({"16=90"})), 16);
}

TEST_F(Layouts, ALayoutThatCrashesIsLeftOut) {
  const SessionResult result = run({"32=80", "crash=16"});
  EXPECT_EQ(choice(result), 32);
  EXPECT_TRUE(result.layouts.front().standings[1].dropped);
  EXPECT_EQ(result.layouts.front().standings[1].relative, 0) << "not every kernel was timed";
}

TEST_F(Layouts, WhereAllOthersCrashTheDefaultStays) {
  const SessionResult result = run({"crash=16", "crash=32"});
  EXPECT_EQ(choice(result), 24);
}

TEST_F(Layouts, WithoutComparingEachTaskKeepsItsOwn) {
  options_.compare_layouts = false;
  const SessionResult result = run({"24=50"});
  EXPECT_TRUE(result.layouts.empty());
  for (const TaskResult& task : result.tasks) EXPECT_EQ(task.task.problem.integer("panel"), 16);
  EXPECT_EQ(panel_in_store(), 24);
}

// From a session to a weight and its kernels.
TEST_F(Layouts, ALibraryFollowsTheSession) {
  options_.target = test_target();
  const SessionResult result = run({"16=100", "8=80"});
  EXPECT_EQ(choice(result), 8);
  LibraryOptions options;
  options.target = options_.target.target.name;
  options.threads = options_.threads;
  options.store = (folder_ / "store.db").string();
  const auto library = Library::open(options);
  ASSERT_TRUE(library) << library.error().message;
  std::vector<uint16_t> bits(96 * 64, 0x3F00);  // 0.5
  const auto weight = library->pack_weight({bits.data(), DataType::bf16, {96, 64}});
  ASSERT_TRUE(weight) << weight.error().message;
  EXPECT_EQ(weight->layout(), "panels8 bf16 96x64");
  for (const int64_t rows : {1, 512}) {
    Linear op = weight->linear();
    op.rows = rows;
    const auto kernel = library->fetch(op);
    ASSERT_TRUE(kernel) << kernel.error().message;
    EXPECT_EQ(kernel->match(), Match::exact) << kernel->reason();
    std::vector<float> x(static_cast<size_t>(rows) * 64, 1), y(static_cast<size_t>(rows) * 96);
    ASSERT_TRUE((*kernel)({x.data(), {rows, 64}}, *weight, {}, {y.data(), {rows, 96}}));
    EXPECT_EQ(y.back(), 32);
  }
}

// Caches, whose layout prefill and decode of every length share.
class CacheLayouts : public Layouts {
 protected:
  void SetUp() override {
    Layouts::SetUp();
    tasks_.clear();
    add_attention("attention_decode", 1, 600);
    add_attention("attention_decode", 1, 3000);
    add_attention("attention_prefill", 40, 40);
  }

  void add_attention(const std::string& family, int64_t tokens, int64_t context,
                     const std::string& rest = "heads=4 kv_heads=2 dim=16 causal=end") {
    Task task;
    const auto problem = compiler::parse_problem(
        fmt::format("{} tokens={} context={} {}", family, tokens, context, rest));
    ASSERT_TRUE(problem) << problem.error().message;
    task.problem = *problem;
    task.at = {{"batch", 1}, {"tokens", tokens}, {"context", context}};
    task.pass = fmt::format("{} over {}", tokens, context);
    tasks_.push_back(std::move(task));
  }

  std::string layout_in_store() {
    runtime::RecordContext context;
    context.threads = options_.threads;
    const auto cache = shared_by(tasks_.front().problem, options_.target.target);
    return *runtime::choose_layout(*cache, options_.target.target, context, *store_);
  }

  // The session's choice, which must be that of the store and of every kernel's record.
  std::string choice_of(const SessionResult& result) {
    EXPECT_EQ(result.layouts.size(), 1U);
    const LayoutResult& cache = result.layouts.front();
    EXPECT_EQ(cache.candidates.name(), "cache kv_heads=2 dim=16 kv_type=f32");
    EXPECT_EQ(cache.layout, layout_in_store());
    for (const TaskResult& task : result.tasks) {
      EXPECT_EQ(task.task.problem.text("kv_layout"), cache.layout);
      const auto lookup = store_->find(task.key);
      EXPECT_TRUE(lookup && lookup->winner) << task.key.problem;
    }
    return cache.layout;
  }
};

TEST_F(CacheLayouts, PrefillAndDecodeShareTheOneOfTheLeastSum) {
  const SessionResult result = run({"hnd=80", "hnd@tokens=40=120"});
  EXPECT_EQ(choice_of(result), "hnd");
  const LayoutResult& cache = result.layouts.front();
  EXPECT_TRUE(cache.decided);
  EXPECT_NE(cache.why.find("tokens=1,40 context=40,600,3000"), std::string::npos) << cache.why;
  EXPECT_NE(cache.why.find("kv_layout=nhd takes 1.071 of kv_layout=hnd's time"), std::string::npos)
      << cache.why;
  ASSERT_EQ(cache.standings.size(), 2U);
  EXPECT_NEAR(cache.standings[1].relative, (0.8 + 0.8 + 1.2) / 3, 1e-9);
  EXPECT_TRUE(cache.standings[0].dropped);
}

TEST_F(CacheLayouts, ASlowPrefillOutweighsAFasterDecode) {
  EXPECT_EQ(choice_of(run({"hnd=80", "hnd@tokens=40=150"})), "nhd");
}

// Over a shorter context decode counts by its share of the whole pass over a token.
TEST_F(CacheLayouts, APartOfAPassCountsByItsShareOfIt) {
  Task rest;
  rest.problem = *compiler::parse_problem("relu rows=1 width=64");
  rest.at = {{"rows", 1}};
  rest.pass = tasks_[1].pass;
  rest.weight = 9;
  tasks_.push_back(rest);
  const std::vector<std::string> times = {"hnd=80", "hnd@tokens=40=115"};
  SessionResult result = run(times);
  EXPECT_EQ(result.layouts.front().layout, "hnd") << "600 keys count as much as a prefill";
  tasks_[0].part_of = rest.pass;
  store_.reset();
  store_.emplace(std::move(*store::Store::open(folder_ / "another.db")));
  result = run(times);
  EXPECT_EQ(result.layouts.front().layout, "nhd");
}

// A budget may not reach for all of them.
TEST_F(CacheLayouts, TheLargestShareOfThePassesMeetsFirst) {
  tasks_.clear();
  add(1, "n=96 k=64 weight=bf16 panel=24");
  add_attention("attention_decode", 1, 600);
  tasks_[1].weight = 9;
  for (Task& task : tasks_) task.pass = "1 token";
  options_.compare_layouts = false;
  run({});  // after which both are due
  options_.compare_layouts = true;
  std::string first;  // kernel in another layout that was raced
  run({}, [&](const Progress& progress) {
    const bool is_other = std::none_of(tasks_.begin(), tasks_.end(), [&](const Task& task) {
      return task.problem.line() == progress.current;
    });
    if (first.empty() && is_other) first = progress.current;
  });
  EXPECT_NE(first.find("kv_layout=hnd"), std::string::npos) << first;
}

TEST_F(CacheLayouts, ATieKeepsTokensFirst) { EXPECT_EQ(choice_of(run({})), "nhd"); }

TEST_F(CacheLayouts, WhatIsNoCacheIsLeftAlone) {
  for (const char* rest : {"heads=4 kv_heads=2 dim=16", "heads=4 kv_heads=2 dim=16 causal=start",
                           "heads=4 kv_heads=1 dim=16 causal=end"})
    add_attention("attention_prefill", 40, 40, rest);
  const SessionResult result = run({"hnd=80"});
  ASSERT_EQ(result.layouts.size(), 1U);
  for (size_t i = 0; i < tasks_.size(); ++i)
    EXPECT_EQ(result.tasks[i].task.problem.text("kv_layout"), i < 3 ? "hnd" : "nhd") << i;
}

TEST_F(CacheLayouts, OtherCachesChooseForThemselves) {
  add_attention("attention_decode", 1, 600, "heads=4 kv_heads=4 dim=16 kv_type=bf16");
  const SessionResult result = run({"hnd=80"});
  ASSERT_EQ(result.layouts.size(), 2U);
  EXPECT_EQ(result.layouts[1].candidates.name(), "cache kv_heads=4 dim=16 kv_type=bf16");
  for (const LayoutResult& cache : result.layouts) EXPECT_EQ(cache.layout, "hnd");
}

TEST_F(CacheLayouts, WithoutComparingTheDefaultServes) {
  options_.compare_layouts = false;
  const SessionResult result = run({"hnd=50"});
  EXPECT_TRUE(result.layouts.empty());
  EXPECT_EQ(layout_in_store(), "nhd");
}

// From a session to a cache and its kernels.
TEST_F(CacheLayouts, ALibraryRecommendsIt) {
  options_.target = test_target();
  EXPECT_EQ(choice_of(run({"hnd=80"})), "hnd");
  LibraryOptions options;
  options.target = options_.target.target.name;
  options.threads = options_.threads;
  options.store = (folder_ / "store.db").string();
  const auto library = Library::open(options);
  ASSERT_TRUE(library) << library.error().message;
  Attention op = {.heads = 4,
                  .kv_heads = 2,
                  .dim = 16,
                  .causal = Attention::Causal::end,
                  .tokens = 1,
                  .context = 3000};
  const auto layout = library->kv_layout(op);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(*layout, Attention::KvLayout::hnd);
  const auto before = library->fetch(op);
  ASSERT_TRUE(before) << before.error().message;
  op.kv_layout = *layout;
  const auto kernel = library->fetch(op);
  ASSERT_TRUE(kernel) << kernel.error().message;
  EXPECT_EQ(kernel->match(), Match::exact) << kernel->reason();
  EXPECT_NE(kernel->problem().find("kv_layout=hnd"), std::string_view::npos);
  op.dim = 8;
  EXPECT_EQ(*library->kv_layout(op), Attention::KvLayout::nhd) << "nothing was chosen for it";
}

}  // namespace
}  // namespace lathe::tuner
