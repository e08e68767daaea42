// Outputs that a user names: a new file or one in place of another, links followed, devices and
// pipes.
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/descriptor.h"
#include "support/files.h"
#include "support/interrupt.h"
#include "support/log.h"

namespace lathe::support {
namespace {

namespace fs = std::filesystem;

using Pieces = std::span<const std::string_view>;

constexpr int kMostLinks = 40;  // as the kernel follows

Status cannot_write(const fs::path& path, int error) {
  return fail(error == EINTR ? ErrorCode::interrupted : ErrorCode::io_error, "cannot write {}: {}",
              path.string(), std::generic_category().message(error));
}

/// Holds back from this thread the signals that a failed write sends and that end the process by
/// default: a reader that went away and a limit on file sizes are errors like others.
class WriteSignals {
 public:
  WriteSignals() {
    sigemptyset(&ours_);
    sigset_t pending;
    sigpending(&pending);
    for (const int signal : {SIGPIPE, SIGXFSZ})
      if (sigismember(&pending, signal) == 0) sigaddset(&ours_, signal);
    pthread_sigmask(SIG_BLOCK, &ours_, &before_);
  }
  WriteSignals(const WriteSignals&) = delete;
  WriteSignals& operator=(const WriteSignals&) = delete;
  ~WriteSignals() {
    const timespec at_once = {};
    while (sigtimedwait(&ours_, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t ours_, before_;
};

/// 0 or the error. `waits`: for another side, perhaps for ever; a signal then ends it with EINTR.
int write_all(int fd, Pieces pieces, bool waits) {
  for (std::string_view bytes : pieces) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR && !waits) continue;
      if (wrote < 0 && errno == EAGAIN) {  // a descriptor that does not wait of itself
        pollfd ready = {fd, POLLOUT, 0};
        if (::poll(&ready, 1, -1) >= 0) continue;
      }
      if (wrote < 0) return errno;
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
      if (waits && !bytes.empty() && interrupted()) return EINTR;
    }
  }
  return 0;
}

int sync(int fd) {
  if (::fsync(fd) == 0) return 0;
  // Pipes and terminals have nothing to be synced.
  return errno == EINVAL || errno == ENOTSUP || errno == EROFS ? 0 : errno;
}

/// Where a path leads: past links that name another path.
struct Place {
  fs::path path;
  bool is_handle = false;  ///< a link of /proc, which stands for something open and not for a path
};

Result<Place> follow(fs::path path) {
  for (int links = 0; links < kMostLinks; ++links) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(path, error))) return Place{std::move(path)};
    struct statfs info = {};
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (::statfs(folder.c_str(), &info) == 0 && info.f_type == PROC_SUPER_MAGIC)
      return Place{std::move(path), true};
    const fs::path target = fs::read_symlink(path, error);
    if (error)
      return fail(ErrorCode::io_error, "cannot read the link {}: {}", path.string(),
                  error.message());
    path = target.is_absolute() ? target : path.parent_path() / target;
  }
  return fail(ErrorCode::io_error, "cannot write {}: more than {} links", path.string(),
              kMostLinks);
}

/// The descriptor of this process that a link of /proc stands for; -1 where it is none.
int own_descriptor(const fs::path& handle, const struct stat& info) {
  const std::string name = handle.filename().string();
  int number = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  struct stat open = {};
  const bool same = error == std::errc{} && end == name.data() + name.size() &&
                    ::fstat(number, &open) == 0 && open.st_dev == info.st_dev &&
                    open.st_ino == info.st_ino;
  return same ? number : -1;
}

// What is no regular file, or is open already: bytes go where it stands.
Status write_through(Descriptor file, const fs::path& path, Pieces pieces) {
  if (file.get() < 0) return cannot_write(path, errno);
  int error = write_all(file.get(), pieces, /*waits=*/true);
  if (error == 0) error = sync(file.get());
  if (file.close() != 0 && error == 0) error = errno;
  return error == 0 ? Status{} : cannot_write(path, error);
}

