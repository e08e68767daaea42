// The perf map's lines, and its refusal to be led astray.
#include "runtime/cpu/perf_map.h"

#include <cstdlib>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/files.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime {
namespace {

TEST(PerfMap, LineHasStartSizeName) {
  const std::span<const std::byte> code(reinterpret_cast<const std::byte*>(0x7f0012340000), 0x1c4);
  EXPECT_EQ(perf_map_line("rms_norm width=2048", code), "7f0012340000 1c4 rms_norm width=2048\n");
  EXPECT_EQ(perf_map_line("two\nlines\t", code), "7f0012340000 1c4 two_lines_\n");
}

TEST(PerfMap, FileIsPrivateAndGrows) {
  const tests::TemporaryFolder folder;
  const std::string path = (folder / "perf-1.map").string();
  ASSERT_TRUE(append_private_line(path, "a\n"));
  ASSERT_TRUE(append_private_line(path, "b\n"));
  EXPECT_EQ(*support::read_file(path), "a\nb\n");
  struct stat info = {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST(PerfMap, SymbolicLinkIsNotFollowed) {
  const tests::TemporaryFolder folder;
  const std::string target = (folder / "precious").string();
  const std::string path = (folder / "perf-1.map").string();
  ASSERT_TRUE(support::write_file(target, "precious"));
  ASSERT_EQ(::symlink(target.c_str(), path.c_str()), 0);
  const Status status = append_private_line(path, "a\n");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::io_error);
  EXPECT_NE(status.error().message.find("symbolic link"), std::string::npos);
  EXPECT_EQ(*support::read_file(target), "precious");
}

TEST(PerfMap, NamedPipeIsRefused) {
  const tests::TemporaryFolder folder;
  const std::string path = (folder / "pipe").string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(append_private_line(path, "a\n"));
}

TEST(PerfMap, LinesOfManyThreadsStayWhole) {
  const tests::TemporaryFolder folder;
  const std::string path = (folder / "perf-1.map").string();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string line = std::string(100, static_cast<char>('a' + t)) + "\n";
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(append_private_line(path, line));
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string text = *support::read_file(path);
  ASSERT_EQ(text.size(), 4u * 50 * 101);
  for (std::size_t line = 0; line < text.size(); line += 101) {
    EXPECT_EQ(text.find_first_not_of(text[line], line), line + 100);
    EXPECT_EQ(text[line + 100], '\n');
  }
}

TEST(PerfMap, EnvironmentTurnsItOn) {
  for (const char* value : {"1", "0"}) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setenv("LATHE_PERF_MAP", value, 1);
      const std::byte code[4] = {};
      const std::string path = "/tmp/perf-" + std::to_string(::getpid()) + ".map";
      const bool added = static_cast<bool>(add_to_perf_map("kernel", code));
      const auto text = support::read_file(path);
      ::unlink(path.c_str());
      const bool wanted = *value == '1';
      ::_exit(added && (text ? *text == perf_map_line("kernel", code) : false) == wanted ? 7 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 7) << value;
  }
}

}  // namespace
}  // namespace lathe::runtime
