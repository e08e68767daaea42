// Locks, ownership and setting damaged files aside.
#include "store/file_guard.h"

#include <cerrno>
#include <chrono>
#include <ctime>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/log.h"

namespace lathe::store {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) { return std::generic_category().message(error); }

fs::path with_suffix(const fs::path& path, const char* suffix) {
  fs::path result = path;
  result += suffix;
  return result;
}

std::string utc_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

// SQLite opens what lies beside the store, and would wait at a pipe.
Status check_companions(const fs::path& path) {
  for (const char* suffix : {"-journal", "-wal", "-shm", ".lock"}) {
    const fs::path beside = with_suffix(path, suffix);
    struct stat info = {};
    if (::stat(beside.c_str(), &info) != 0 || S_ISREG(info.st_mode)) continue;
    return fail(ErrorCode::io_error,
                "{} is a folder, a pipe or a device, where the store has a file of its own: remove "
                "it, or name another store with --db",
                beside.string());
  }
  return {};
}

}  // namespace

fs::path lock_path(const fs::path& store) { return with_suffix(store, ".lock"); }

RepairLock::RepairLock(RepairLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

RepairLock::~RepairLock() {
  if (file_ >= 0) ::close(file_);  // closing releases
}

Result<RepairLock> RepairLock::acquire(const fs::path& store, int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const fs::path path = lock_path(store);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) {
    return fail(
        ErrorCode::io_error,
        "cannot create the lock file {}: {}; make the folder writable, or name another file "
        "with --db",
        path.string(), reason(errno));
  }
  RepairLock lock(file);
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EWOULDBLOCK) {
      support::log_warn("cannot lock {}: {}; going on without the lock", path.string(),
                        reason(error));
      return lock;
    }
    if (Clock::now() >= deadline) {
      return fail(ErrorCode::io_error,
                  "another process has held {} for more than {} ms; end it, or name another store "
                  "with --db",
                  path.string(), timeout_ms);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return lock;
}

std::optional<FileId> file_id(const fs::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileId{info.st_dev, info.st_ino};
}

Status secure_file(const fs::path& path, bool create) {
  LATHE_CHECK(check_companions(path));
  const fs::path folder = path.parent_path();
  std::error_code error;
  if (create && !fs::exists(folder, error)) LATHE_CHECK(support::make_private_directory(folder));
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    const int why = errno;
    if (!create && why == ENOENT) {
      return fail(ErrorCode::not_found, "there is no store at {}; qwen3vl-tune makes one",
                  path.string());
    }
    if (why != ENOENT) {
      return fail(ErrorCode::io_error, "cannot open the store {}: {}", path.string(), reason(why));
    }
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
      ::close(file);
      return {};
    }
    if (errno != EEXIST) {
      return fail(
          ErrorCode::io_error,
          "cannot create the store {}: {}; make the folder writable, or name another file with "
          "--db or another folder with XDG_CACHE_HOME",
          path.string(), reason(errno));
    }
    if (::stat(path.c_str(), &info) != 0) {
      return fail(ErrorCode::io_error, "cannot open the store {}: {}", path.string(),
                  reason(errno));
    }
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is not a file: expected a store", path.string());
  }
  // Root's files are trusted: an administrator may install a store for everybody to read.
  if (info.st_uid != geteuid() && info.st_uid != 0) {
    return fail(
        ErrorCode::io_error,
        "the store {} belongs to user {}, we run as {}: its records could be anybody's; name "
        "your own with --db (merge takes over the records of another)",
        path.string(), info.st_uid, geteuid());
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && info.st_uid == geteuid() &&
      ::chmod(path.c_str(), info.st_mode & ~static_cast<mode_t>(S_IWGRP | S_IWOTH) & 07777) == 0) {
    support::log_warn("{} could be written by other users; took that permission away",
                      path.string());
  }
  if (create && ::access(path.c_str(), W_OK) != 0) {
    return fail(
        ErrorCode::io_error,
        "cannot write to the store {}: {}; make it writable, or name another file with --db",
        path.string(), reason(errno));
  }
  return {};
}

Result<fs::path> set_aside(const fs::path& path) {
  const std::string base = path.string() + ".damaged-" + utc_stamp();
  std::string target = base;
  for (int count = 2; file_id(target); ++count) target = base + "-" + std::to_string(count);
  if (::rename(path.c_str(), target.c_str()) != 0) {
    return fail(
        ErrorCode::corrupt,
        "the store {} is damaged and cannot be set aside: {}; remove it, or name another file "
        "with --db",
        path.string(), reason(errno));
  }
  // After the main file: SQLite ignores journals whose database is gone, but a database without its
  // journal could look sound and lack its last records.
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    const fs::path companion = with_suffix(path, suffix);
    if (::rename(companion.c_str(), with_suffix(target, suffix).c_str()) != 0 && errno != ENOENT) {
      ::unlink(companion.c_str());
    }
  }
  return fs::path(target);
}

}  // namespace lathe::store
