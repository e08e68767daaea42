// What is said of a damaged record and of a damaged file: the reason that a user reads.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include "store/store.h"
#include "support/files.h"
#include "support/log.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"

namespace lathe::store {
namespace {

using tests::sample_host;
using tests::sample_key;
using tests::sample_trial;
using tests::sample_winner;

class StoreDamage : public testing::Test {
 protected:
  StoreDamage() { support::set_log_level(support::LogLevel::error); }  // warnings are expected
  std::filesystem::path path() const { return cache_.store(); }

  /// A store with a winner and a trial in the file alone, not in a journal; its host.
  std::string make_store() {
    auto store = Store::open_default({.journal = Journal::rollback});
    EXPECT_TRUE(store) << store.error().message;
    std::string host = sample_host(*store);
    EXPECT_TRUE(store->record_winner(sample_key(host), sample_winner()));
    EXPECT_TRUE(store->record_trial(sample_key(host), sample_trial()));
    return host;
  }

  void execute(const std::string& sql) {
    SQLite::Database database(path().string(), SQLite::OPEN_READWRITE);
    database.exec(sql);
  }

  tests::CacheFolder cache_;
};

// One field of a record changed, whichever it is: no record, and the reason why.
TEST_F(StoreDamage, ARecordWhoseChecksumDoesNotHoldIsAMissWithItsReason) {
  for (const char* change :
       {"schedule = 'accumulators=2'", "tuned_ns = tuned_ns / 2", "verified = ''",
        "roofline_fraction = 0.9", "trials = 13", "checksum = checksum + 1"}) {
    const std::string host = make_store();
    execute(std::string("UPDATE winners SET ") + change);
    auto store = Store::open_default();
    ASSERT_TRUE(store) << store.error().message;
    const auto lookup = store->find(sample_key(host));
    ASSERT_TRUE(lookup) << lookup.error().message;
    EXPECT_FALSE(lookup->winner) << change;
    EXPECT_EQ(lookup->miss.reason, "the record is damaged: its checksum does not hold") << change;
    EXPECT_EQ(*store->check(), "1 records fail their checksum") << change;
    EXPECT_TRUE(store->winners()->empty()) << change;
    // Tuned again, it is there again.
    ASSERT_TRUE(store->record_winner(sample_key(host), sample_winner()));
    EXPECT_TRUE(store->find(sample_key(host))->winner) << change;
    EXPECT_EQ(*store->check(), "ok");
  }
}

// A record that speaks of another key than it was made for.
TEST_F(StoreDamage, ARecordUnderAnotherKeyIsDamaged) {
  const std::string host = make_store();
  execute("UPDATE keys SET threads = 8");
  auto store = *Store::open_default();
  Key key = sample_key(host);
  key.threads = 8;
  const auto lookup = store.find(key);
  ASSERT_TRUE(lookup) << lookup.error().message;
  EXPECT_FALSE(lookup->winner);
  EXPECT_EQ(lookup->miss.reason, "the record is damaged: its checksum does not hold");
}

TEST_F(StoreDamage, DamagedTrialsAndWinnersAreNeitherListedNorTakenOver) {
  const std::string host = make_store();
  execute("UPDATE trials SET median_ns = 1; UPDATE winners SET speedup = 100");
  auto other = *Store::open(cache_.home() / "other.db");
  const auto counts = other.merge(path());
  ASSERT_TRUE(counts) << counts.error().message;
  EXPECT_EQ(counts->damaged, 2);
  EXPECT_EQ(counts->trials_added, 0);
  EXPECT_EQ(counts->winners_added, 0);
  auto store = *Store::open_default();
  EXPECT_TRUE(store.trials(sample_key(host))->empty());
  EXPECT_EQ(*store.check(), "2 records fail their checksum");
}

// The note names what was found.
TEST_F(StoreDamage, ADamagedFileIsSetAsideWithTheReason) {
  // Numbers of SQLite's header, big-endian.
  const auto with_number = [](std::string bytes, size_t at, uint32_t number) {
    for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(number >> (24 - 8 * i));
    return bytes;
  };
  constexpr size_t kUserVersion = 60, kApplicationId = 68;
  const auto note_of = [&](const std::string& bytes) {
    EXPECT_TRUE(support::write_file(path(), bytes));
    auto store = Store::open_default();
    EXPECT_TRUE(store) << store.error().message;
    return store ? store->recovery_note().value_or("no note") : "no store";
  };
  make_store();
  const std::string sound = *support::read_file(path());
  execute("DROP TABLE trials");
  const std::string without_trials = *support::read_file(path());
  EXPECT_EQ(note_of(sound), "no note");
  const auto expect_reason = [&](const std::string& bytes, const std::string& reason) {
    const std::string note = note_of(bytes);
    EXPECT_NE(note.find("the store " + path().string() + " was damaged (" + reason +
                        "); it was set aside as "),
              std::string::npos)
        << note;
  };
  expect_reason(sound.substr(0, sound.size() - 1), "its last page is cut");
  expect_reason(with_number(sound, kApplicationId, 7), "its header was overwritten");
  expect_reason(with_number(sound, kUserVersion, 0x40000000), "its header names schema 1073741824");
  expect_reason(without_trials, "tables or indexes are missing");
  expect_reason(std::string(9000, 'z'), "it does not begin as an SQLite database does");
}

}  // namespace
}  // namespace lathe::store
