// Where the store's tests put their files: a cache folder of their own, and what a folder looks
// like.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "support/files.h"
#include "tests/temporary_folder.h"

namespace lathe::store::tests {

inline constexpr StoreOptions kReading{.mode = OpenMode::read_only};

/// XDG_CACHE_HOME names a new folder, with an empty cache folder in it, as long as this lives.
class CacheFolder {
 public:
  CacheFolder() {
    if (const char* before = std::getenv("XDG_CACHE_HOME")) before_ = before;
    ::setenv("XDG_CACHE_HOME", home().c_str(), 1);
    ::mkdir(folder().c_str(), 0700);
    ::chmod(folder().c_str(), 0700);
  }
  CacheFolder(const CacheFolder&) = delete;
  CacheFolder& operator=(const CacheFolder&) = delete;
  ~CacheFolder() {
    if (before_) {
      ::setenv("XDG_CACHE_HOME", before_->c_str(), 1);
    } else {
      ::unsetenv("XDG_CACHE_HOME");
    }
  }
  std::filesystem::path home() const { return std::filesystem::canonical(temporary_.path()); }
  std::filesystem::path folder() const { return home() / "lathe"; }
  std::filesystem::path store() const { return folder() / "lathe.db"; }

 private:
  lathe::tests::TemporaryFolder temporary_;
  std::optional<std::string> before_;
};

/// Everything in a folder that a program could have changed: names, modes, times, bytes, links.
inline std::map<std::string, std::string> look_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> look;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    struct stat info = {};
    ::lstat(entry.path().c_str(), &info);
    std::string text = std::to_string(info.st_mode) + " " + std::to_string(info.st_ino) + " " +
                       std::to_string(info.st_mtim.tv_sec) + "." +
                       std::to_string(info.st_mtim.tv_nsec) + " ";
    if (S_ISREG(info.st_mode)) text += support::read_file(entry.path()).value_or("unreadable");
    look[entry.path().filename().string()] = std::move(text);
  }
  return look;
}

/// Runs a check in a child process: its result, or 3 where the child died.
inline int in_child(const std::function<int()>& check) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(check());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

/// Runs a check in a child process that is an unprivileged user: 0 where it holds, 1 where not;
/// nullopt where this user may not become another.
inline std::optional<int> as_nobody(const std::function<bool()>& check) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() != 0) return std::nullopt;
  const int result = in_child([&] {
    if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) return 2;
    return check() ? 0 : 1;
  });
  if (result == 2) return std::nullopt;
  return result;
}

}  // namespace lathe::store::tests
