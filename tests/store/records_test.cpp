// Keys, identities and checksums.
#include "store/records.h"

#include <set>

#include <gtest/gtest.h>

#include "store/fields.h"
#include "tests/store/sample.h"

namespace lathe::store {
namespace {

using tests::sample_key;
using tests::sample_trial;
using tests::sample_winner;

TEST(Records, DifferencesNameEveryField) {
  const Key wanted = sample_key("host");
  EXPECT_EQ(differences(wanted, wanted), "");
  Key found = wanted;
  found.family_revision = 2;
  found.threads = 8;
  found.deterministic = true;
  found.at = "";
  EXPECT_EQ(differences(found, wanted),
            "family revision 2 ≠ 1, threads 8 ≠ 4, at (none) ≠ rows=512, deterministic yes ≠ no");
}

TEST(Records, EveryFieldOfAKeyIsCompared) {
  const Key key = sample_key("host");
  int fields = 0;
  for_each_field(key, [&](const char*, const auto&) { ++fields; });
  for (int changed = 0; changed < fields; ++changed) {
    Key other = key;
    int index = 0;
    for_each_field(other, [&](const char*, auto& value) {
      if (index++ != changed) return;
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
        value += "x";
      } else {
        value = static_cast<std::decay_t<decltype(value)>>(value + 1);
      }
    });
    EXPECT_NE(other, key) << changed;
    EXPECT_NE(differences(other, key), "") << changed;
  }
}

TEST(Records, HostIdStandsForDeviceAndIdentity) {
  const std::string id = host_id("cpu", "a b");
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(id, host_id("cpu", "a b"));
  EXPECT_NE(id, host_id("cpua", " b"));
  EXPECT_NE(id, host_id("cpu", "a c"));
}

TEST(Records, ChecksumSeesEveryField) {
  const Key key = sample_key("host");
  const Winner winner = sample_winner();
  std::set<std::int64_t> sums = {checksum(key, winner)};
  std::size_t changes = 1;
  int fields = 0;
  for_each_field(winner, [&](const char*, const auto&) { ++fields; });
  for (int changed = 0; changed < fields; ++changed) {
    Winner other = winner;
    int index = 0;
    for_each_field(other, [&](const char*, auto& value) {
      if (index++ != changed) return;
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
        value += "x";
      } else {
        value += 1;
      }
    });
    sums.insert(checksum(key, other));
    ++changes;
  }
  sums.insert(checksum(sample_key("other"), winner));
  ++changes;
  EXPECT_EQ(sums.size(), changes);
  Trial trial = sample_trial();
  const std::int64_t before = checksum(key, trial);
  trial.batches_ns[1] += 1;
  EXPECT_NE(checksum(key, trial), before);
}

// Files are merged between machines and versions: the sum must stay what it is.
TEST(Records, ChecksumIsFrozen) {
  EXPECT_EQ(checksum(sample_key("host"), sample_winner()), -4216107538427720552);
  EXPECT_EQ(checksum(sample_key("host"), sample_trial()), -4395570368570472099);
  Winner negative_zero = sample_winner();
  negative_zero.gflops = 0.0;
  const std::int64_t zero = checksum(sample_key("host"), negative_zero);
  negative_zero.gflops = -0.0;
  EXPECT_EQ(checksum(sample_key("host"), negative_zero), zero) << "SQLite keeps no sign of zero";
  EXPECT_EQ(host_id("cpu", "x86_64 isa=fff"), "7a1bbfaf35fb3377");
}

TEST(Records, StatesByName) {
  for (int state = 0; state < 5; ++state) {
    const auto value = static_cast<TrialState>(state);
    EXPECT_EQ(parse_trial_state(to_string(value)), value);
  }
  EXPECT_EQ(parse_trial_state("lost"), std::nullopt);
  EXPECT_EQ(to_string(static_cast<TrialState>(99)), "unknown");
}

}  // namespace
}  // namespace lathe::store
