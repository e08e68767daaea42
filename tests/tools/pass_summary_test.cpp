// What a session means for each pass, and tables that fit a terminal.
#include "tools/qwen3vl_tune/pass_summary.h"

#include <gtest/gtest.h>

#include "compiler/choose_layout.h"
#include "compiler/family.h"
#include "tools/common/layout_text.h"
#include "tools/common/output.h"

namespace lathe::tools {
namespace {

tuner::TaskResult result_of(const std::string& line, double default_ns, double tuned_ns,
                            const std::string& bound, double fraction,
                            std::vector<std::pair<std::string, int64_t>> launches) {
  tuner::TaskResult result;
  result.task.problem = *compiler::parse_problem(line);
  result.task.where = "text: " + line;
  result.task.pass = launches.empty() ? "" : launches.front().first;
  result.task.launches_in = std::move(launches);
  store::Winner winner;
  winner.default_ns = default_ns;
  winner.tuned_ns = tuned_ns;
  winner.speedup = default_ns / tuned_ns;
  winner.bound = bound;
  winner.roofline_fraction = fraction;
  result.winner = winner;
  return result;
}

std::vector<tuner::TaskResult> some_results() {
  return {result_of("linear rows=1 n=64 k=64", 4e6, 2e6, "memory", 0.9, {{"1 token", 10}}),
          result_of("relu rows=1 width=64", 1e6, 1e6, "memory", 0.5,
                    {{"1 token", 5}, {"16 tokens", 1}}),
          result_of("linear rows=16 n=64 k=64", 9e6, 9e6, "compute", 0.9, {{"16 tokens", 1}})};
}

TEST(PassSummary, AddsAllLaunchesOfEveryPass) {
  const auto passes = summarise(some_results());
  ASSERT_EQ(passes.size(), 2U);
  EXPECT_EQ(passes[0].pass, "1 token");
  EXPECT_EQ(passes[0].tokens, 1);
  EXPECT_DOUBLE_EQ(passes[0].default_ns, 45e6);
  EXPECT_DOUBLE_EQ(passes[0].tuned_ns, 25e6);
  EXPECT_DOUBLE_EQ(passes[0].per_second(), 40);
  EXPECT_DOUBLE_EQ(passes[0].memory_share, 1);
  EXPECT_EQ(passes[0].parts.front().kind, "linear");
  EXPECT_DOUBLE_EQ(passes[0].parts.front().share, 0.8);
  EXPECT_DOUBLE_EQ(passes[1].tuned_ns, 10e6) << "a kernel of an earlier pass counts in a later one";
  EXPECT_DOUBLE_EQ(passes[1].per_second(), 1600);
  EXPECT_DOUBLE_EQ(passes[1].memory_share, 0.1);
}

TEST(PassSummary, CountsWhatHasNoTime) {
  auto results = some_results();
  results[2].winner.reset();
  const auto passes = summarise(results);
  EXPECT_EQ(passes[1].missing, 1U);
  EXPECT_NE(summary_text(results).find("without 1 kernels"), std::string::npos);
}

TEST(PassSummary, SaysInWordsWhatAPersonWantsToKnow) {
  const std::string text = summary_text(some_results());
  for (const char* part :
       {"40.0 tokens/s", "1.80x", "memory (100 %)", "linear 80 %", "compute (90 %)",
        "Gained most: text: linear rows=1 n=64 k=64 (1 token) 2.00x",
        "attention over the longest context"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  EXPECT_EQ(text.find("100 % of a roof"), std::string::npos);
}

TEST(PassSummary, ExplainsAFractionAboveTheRoof) {
  auto results = some_results();
  results[0].winner->roofline_fraction = 1.2;
  EXPECT_NE(summary_text(results).find("Above 100 % of a roof"), std::string::npos);
}

TEST(LayoutText, SaysWhatIsChosenAndGained) {
  const std::vector<LayoutChoice> choices = {
      {&compiler::weight_operand(),
       "n=96 k=64 weight=bf16",
       "24",
       {{"24", 1, false}, {"16", 1.2, true}, {"32", 0, true}},
       "so"},
      {(*compiler::find_family("attention_decode"))->shared,
       "kv_heads=2 dim=16 kv_type=f32",
       "hnd",
       {{"nhd", 1, true}, {"hnd", 0.8, false}},
       "because"}};
  EXPECT_EQ(layout_gains_text(choices),
            "Gained by layouts: cache kv_heads=2 dim=16 kv_type=f32 by kv_layout=hnd 1.25x.\n");
  EXPECT_EQ(layout_gains_text({choices[0]}), "");
  EXPECT_EQ(layout_rows(choices)[1],
            (std::vector<std::string>{
                "weight n=96 k=64 weight=bf16", "panel=24",
                "panel=24 1.000, panel=16 1.200 (dropped), panel=32 - (dropped)", "so"}));
  const nlohmann::json weight = layout_json(choices[0]), cache = layout_json(choices[1]);
  EXPECT_EQ(weight["weight"].get<std::string>(), "n=96 k=64 weight=bf16");
  EXPECT_EQ(weight["panel"].get<int>(), 24);
  EXPECT_EQ(weight["candidates"][1]["panel"].get<int>(), 16);
  EXPECT_FALSE(weight["candidates"][2].contains("relative"));
  EXPECT_EQ(cache["cache"].get<std::string>(), "kv_heads=2 dim=16 kv_type=f32");
  EXPECT_EQ(cache["kv_layout"].get<std::string>(), "hnd");
  EXPECT_EQ(empty_layouts().dump(), R"({"caches":[],"weights":[]})");
}

TEST(FitTable, CutsWhatMayBeCutAndDropsWhatWouldBeNothing) {
  const std::vector<std::vector<std::string>> rows = {
      {"kernel", "time", "problem", "schedule"},
      {"norm", "12 µs", std::string(40, 'p'), std::string(90, 's')}};
  EXPECT_EQ(fit_table(rows, 0, {3, 2}), format_table(rows));
  const auto longest = [](const std::string& text) {
    size_t most = 0, line = 0;
    for (const char c : text) {
      if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
      line = c == '\n' ? 0 : line + 1;
      most = std::max(most, line);
    }
    return most;
  };
  for (const size_t columns : {80, 100, 120, 140}) {
    const std::string text = fit_table(rows, columns, {3, 2});
    EXPECT_LE(longest(text), columns) << text;
    EXPECT_NE(text.find("12 µs"), std::string::npos);
  }
  EXPECT_EQ(fit_table(rows, 60, {3, 2}).find("schedule"), std::string::npos)
      << "too little is left";
  EXPECT_NE(fit_table(rows, 100, {3, 2}).find("\u2026"), std::string::npos);
}

}  // namespace
}  // namespace lathe::tools
