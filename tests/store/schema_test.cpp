// Migrations: each step once, in order, all or none.
#include "store/schema.h"

#include <cstring>

#include <gtest/gtest.h>

#include "store/store.h"
#include "support/files.h"
#include "tests/store/sample.h"
#include "tests/temporary_folder.h"

namespace lathe::store {
namespace {

using lathe::tests::TemporaryFolder;

/// user_version, as it stands in the file's header.
int version_of(const std::filesystem::path& path) {
  const std::string bytes = support::read_file(path).value_or("");
  int version = 0;
  for (int i = 0; i < 4 && bytes.size() >= 64; ++i) {
    version = version << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(60 + i)]);
  }
  return version;
}

constexpr Migration kSteps[] = {
    {1, "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7);"},
    {2, "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 35;"},
    // Fails unless the steps before ran exactly once: the check refuses any other sum.
    {3, "CREATE TABLE b (sum INTEGER CHECK (sum = 42)); INSERT INTO b SELECT sum(x + y) FROM a;"},
};
constexpr std::span<const Migration> kAll = kSteps;

TEST(Schema, FromEveryOlderVersion) {
  for (std::size_t from = 0; from <= kAll.size(); ++from) {
    const TemporaryFolder folder;
    const auto file = folder / "a.db";
    if (from > 0) {
      ASSERT_TRUE(migrate_file(file, kAll.first(from)));
      EXPECT_EQ(version_of(file), static_cast<int>(from));
    }
    const Status status = migrate_file(file, kAll);
    ASSERT_TRUE(status) << from << ": " << status.error().message;
    EXPECT_EQ(version_of(file), 3);
    ASSERT_TRUE(migrate_file(file, kAll)) << "nothing is left to do";
    EXPECT_EQ(version_of(file), 3);
  }
}

TEST(Schema, AFailingStepLeavesTheFileAsItWas) {
  const TemporaryFolder folder;
  const auto file = folder / "a.db";
  ASSERT_TRUE(migrate_file(file, kAll.first(1)));
  constexpr Migration kBroken[] = {
      kSteps[0], kSteps[1], {3, "CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1);"}};
  const Status status = migrate_file(file, kBroken);
  ASSERT_FALSE(status);
  EXPECT_EQ(version_of(file), 1);
  EXPECT_TRUE(migrate_file(file, kAll)) << "the right steps still apply";
}

TEST(Schema, PublishedStepsAreInOrderAndEndAtTheVersion) {
  int version = 0;
  for (const Migration& step : migrations()) EXPECT_EQ(step.version, ++version);
  EXPECT_EQ(schema_version(), version);
}

TEST(Schema, AFileOfEachPublishedVersionOpens) {
  for (std::size_t from = 1; from <= migrations().size(); ++from) {
    const TemporaryFolder folder;
    ASSERT_TRUE(migrate_file(folder / "a.db", migrations().first(from)));
    auto store = Store::open(folder / "a.db");
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ(store->recovery_note(), std::nullopt);
    const std::string host = tests::sample_host(*store);
    ASSERT_TRUE(store->record_winner(tests::sample_key(host), tests::sample_winner()));
    EXPECT_EQ(store->summary()->schema_version, schema_version());
  }
}

}  // namespace
}  // namespace lathe::store
