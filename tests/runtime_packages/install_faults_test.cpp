// Installing where it is interrupted: all of a package's records are in the store, or none.
#include <chrono>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/runtime_packages/samples.h"
#include "tests/temporary_folder.h"

namespace lathe::runtime::packages {
namespace {

constexpr int kRecords = 3000;

/// What install does once it runs; 0 where all went well.
int install(const std::filesystem::path& package, const std::filesystem::path& path) {
  TrustOptions options;
  options.folder = package.parent_path();
  options.allow_unsigned = true;
  const auto read = read_package(package, options);
  if (!read) return 2;
  auto store = store::Store::open(path);
  if (!store) return 3;
  const Recipes& recipes = read->recipes[0];
  return store->take_over(recipes.hosts, recipes.winners) ? 0 : 4;
}

class InstallFaults : public testing::Test {
 protected:
  void SetUp() override {
    tests::write(package(), tests::sample_package(tests::sample_recipes(kRecords)));
    // What was there before has to stay.
    auto store = store::Store::open(path());
    ASSERT_TRUE(store) << store.error().message;
    const std::string host = *store->record_host("cpu", "before", "Before");
    ASSERT_TRUE(
        store->record_winner(store::tests::sample_key(host), store::tests::sample_winner()));
  }
  std::filesystem::path package() const { return folder_ / "p.lathe"; }
  std::filesystem::path path() const { return folder_ / "s.db"; }
  std::size_t winners() const {
    auto store = store::Store::open(path());
    EXPECT_TRUE(store) << store.error().message;
    EXPECT_EQ(*store->check(), "ok");
    EXPECT_FALSE(store->recovery_note());
    return store->winners()->size();
  }
  lathe::tests::TemporaryFolder folder_;
};

TEST_F(InstallFaults, AKillLeavesAllOrNothing) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const std::filesystem::path whole = folder_ / "whole.db";
  ASSERT_EQ(install(package(), whole), 0);
  const auto takes = Clock::now() - start;
  int killed = 0;
  for (int moment = 1; moment <= 12; ++moment) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) ::_exit(install(package(), path()));
    std::this_thread::sleep_for(takes * moment / 12);
    ::kill(pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    killed += WIFSIGNALED(status) ? 1 : 0;
    const std::size_t found = winners();
    if (found == 1 + kRecords) break;  // it was through
    ASSERT_EQ(found, 1u) << "killed at moment " << moment;
  }
  EXPECT_GT(killed, 0);
  EXPECT_EQ(install(package(), path()), 0);
  EXPECT_EQ(winners(), 1u + kRecords);
}

TEST_F(InstallFaults, AFullDiskLeavesNothing) {
  for (const rlim_t bytes : {rlim_t{0}, rlim_t{64} << 10, rlim_t{300} << 10}) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{bytes, bytes};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(9);
      ::_exit(install(package(), path()));
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFEXITED(status)) << bytes;
    EXPECT_TRUE(WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 4) << WEXITSTATUS(status);
    EXPECT_EQ(winners(), 1u) << bytes;
  }
  EXPECT_EQ(install(package(), path()), 0);
}

}  // namespace
}  // namespace lathe::runtime::packages
