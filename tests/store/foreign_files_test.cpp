// Files that are no stores, and stores made to do harm: refused by name, and left as they are.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "store/schema.h"
#include "store/store.h"
#include "support/files.h"
#include "tests/store/places.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using tests::look_of;
using tests::sample_host;
using tests::sample_key;
using tests::sample_winner;

class ForeignFiles : public testing::Test {
 protected:
  std::filesystem::path path() const { return folder_ / "file"; }

  /// Readers, writers and merges must refuse the file so; nothing in its folder may change.
  void expect_refused(ErrorCode code, const std::string& part) {
    const auto before = look_of(folder_.path());
    for (const OpenMode mode : {OpenMode::read_only, OpenMode::read_write}) {
      const auto store = Store::open(path(), {.mode = mode});
      ASSERT_FALSE(store) << part;
      expect_says(store.error(), code, part);
    }
    const lathe::tests::TemporaryFolder elsewhere;
    auto ours = Store::open(elsewhere / "lathe.db");
    ASSERT_TRUE(ours);
    const auto merged = ours->merge(path());
    ASSERT_FALSE(merged) << part;
    expect_says(merged.error(), code, part);
    EXPECT_TRUE(ours->winners()->empty());
    EXPECT_EQ(look_of(folder_.path()), before) << part;
  }
  static void expect_says(const Error& error, ErrorCode code, const std::string& part) {
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_NE(error.message.find(part), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("left alone"), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("--db"), std::string::npos) << error.message;
  }

  /// Makes a store of today's schema in which `sql` was run besides.
  void make_store(const std::string& sql) {
    std::filesystem::remove(path());
    std::vector<Migration> steps(migrations().begin(), migrations().end());
    steps.push_back({schema_version() + 1, sql.c_str()});
    ASSERT_TRUE(migrate_file(path(), steps));
    patch(60, static_cast<std::uint32_t>(schema_version()));
  }
  /// A big-endian number of SQLite's file header.
  void patch(std::size_t offset, std::uint32_t value) {
    std::string bytes = *support::read_file(path());
    for (std::size_t i = 0; i < 4; ++i)
      bytes[offset + i] = static_cast<char>(value >> (24 - 8 * i));
    ASSERT_TRUE(support::write_file(path(), bytes));
  }

  lathe::tests::TemporaryFolder folder_;
};

TEST_F(ForeignFiles, WhatIsNoDatabase) {
  for (const std::string& text :
       {std::string("{\"hidden_size\": 64}\n"), std::string("S"), std::string(1, '\0'),
        std::string("SQLite format 3"), std::string(9000, 'z'), std::string(4096, '\0')}) {
    ASSERT_TRUE(support::write_file(path(), text));
    ASSERT_EQ(::chmod(path().c_str(), 0666), 0);
    expect_refused(ErrorCode::corrupt, path().string() + " is no store");
  }
}

TEST_F(ForeignFiles, AnotherProgramsDatabase) {
  constexpr Migration kTheirs[] = {{1, "CREATE TABLE songs (title TEXT)"}};
  ASSERT_TRUE(migrate_file(path(), kTheirs));
  for (const std::uint32_t application : {0U, 0x12345678U}) {
    patch(68, application);
    expect_refused(ErrorCode::invalid_argument, "another program");
  }
}

// Without a table, but with somebody's mark.
TEST_F(ForeignFiles, AnotherProgramsEmptyDatabase) {
  constexpr Migration kNothing[] = {{1, "CREATE TABLE a (x); DROP TABLE a;"}};
  ASSERT_TRUE(migrate_file(path(), kNothing));
  patch(60, 0);
  patch(68, 0x12345678U);
  expect_refused(ErrorCode::invalid_argument, "another program");
}

TEST_F(ForeignFiles, ADamagedStore) {
  {
    auto store = Store::open(folder_ / "sound");
    ASSERT_TRUE(store->record_winner(sample_key(sample_host(*store)), sample_winner()));
  }
  const std::string bytes = *support::read_file(folder_ / "sound");
  for (const std::size_t length : {bytes.size() - 1, bytes.size() - 4096, bytes.size() / 2}) {
    ASSERT_TRUE(support::write_file(path(), bytes.substr(0, length)));
    expect_refused(ErrorCode::corrupt, "mv " + path().string());
  }
}

// What stands in a schema runs when statements do: none is believed that no store has.
TEST_F(ForeignFiles, StrangeSchemas) {
  struct Case {
    const char* sql;
    const char* says;
  };
  const Case cases[] = {
      {"DROP TABLE hosts; CREATE TABLE hosts (id TEXT PRIMARY KEY, device TEXT, identity TEXT, "
       "description TEXT AS (printf('%*c', 1000000000, 'x'))) WITHOUT ROWID",
       "its table 'hosts'"},
      {"ALTER TABLE winners ADD COLUMN big AS (hex(zeroblob(500000000)))", "its table 'winners'"},
      {"DROP TABLE hosts; CREATE VIEW hosts AS SELECT '' AS id, '' AS device, '' AS identity, "
       "printf('%*c', 1000000000, 'x') AS description",
       "the view 'hosts'"},
      {"CREATE TRIGGER grow AFTER INSERT ON keys BEGIN DELETE FROM winners; END",
       "the trigger 'grow'"},
      {"CREATE TABLE songs (title TEXT)", "the table 'songs'"},
      {"CREATE INDEX songs ON winners (hex(zeroblob(1000000)))", "the index 'songs'"},
      {"DROP TABLE winners", "missing"},
      {"DROP INDEX trials_by_key", "missing"},
  };
  for (const Case& one : cases) {
    make_store(one.sql);
    expect_refused(ErrorCode::corrupt, one.says);
  }
}

TEST_F(ForeignFiles, StatisticsOfAnalyzeAreHarmless) {
  make_store("ANALYZE");
  const auto store = Store::open(path(), {.mode = OpenMode::read_only});
  EXPECT_TRUE(store) << store.error().message;
}

TEST_F(ForeignFiles, AValueThatIsTooLong) {
  make_store("INSERT INTO hosts VALUES ('x', 'cpu', 'y', hex(zeroblob(2000000)))");
  auto store = Store::open(path(), {.mode = OpenMode::read_only});
  ASSERT_TRUE(store) << store.error().message;
  const auto hosts = store->hosts();
  ASSERT_FALSE(hosts);
  EXPECT_EQ(hosts.error().code, ErrorCode::corrupt) << hosts.error().message;
  EXPECT_NE(hosts.error().message.find("longer than 1024 KiB"), std::string::npos)
      << hosts.error().message;
}

TEST_F(ForeignFiles, AnEmptyFileIsForAWriter) {
  ASSERT_TRUE(support::write_file(path(), ""));
  const auto before = look_of(folder_.path());
  EXPECT_EQ(Store::open(path(), {.mode = OpenMode::read_only}).error().code, ErrorCode::not_found);
  EXPECT_EQ(look_of(folder_.path()), before);
  EXPECT_TRUE(Store::open(path()));
  EXPECT_TRUE(Store::open(path(), {.mode = OpenMode::read_only}));
}

}  // namespace
}  // namespace lathe::store