Status write_device(const fs::path& path, const struct stat& info, Pieces pieces) {
  constexpr int kFlags = O_WRONLY | O_CLOEXEC | O_NOCTTY;
  if (S_ISSOCK(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is a socket, expected a file, a pipe or a device",
                path.string());
  }
  if (S_ISFIFO(info.st_mode)) {
    Descriptor pipe(::open(path.c_str(), kFlags | O_NONBLOCK));
    if (pipe.get() >= 0 && ::fcntl(pipe.get(), F_SETFL, 0) == 0)
      return write_through(std::move(pipe), path, pieces);
    if (errno == ENXIO)
      log_warn("{} is a pipe that nobody reads: waiting for a reader", path.string());
  }
  return write_through(Descriptor(::open(path.c_str(), kFlags)), path, pieces);
}

// A regular file that has to stay the same one. What can be told beforehand fails before its first
// byte changes: no space, a limit.
Status overwrite(Descriptor file, const fs::path& path, Pieces pieces) {
  off_t bytes = 0;
  for (const std::string_view piece : pieces) bytes += static_cast<off_t>(piece.size());
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      static_cast<rlim_t>(bytes) > limit.rlim_cur)
    return cannot_write(path, EFBIG);
  if (::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, bytes) != 0 &&
      (errno == ENOSPC || errno == EDQUOT))
    return cannot_write(path, errno);
  int error = write_all(file.get(), pieces, /*waits=*/false);
  if (error == 0 && ::ftruncate(file.get(), bytes) != 0) error = errno;
  if (error == 0) error = sync(file.get());
  if (file.close() != 0 && error == 0) error = errno;
  return error == 0 ? Status{} : cannot_write(path, error);
}

std::string fresh_name() {
  static std::atomic<unsigned> count{0};
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return fmt::format(".lathe-{:x}-{:x}-{:x}.tmp", ::getpid(), now.tv_nsec, count++);
}

/// The error with which `make`, given a fresh name, fails; 0 and the name where it does not.
template <typename Make>
int with_fresh_name(std::string& name, Make make) {
  int error = EEXIST;
  for (int tries = 0; tries < 100 && error == EEXIST; ++tries) {
    name = fresh_name();
    error = make(name.c_str()) ? 0 : errno;
  }
  if (error != 0) name.clear();
  return error;
}

