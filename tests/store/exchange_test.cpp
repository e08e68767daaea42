// Merging, exporting, summing up and pruning.
#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "store/store.h"
#include "support/files.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using lathe::tests::TemporaryFolder;
using tests::sample_host;
using tests::sample_key;
using tests::sample_trial;
using tests::sample_winner;

class Exchange : public testing::Test {
 protected:
  Store open(const std::string& name) {
    auto store = Store::open(folder_ / name);
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }
  TemporaryFolder folder_;
};

TEST_F(Exchange, MergeUnitesAndIsIdempotent) {
  Store a = open("a.db");
  Store b = open("b.db");
  const std::string host_a = sample_host(a, "machine a");
  const std::string host_b = sample_host(b, "machine b");
  ASSERT_TRUE(a.record_trial(sample_key(host_a), sample_trial(1)));
  ASSERT_TRUE(a.record_winner(sample_key(host_a), sample_winner()));
  ASSERT_TRUE(b.record_trial(sample_key(host_b), sample_trial(1)));
  ASSERT_TRUE(b.record_trial(sample_key(host_b), sample_trial(2)));
  ASSERT_TRUE(b.record_winner(sample_key(host_b), sample_winner()));
  const auto counts = a.merge(folder_ / "b.db");
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->hosts, 1);
  EXPECT_EQ(counts->trials_added, 2);
  EXPECT_EQ(counts->winners_added, 1);
  EXPECT_EQ(a.hosts()->size(), 2u);
  EXPECT_TRUE(a.find(sample_key(host_b))->winner);
  EXPECT_EQ(a.trials(sample_key(host_b))->size(), 2u);
  const auto again = a.merge(folder_ / "b.db");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->hosts + again->trials_added + again->winners_added + again->winners_replaced, 0);
  EXPECT_EQ(again->trials_known, 2);
  EXPECT_EQ(again->winners_kept, 1);
  EXPECT_EQ(b.hosts()->size(), 1u) << "the other file is only read";
}

/// The schedule that is left after merging two winners for one key, either way round.
std::string survivor(Winner first, Winner second) {
  std::string names[2];
  for (const bool swapped : {false, true}) {
    const TemporaryFolder folder;
    auto a = *Store::open(folder / "a.db");
    auto b = *Store::open(folder / "b.db");
    const std::string host = sample_host(a);
    sample_host(b);
    EXPECT_TRUE(a.record_winner(sample_key(host), swapped ? second : first));
    EXPECT_TRUE(b.record_winner(sample_key(host), swapped ? first : second));
    EXPECT_TRUE(a.merge(folder / "b.db"));
    names[swapped ? 1 : 0] = a.find(sample_key(host))->winner->schedule;
  }
  EXPECT_EQ(names[0], names[1]) << "the same in either direction";
  return names[0];
}

TEST_F(Exchange, BetterWinnerStays) {
  Winner a = sample_winner();
  Winner b = sample_winner();
  a.schedule = "a";
  b.schedule = "b";
  a.recorded_us = b.recorded_us = 1000;
  EXPECT_EQ(survivor(a, b), "a") << "all alike: the smaller text";
  b.recorded_us = 2000;
  EXPECT_EQ(survivor(a, b), "b") << "the newer";
  a.confidence = 0.99;
  EXPECT_EQ(survivor(a, b), "a") << "the surer, though older";
  a.verified = "";
  EXPECT_EQ(survivor(a, b), "b") << "never one unchecked over one checked";
}

