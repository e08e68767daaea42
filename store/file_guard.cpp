// Locks, names, ownership and setting damaged files aside.
#include "store/file_guard.h"

#include <cerrno>
#include <chrono>
#include <climits>
#include <ctime>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
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

/// The longest that SQLite puts behind a store's name.
constexpr std::size_t kSuffix = std::char_traits<char>::length("-journal");

// SQLite opens what lies beside the store, and would wait at a pipe.
Status check_companions(const fs::path& path, Place place) {
  for (const char* suffix : {"-journal", "-wal", "-shm", ".lock"}) {
    const fs::path beside = with_suffix(path, suffix);
    struct stat info = {};
    if ((place == Place::cache_folder ? ::lstat : ::stat)(beside.c_str(), &info) != 0 ||
        S_ISREG(info.st_mode))
      continue;
    return fail(ErrorCode::io_error,
                "{} is {}, where the store has a file of its own: remove it, or name another store "
                "with --db",
                beside.string(), S_ISLNK(info.st_mode) ? "a link" : "a folder, a pipe or a device");
  }
  return {};
}

bool is_lack_of_locks(int error) {
  return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == ENOTSUP;
}

/// Tries a lock like SQLite's, which need not be of the same kind as flock's, far behind the end of
/// an open file. 0, or why there is none.
int try_record_lock(int file) {
  struct flock range = {};
  range.l_type = F_RDLCK;
  range.l_whence = SEEK_SET;
  range.l_start = 1 << 30;
  range.l_len = 1;
  return ::fcntl(file, F_OFD_SETLK, &range) != 0 && is_lack_of_locks(errno) ? errno : 0;
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
    if (error != EWOULDBLOCK) return tl::unexpected(no_locks(store, reason(error)));
    if (Clock::now() >= deadline) {
      return fail(ErrorCode::io_error,
                  "another process has held {} for more than {} ms; end it, or name another store "
                  "with --db",
                  path.string(), timeout_ms);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  // SQLite takes the lack of locks for a lock that somebody else has.
  if (const int error = try_record_lock(file); error != 0)
    return tl::unexpected(no_locks(store, reason(error)));
  return lock;
}

bool has_locks(const fs::path& store) {
  const int file = ::open(lock_path(store).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return true;
  const int error = try_record_lock(file);
  ::close(file);
  return error == 0;
}

Error no_locks(const fs::path& store, const std::string& why) {
  return {
      ErrorCode::io_error,
      fmt::format("the store {}: its file system has no file locks ({}), which keep two writers "
                  "apart; name a store on a local disk with --db, or another cache folder with "
                  "XDG_CACHE_HOME",
                  store.string(), why)};
}

std::optional<FileId> file_id(const fs::path& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileId{info.st_dev, info.st_ino};
}

Status check_name(const fs::path& path) {
  errno = 0;
  const long limit = ::pathconf(path.parent_path().c_str(), _PC_NAME_MAX);
  const std::size_t name_limit = limit > 0 ? static_cast<std::size_t>(limit) : NAME_MAX;
  const std::string name = path.filename().string();
  if (name.size() + kSuffix > name_limit) {
    return fail(
        ErrorCode::invalid_argument,
        "the store's name '{}' has {} bytes, at most {} can be used: its journal's name has "
        "'-journal' behind it; choose a shorter one",
        name, name.size(), name_limit - kSuffix);
  }
  const sqlite3_vfs* const vfs = sqlite3_vfs_find(nullptr);
  const std::size_t path_limit = vfs == nullptr ? 512 : static_cast<std::size_t>(vfs->mxPathname);
  if (path.string().size() + kSuffix > path_limit) {
    return fail(ErrorCode::invalid_argument,
                "the store's path {} has {} bytes, SQLite takes at most {}; choose a shorter one",
                path.string(), path.string().size(), path_limit - kSuffix);
  }
  return {};
}

Status check_files(const fs::path& path, Place place) {
  if (place == Place::cache_folder) {
    const Status folder = support::check_private_directory(path.parent_path());
    if (!folder && folder.error().code != ErrorCode::not_found) return folder;
  }
  LATHE_CHECK(check_companions(path, place));
  struct stat info = {};
  if ((place == Place::cache_folder ? ::lstat : ::stat)(path.c_str(), &info) != 0) {
    const int why = errno;
    if (why == ENOENT) {
      return fail(ErrorCode::not_found, "there is no store at {}; qwen3vl-tune makes one",
                  path.string());
    }
    return fail(ErrorCode::io_error, "cannot open the store {}: {}", path.string(), reason(why));
  }
  if (S_ISLNK(info.st_mode)) {
    return fail(ErrorCode::io_error,
                "{} is a link, which is not followed in a cache folder: remove it, and name the "
                "file that it leads to with --db",
                path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is not a file: expected a store", path.string());
  }
  // Root's files are trusted: an administrator may install a store for everybody to read.
  if (place != Place::other && info.st_uid != geteuid() && info.st_uid != 0) {
    return fail(
        ErrorCode::io_error,
        "the store {} belongs to user {}, we run as {}: its records could be anybody's; name "
        "your own with --db (merge takes over the records of another)",
        path.string(), info.st_uid, geteuid());
  }
  return {};
}

Status secure_file(const fs::path& path, Place place) {
  Status found = check_files(path, place);
  if (!found && found.error().code == ErrorCode::not_found) {
    const fs::path folder = path.parent_path();
    std::error_code error;
    // That of the cache was made before.
    if (!fs::exists(folder, error)) error = support::create_own_directory(folder);
    if (error) {
      return fail(ErrorCode::io_error,
                  "cannot create the folder {} for the store {}: {}; make it, or name another file "
                  "with --db",
                  folder.string(), path.string(), error.message());
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
    found = check_files(path, place);  // another process was first
  }
  LATHE_CHECK(std::move(found));
  struct stat info = {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
      info.st_uid == geteuid() &&
      ::chmod(path.c_str(), info.st_mode & ~static_cast<mode_t>(S_IWGRP | S_IWOTH) & 07777) == 0) {
    support::log_warn("{} could be written by other users; took that permission away",
                      path.string());
  }
  if (::access(path.c_str(), W_OK) != 0) {
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