/// A new file in a folder. Without a name as long as possible, so that nothing is left of it
/// where the process ends; where it has one, that is removed unless the file got the final one.
class Temporary {
 public:
  explicit Temporary(const fs::path& folder)
      : folder_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (folder_.get() < 0) {
      error_ = errno;
      return;
    }
    // The kernel takes the umask off.
    fd_ = ::openat(folder_.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    // Without /proc it could get no name.
    if (fd_ >= 0 && ::faccessat(AT_FDCWD, handle().c_str(), F_OK, AT_EACCESS) == 0) return;
    if (fd_ >= 0) ::close(fd_);
    error_ = with_fresh_name(name_, [&](const char* name) {
      fd_ =
          ::openat(folder_.get(), name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
      return fd_ >= 0;
    });
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (fd_ >= 0) ::close(fd_);
    if (!name_.empty()) ::unlinkat(folder_.get(), name_.c_str(), 0);
  }

  int error() const { return error_; }  ///< why there is none, else 0
  int get() const { return fd_; }

  /// Gives it its name, in place of what has that one. 0 or the error. Closes it.
  int rename(const fs::path& name) {
    if (name_.empty()) {
      const auto link = [&](const char* to) {
        return ::linkat(AT_FDCWD, handle().c_str(), folder_.get(), to, AT_SYMLINK_FOLLOW) == 0;
      };
      if (link(name.c_str())) return ::close(std::exchange(fd_, -1)) == 0 ? 0 : errno;
      if (errno != EEXIST) return errno;
      if (const int error = with_fresh_name(name_, link); error != 0) return error;
    }
    if (::close(std::exchange(fd_, -1)) != 0) return errno;
    if (::renameat(folder_.get(), name_.c_str(), folder_.get(), name.c_str()) != 0) return errno;
    name_.clear();
    return 0;
  }

 private:
  std::string handle() const { return fmt::format("/proc/self/fd/{}", fd_); }

  Descriptor folder_;
  int fd_ = -1;
  int error_ = 0;
  std::string name_;
};

/// Whether the folder admits no other file in the place, or none with the group and mode of the
/// old.
bool is_refusal(int error) {
  return error == EACCES || error == EPERM || error == EROFS || error == EBUSY;
}

/// 0 or the error. `old`: of the file that is replaced, if any. Its mode is kept, and its group
/// unless that is impossible and the file need not be `kept`.
int place_new(const fs::path& path, const struct stat* old, ExistingFile existing, Pieces pieces) {
  Temporary file(path.has_parent_path() ? path.parent_path() : fs::path("."));
  if (file.error() != 0) return file.error();
  if (const int error = write_all(file.get(), pieces, /*waits=*/false); error != 0) return error;
  if (old != nullptr) {
    struct stat made = {};
    if (::fstat(file.get(), &made) != 0) return errno;
    if (made.st_gid != old->st_gid &&
        ::fchown(file.get(), static_cast<uid_t>(-1), old->st_gid) != 0 &&
        existing == ExistingFile::kept)
      return errno;
    if (::fchmod(file.get(), old->st_mode & 0777) != 0) return errno;
  }
  if (const int error = sync(file.get()); error != 0) return error;
  return file.rename(path.filename());
}

// Whether a new file in its place would not be the same to others: for those who reach it by
// another name, or to whom its owner or an access list gives it.
bool is_shared(int fd, const struct stat& info) {
  return info.st_nlink > 1 || info.st_uid != ::geteuid() ||
         ::fgetxattr(fd, "system.posix_acl_access", nullptr, 0) > 0;
}

Status create(const fs::path& path, Pieces pieces) {
  if (!path.has_filename())
    return fail(ErrorCode::io_error, "'{}' names a folder, expected a file", path.string());
  const int error = place_new(path, nullptr, ExistingFile::kept, pieces);
  if (error == 0) return {};
  if (error != ENOENT && error != ENOTDIR && !is_refusal(error)) return cannot_write(path, error);
  return fail(ErrorCode::io_error, "cannot create {}: {}; is its folder there and writable?",
              path.string(), std::generic_category().message(error));
}

}  // namespace

Status write_file(const fs::path& path, std::string_view bytes, ExistingFile existing) {
  return write_file(path, std::span(&bytes, 1), existing);
}

Status write_file(const fs::path& path, Pieces pieces, ExistingFile existing) {
  const WriteSignals held;
  struct stat info = {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (!exists && errno != ENOENT) return cannot_write(path, errno);
  if (exists && S_ISDIR(info.st_mode))
    return fail(ErrorCode::io_error, "{} is a folder, expected a file", path.string());
  LATHE_TRY(const Place place, follow(path));
  if (!exists) return create(place.path, pieces);
  if (place.is_handle) {
    if (const int number = own_descriptor(place.path, info); number >= 0)
      return write_through(Descriptor(::fcntl(number, F_DUPFD_CLOEXEC, 0)), path, pieces);
  }
  if (!S_ISREG(info.st_mode)) return write_device(path, info, pieces);

  // Opened under the name that was given: the kernel may refuse to follow a link, or to write.
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) return cannot_write(path, errno);
  const bool in_place =
      place.is_handle || (existing == ExistingFile::kept && is_shared(file.get(), info));
  if (in_place) return overwrite(std::move(file), path, pieces);
  const int error = place_new(place.path, &info, existing, pieces);
  if (error == 0) return {};
  if (existing == ExistingFile::replaced && is_refusal(error)) {
    return fail(ErrorCode::io_error, "cannot replace {}: its folder takes no new file ({})",
                path.string(), std::generic_category().message(error));
  }
  if (!is_refusal(error)) return cannot_write(path, error);
  return overwrite(std::move(file), path, pieces);
}

}  // namespace lathe::support
