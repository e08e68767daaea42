// The archive and its seal.
#include "runtime/packages/container.h"

#include <gtest/gtest.h>

#include "tests/runtime_packages/samples.h"

namespace lathe::runtime::packages {
namespace {

using tests::container_of;
using tests::entries_of;
using tests::sealed_again;

const std::vector<std::pair<std::string, std::string>> kEntries = {
    {"manifest.json", std::string(3000, 'm')}, {"a/b.json", "short"}, {"empty", ""}};

void put(std::string& bytes, std::size_t at, std::size_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

std::size_t get(const std::string& bytes, std::size_t at, std::size_t size) {
  std::size_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// Places of an archive's headers, each found by its mark.
std::vector<std::size_t> places(const std::string& bytes, const std::string& mark) {
  std::vector<std::size_t> found;
  for (std::size_t at = bytes.find(mark); at != std::string::npos; at = bytes.find(mark, at + 1))
    found.push_back(at);
  return found;
}
const std::string kLocal("PK\x03\x04", 4), kCentral("PK\x01\x02", 4), kEnd("PK\x05\x06", 4);

Result<std::string> read_first(const std::string& bytes, std::size_t most = 1 << 20) {
  LATHE_TRY(const Container container, Container::open(bytes, "x"));
  return container.read(0, most);
}

TEST(Container, GivesBackWhatWasPutIn) { EXPECT_EQ(entries_of(container_of(kEntries)), kEntries); }

TEST(Container, TheSameEntriesAreTheSameBytes) {
  const std::string bytes = container_of(kEntries);
  EXPECT_EQ(container_of(kEntries), bytes);
  EXPECT_LT(bytes.size(), 1000u) << "deflated";
  for (const std::size_t at : places(bytes, kLocal))
    EXPECT_EQ(get(bytes, at + 10, 4), 0x210000u) << "the time is always the same";
}

TEST(Container, EveryChangedByteIsFound) {
  const std::string bytes = container_of(kEntries);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int bit : {0, 7}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      const auto opened = Container::open(changed, "x");
      ASSERT_FALSE(opened) << "byte " << at;
      EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
    }
  }
}

TEST(Container, WhatWasCutOrAddedToIsFound) {
  const std::string bytes = container_of(kEntries);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    ASSERT_FALSE(Container::open(bytes.substr(0, size), "x")) << size << " bytes";
  EXPECT_FALSE(Container::open(bytes + '\0', "x"));
  EXPECT_FALSE(Container::open("x" + bytes, "x"));
  EXPECT_FALSE(Container::open(bytes + bytes, "x"));
}

TEST(Container, ChangesUnderANewSealAreReadSafely) {
  const std::string bytes = container_of(kEntries);
  for (std::size_t at = 0; at + tests::kSealDigits < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    const auto container = Container::open(sealed_again(changed), "x");
    for (std::size_t i = 0; container && i < container->size(); ++i) {
      const auto read = container->read(i, 1 << 20);
      if (!read || i >= kEntries.size()) continue;
      EXPECT_EQ(*read, kEntries[i].second) << "byte " << at << ": content has its checksum";
    }
  }
}

/// The first entry's size as the archive claims it, in both of its headers.
std::string claiming(std::string bytes, std::size_t size) {
  put(bytes, places(bytes, kLocal)[0] + 22, size, 4);
  put(bytes, places(bytes, kCentral)[0] + 24, size, 4);
  return sealed_again(std::move(bytes));
}

TEST(Container, BombsAreRefused) {
  const std::size_t real = 1 << 20;
  const std::string bomb = container_of({{"bomb", std::string(real, '\0')}});
  EXPECT_LT(bomb.size(), 4096u);
  EXPECT_EQ(read_first(bomb)->size(), real);
  const auto limited = read_first(bomb, 1000);
  ASSERT_FALSE(limited);
  EXPECT_NE(limited.error().message.find("claims 1048576 bytes"), std::string::npos);
  const auto hidden = read_first(claiming(bomb, 100), 1000);
  ASSERT_FALSE(hidden) << "it unpacks to more than it claims";
  EXPECT_EQ(hidden.error().code, ErrorCode::corrupt);
  const auto huge = read_first(claiming(bomb, 0xfffffff0), SIZE_MAX);
  ASSERT_FALSE(huge) << "no memory is asked for";
  EXPECT_NE(huge.error().message.find("than its packed form can hold"), std::string::npos)
      << huge.error().message;
}

TEST(Container, OtherMethodsAndDirectoriesAreRefused) {
  const std::string bytes = container_of(kEntries);
  const auto refused = [&](const std::string& mark, std::size_t offset, std::size_t value) {
    std::string changed = bytes;
    put(changed, places(bytes, mark)[0] + offset, value, 2);
    return !read_first(sealed_again(changed));
  };
  EXPECT_TRUE(refused(kCentral, 8, 1)) << "encrypted";
  EXPECT_TRUE(refused(kCentral, 10, 12)) << "another method";
  EXPECT_TRUE(refused(kEnd, 4, 1)) << "of several disks";
  EXPECT_TRUE(refused(kEnd, 8, 2)) << "two counts of entries";
  EXPECT_TRUE(refused(kEnd, 16, 0)) << "a directory elsewhere";
}

TEST(Container, Names) {
  for (const char* plain : {"a", "recipes.json", "a/b/c-1_2.so", "..a", "a..", "manifest.sig"})
    EXPECT_TRUE(is_plain_name(plain)) << plain;
  for (const char* other : {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\\b",
                            "C:a", "a b", "ä", "a\n"})
    EXPECT_FALSE(is_plain_name(other)) << other;
  EXPECT_FALSE(is_plain_name(std::string_view("a\0b", 3)));
  EXPECT_TRUE(is_plain_name(std::string(200, 'a')));
  EXPECT_FALSE(is_plain_name(std::string(201, 'a')));
  const Entry entry{"../a", "x"};
  EXPECT_EQ(write_container({&entry, 1}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(write_container({}).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace lathe::runtime::packages