TEST_F(Exchange, RecordsThatCameAnotherWayAreTakenByTheSameRules) {
  Store a = open("a.db");
  const Host host{host_id("cpu", "there"), "cpu", "there", "There"};
  Winner winner = sample_winner();
  winner.recorded_us = 1000;
  const KeyedWinner record{sample_key(host.id), winner};
  using Fates = std::vector<Taken>;
  const auto take = [&](const KeyedWinner& one) { return a.take_over({&host, 1}, {&one, 1}); };
  EXPECT_EQ(*take(record), (Fates{Taken::added}));
  EXPECT_EQ(a.hosts()->size(), 1u);
  EXPECT_EQ(*take(record), (Fates{Taken::kept})) << "ours is as good";
  KeyedWinner other = record;
  other.winner.recorded_us = 2000;
  other.winner.schedule = "accumulators=8";
  EXPECT_EQ(*take(other), (Fates{Taken::replaced}));
  EXPECT_EQ(a.find(record.key)->winner->schedule, "accumulators=8");
  EXPECT_EQ(*take(record), (Fates{Taken::kept})) << "the older";
  other.winner.verified = "";
  other.winner.recorded_us = 3000;
  EXPECT_EQ(*take(other), (Fates{Taken::kept})) << "the newer, but never checked";
}

