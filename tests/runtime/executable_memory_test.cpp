// Code runs, and no page is ever writable and executable at once.
#include "runtime/cpu/executable_memory.h"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lathe::runtime {
namespace {

/// A function that returns 42.
std::vector<std::byte> returns_42() {
#if defined(__x86_64__)
  const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
#elif defined(__aarch64__)
  const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};  // mov w0, 42; ret
#endif
  const auto* bytes = reinterpret_cast<const std::byte*>(code);
  return {bytes, bytes + sizeof code};
}

/// Permissions of the mapping that holds an address, "r-xp"; nullopt where nothing is mapped.
std::optional<std::string> permissions_at(const void* address) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    unsigned long start = 0;
    unsigned long end = 0;
    char permissions[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &start, &end, permissions) != 3) continue;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (start <= at && at < end) return permissions;
  }
  return std::nullopt;
}

TEST(ExecutableMemory, CodeRuns) {
  const auto memory = ExecutableMemory::map(returns_42());
  ASSERT_TRUE(memory) << memory.error().message;
  EXPECT_EQ(memory->entry<int (*)()>()(), 42);
  EXPECT_EQ(memory->code().size(), returns_42().size());
  EXPECT_EQ(std::memcmp(memory->code().data(), returns_42().data(), memory->code().size()), 0);
}

TEST(ExecutableMemory, IsNotWritable) {
  const auto memory = ExecutableMemory::map(returns_42());
  ASSERT_TRUE(memory);
  EXPECT_EQ(permissions_at(memory->code().data()), "r-xp");
}

TEST(ExecutableMemory, WritingToCodeEndsTheProcess) {
  const auto memory = ExecutableMemory::map(returns_42());
  ASSERT_TRUE(memory);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer's handler would print a report
    *const_cast<volatile std::byte*>(memory->code().data()) = std::byte{0};
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the write went through";
}

TEST(ExecutableMemory, NothingInThisProcessIsWritableAndExecutable) {
  std::vector<ExecutableMemory> many;
  for (int i = 0; i < 100; ++i) many.push_back(*ExecutableMemory::map(returns_42()));
  for (const auto& memory : many) EXPECT_EQ(memory.entry<int (*)()>()(), 42);
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    EXPECT_EQ(line.find(" rwx"), std::string::npos) << line;
  }
}

TEST(ExecutableMemory, DestructionUnmaps) {
  const std::byte* address = nullptr;
  {
    const auto memory = ExecutableMemory::map(returns_42());
    ASSERT_TRUE(memory);
    address = memory->code().data();
    ASSERT_TRUE(permissions_at(address));
  }
  // Nothing else maps pages here meanwhile, except the reader of /proc: not executable ones.
  EXPECT_NE(permissions_at(address).value_or("unmapped"), "r-xp");
}

TEST(ExecutableMemory, MovingKeepsTheCodeAndEmptiesTheSource) {
  auto first = *ExecutableMemory::map(returns_42());
  const std::byte* address = first.code().data();
  ExecutableMemory second(std::move(first));
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): what a move leaves is promised
  EXPECT_EQ(second.code().data(), address);
  ExecutableMemory third;
  third = std::move(second);
  EXPECT_EQ(third.entry<int (*)()>()(), 42);
}

TEST(ExecutableMemory, LargeImagesAndOffsets) {
  std::vector<std::byte> code(3 * 4096 + 1, std::byte{0});
  const auto function = returns_42();
  const std::size_t offset = 2 * 4096 + 16;
  std::copy(function.begin(), function.end(), code.begin() + offset);
  const auto memory = ExecutableMemory::map(code);
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->entry<int (*)()>(offset)(), 42);
}

TEST(ExecutableMemory, NoCodeIsAnError) {
  const auto memory = ExecutableMemory::map({});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::invalid_argument);
}

TEST(ExecutableMemory, MoreThanThereIsIsAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's allocator reports a mapping of this size by itself";
#else
  // The span is never read: the mapping fails first.
  const std::byte one{};
  const auto memory = ExecutableMemory::map({&one, std::size_t{1} << 60});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(memory.error().message.find("ulimit"), std::string::npos);
#endif
}

}  // namespace
}  // namespace lathe::runtime
