// The shadow memory: which pairs of accesses are races.
#include "ir/plan/race_check.h"

#include <array>

#include <gtest/gtest.h>

namespace lathe::ir::plan {
namespace {

class RaceCheckTest : public testing::Test {
 protected:
  RaceCheckTest() {
    check_.watch(memory_.data(), 64);
    check_.begin_loop();
    check_.begin_iteration();
  }
  auto read(int64_t at, int64_t bytes = 4) { return check_.read(memory_.data() + at, bytes); }
  auto write(int64_t at, int64_t bytes = 4) { return check_.wrote(memory_.data() + at, bytes); }
  void next() { check_.begin_iteration(); }

  std::array<std::byte, 96> memory_{};
  RaceCheck check_;
};

TEST_F(RaceCheckTest, OneIterationMayDoAnything) {
  EXPECT_FALSE(write(0));
  EXPECT_FALSE(read(0));
  EXPECT_FALSE(write(2));
}

TEST_F(RaceCheckTest, ManyMayRead) {
  EXPECT_FALSE(read(0));
  next();
  EXPECT_FALSE(read(0));
}

TEST_F(RaceCheckTest, NeighboursMayBeWritten) {
  EXPECT_FALSE(write(0));
  next();
  EXPECT_FALSE(write(4));
}

TEST_F(RaceCheckTest, WriteAfterWrite) {
  EXPECT_FALSE(write(0));
  next();
  const auto race = write(2);
  ASSERT_TRUE(race);
  EXPECT_EQ(race->first, 0);
  EXPECT_EQ(race->second, 1);
  EXPECT_TRUE(race->first_writes && race->second_writes);
  EXPECT_EQ(race->offset, 0);
  EXPECT_EQ(race->bytes, 2);
}

TEST_F(RaceCheckTest, ReadAfterWrite) {
  EXPECT_FALSE(write(6, 1));
  next();
  const auto race = read(4);
  ASSERT_TRUE(race);
  EXPECT_TRUE(race->first_writes);
  EXPECT_FALSE(race->second_writes);
  EXPECT_EQ(race->offset, 2);
  EXPECT_EQ(race->bytes, 1);
}

TEST_F(RaceCheckTest, WriteAfterRead) {
  EXPECT_FALSE(read(0));
  next();
  const auto race = write(0);
  ASSERT_TRUE(race);
  EXPECT_FALSE(race->first_writes);
  EXPECT_TRUE(race->second_writes);
}

TEST_F(RaceCheckTest, TheFirstOfManyReadersMayNotWrite) {
  EXPECT_FALSE(read(0));
  next();
  EXPECT_FALSE(read(0));
  next();
  const auto race = write(0);
  ASSERT_TRUE(race);
  EXPECT_EQ(race->first, 0);
}

TEST_F(RaceCheckTest, TheLastOfManyReadersMayNotWrite) {
  EXPECT_FALSE(read(0));
  next();
  EXPECT_FALSE(read(0));
  const auto race = write(0);
  ASSERT_TRUE(race);
  EXPECT_EQ(race->first, 0);
  EXPECT_EQ(race->second, 1);
}

TEST_F(RaceCheckTest, LoopsDoNotRaceWithEachOther) {
  EXPECT_FALSE(write(0));
  EXPECT_FALSE(read(8));
  check_.begin_loop();
  next();
  EXPECT_FALSE(read(0));
  EXPECT_FALSE(write(8));
  next();
  EXPECT_EQ(read(8)->first, 0);
}

TEST_F(RaceCheckTest, MemoryThatIsNotWatchedIsNotChecked) {
  EXPECT_FALSE(write(64));
  next();
  EXPECT_FALSE(write(64));
}

TEST(RaceCheck, OverlappingRegionsAreOne) {
  std::array<std::byte, 64> memory{};
  RaceCheck check;
  check.watch(memory.data(), 16);
  check.watch(memory.data() + 32, 16);
  check.watch(memory.data() + 8, 32);
  check.watch(nullptr, 0);
  check.begin_loop();
  check.begin_iteration();
  EXPECT_FALSE(check.wrote(memory.data(), 48));
  check.begin_iteration();
  EXPECT_EQ(check.read(memory.data() + 12, 30)->bytes, 30);
}

}  // namespace
}  // namespace lathe::ir::plan