TEST_F(Exchange, OfRecordsThatCameAnotherWayAllAreTakenOrNone) {
  Store a = open("a.db");
  const Host host{host_id("cpu", "there"), "cpu", "there", "There"};
  const KeyedWinner good{sample_key(host.id), sample_winner()};
  const auto refused = [&](const KeyedWinner& bad) {
    const std::vector<KeyedWinner> records = {good, bad};
    const auto taken = a.take_over({&host, 1}, records);
    ASSERT_FALSE(taken);
    EXPECT_TRUE(a.winners()->empty()) << taken.error().message;
  };
  KeyedWinner bad = good;
  bad.key.host = host_id("cpu", "nowhere");
  refused(bad);
  bad = good;
  bad.key.problem = "";
  refused(bad);
  bad = good;
  bad.key.threads = 0;
  refused(bad);
  bad = good;
  bad.winner.tuned_ns = std::numeric_limits<double>::quiet_NaN();
  refused(bad);
  bad = good;
  bad.key.at = "another";
  bad.winner.why = std::string(2 << 20, 'w');  // longer than any record
  refused(bad);
  Host alias = host;
  alias.identity = "another";
  EXPECT_EQ(a.take_over({&alias, 1}, {&good, 1}).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(a.hosts()->empty());
}

TEST_F(Exchange, MergeRefusesWhatIsNoStore) {
  Store a = open("a.db");
  EXPECT_EQ(a.merge(folder_ / "missing.db").error().code, ErrorCode::not_found);
  EXPECT_EQ(a.merge(folder_ / "a.db").error().code, ErrorCode::invalid_argument);
  const std::string noise(5000, 'n');
  ASSERT_TRUE(support::write_file(folder_ / "noise.db", noise));
  EXPECT_EQ(a.merge(folder_ / "noise.db").error().code, ErrorCode::corrupt);
  EXPECT_EQ(*support::read_file(folder_ / "noise.db"), noise) << "left alone";
}

TEST_F(Exchange, ExportIsOneDocument) {
  Store a = open("a.db");
  const std::string host = sample_host(a);
  ASSERT_TRUE(a.record_trial(sample_key(host), sample_trial(3)));
  ASSERT_TRUE(a.record_winner(sample_key(host), sample_winner()));
  const auto text = a.export_json();
  ASSERT_TRUE(text) << text.error().message;
  const auto json = nlohmann::json::parse(*text);
  EXPECT_EQ(json["schema"], schema_version());
  EXPECT_EQ(json["hosts"][0]["id"], host);
  const auto& winner = json["winners"][0];
  EXPECT_EQ(winner["key"]["problem"], sample_key(host).problem);
  EXPECT_EQ(winner["key"]["deterministic"], false);
  EXPECT_EQ(winner["schedule"], "accumulators=4");
  EXPECT_EQ(winner["roofline_fraction"], 0.81);
  const auto& trial = json["trials"][0];
  EXPECT_EQ(trial["state"], "timed");
  EXPECT_EQ(trial["batches_ns"], (std::vector<float>{1000.5F, 990.25F, 1003.0F}));
  EXPECT_EQ(trial["key"], winner["key"]);
}

TEST_F(Exchange, ExportReadsAsIfPrintedInOnePiece) {
  Store a = open("a.db");
  const auto printed_again = [&] {
    return nlohmann::ordered_json::parse(a.export_json().value_or("null")).dump(2);
  };
  EXPECT_EQ(a.export_json().value_or(""), printed_again()) << "of an empty store";
  const std::string host = sample_host(a);
  for (int i = 0; i < 3; ++i) {
    Trial trial = sample_trial(i);
    trial.detail = "two\nlines, \"quoted\"";
    ASSERT_TRUE(a.record_trial(sample_key(host, i), trial));
    ASSERT_TRUE(a.record_winner(sample_key(host, i), sample_winner()));
  }
  EXPECT_EQ(a.export_json().value_or(""), printed_again());
}

TEST_F(Exchange, MergeTakesWhatAnotherUserOwns) {
  Store a = open("a.db");
  {
    Store b = open("b.db");
    ASSERT_TRUE(b.record_winner(sample_key(sample_host(b)), sample_winner()));
  }
  if (::chown((folder_ / "b.db").c_str(), 12345, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root may give files away";
  const auto counts = a.merge(folder_ / "b.db");
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->winners_added, 1);
}

TEST_F(Exchange, ExportOfTextThatIsNotUtf8) {
  Store a = open("a.db");
  Key key = sample_key(sample_host(a));
  key.problem += "\xff\xfe";
  ASSERT_TRUE(a.record_winner(key, sample_winner()));
  const auto text = a.export_json();
  ASSERT_TRUE(text);
  EXPECT_TRUE(nlohmann::json::accept(*text));
}

TEST_F(Exchange, SummaryCounts) {
  Store a = open("a.db");
  const std::string host = sample_host(a);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(a.record_trial(sample_key(host), sample_trial(i)));
  ASSERT_TRUE(a.record_trial(sample_key(host, 72), sample_trial()));
  ASSERT_TRUE(a.record_winner(sample_key(host), sample_winner()));
  sample_host(a, "an idle machine");
  const auto summary = a.summary();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->schema_version, schema_version());
  EXPECT_EQ(summary->journal_mode, "wal");
  EXPECT_GT(summary->file_bytes, 0);
  ASSERT_EQ(summary->hosts.size(), 2u);
  const HostSummary& used = summary->hosts[summary->hosts[0].host.id == host ? 0 : 1];
  const HostSummary& idle = summary->hosts[summary->hosts[0].host.id == host ? 1 : 0];
  EXPECT_TRUE(idle.families.empty());
  ASSERT_EQ(used.families.size(), 1u);
  EXPECT_EQ(used.families[0].family, "rms_norm");
  EXPECT_EQ(used.families[0].keys, 2);
  EXPECT_EQ(used.families[0].trials, 4);
  EXPECT_EQ(used.families[0].winners, 1);
}

TEST_F(Exchange, PruneForgetsOldRevisionsOnly) {
  Store a = open("a.db");
  const std::string host = sample_host(a);
  Key old = sample_key(host);
  Key current = old;
  current.family_revision = 2;
  Key other = old;
  other.family = "softmax";
  for (const Key& key : {old, current, other}) {
    ASSERT_TRUE(a.record_trial(key, sample_trial()));
    ASSERT_TRUE(a.record_winner(key, sample_winner()));
  }
  const std::vector<std::pair<std::string, int>> revisions = {{"rms_norm", 2}, {"gelu", 9}};
  const auto counts = a.prune(revisions);
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->keys, 1);
  EXPECT_EQ(counts->trials, 1);
  EXPECT_EQ(counts->winners, 1);
  EXPECT_FALSE(a.find(old)->winner);
  EXPECT_TRUE(a.find(current)->winner);
  EXPECT_TRUE(a.find(other)->winner);
  EXPECT_EQ(a.prune(revisions)->keys, 0);
  EXPECT_EQ(*a.check(), "ok");
}

}  // namespace
}  // namespace lathe::store
