// Everything is asked of the descriptor, nothing twice of the path.
#include "runtime/packages/guarded_file.h"

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lathe::runtime::packages {
namespace {

std::string reason_of(int error) { return std::generic_category().message(error); }

}  // namespace

Result<GuardedFile> GuardedFile::open(const std::filesystem::path& path, std::string_view what,
                                      std::size_t most_bytes) {
  // A pipe without a writer would be waited for.
  support::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) {
    return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io_error,
                "cannot open the {} {}: {}", what, path.string(), reason_of(errno));
  }
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) {
    return fail(ErrorCode::io_error, "cannot read the {} {}: {}", what, path.string(),
                reason_of(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is a folder, a pipe or a device, expected a {}",
                path.string(), what);
  }
  // Root's files are trusted: an administrator may install one for everybody.
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return fail(ErrorCode::io_error,
                "the {} {} belongs to user {}, we run as {}: its owner could change it at any "
                "time; make a copy of your own",
                what, path.string(), info.st_uid, ::geteuid());
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorCode::io_error,
                "other users may write to the {} {} (mode {:o}); take that permission away: chmod "
                "go-w",
                what, path.string(), info.st_mode & 07777);
  }
  if (info.st_size < 0 || static_cast<std::uint64_t>(info.st_size) > most_bytes) {
    return fail(ErrorCode::io_error, "{} has {} bytes, a {} has at most {}", path.string(),
                info.st_size, what, most_bytes);
  }
  return GuardedFile(std::move(file), path, static_cast<std::size_t>(info.st_size),
                     (info.st_mode & (S_IRGRP | S_IROTH)) != 0);
}

Result<std::size_t> GuardedFile::read_into(std::span<char> memory) const {
  std::size_t done = 0;
  while (done < memory.size()) {
    const ssize_t got =
        ::pread(file_.get(), memory.data() + done, memory.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return fail(ErrorCode::io_error, "cannot read {}: {}", path_.string(), reason_of(errno));
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<std::string> GuardedFile::read() const {
  // One more than it had: a file that grows is seen to.
  std::string bytes(bytes_ + 1, '\0');
  LATHE_TRY(const std::size_t got, read_into(bytes));
  if (got > bytes_) {
    return fail(ErrorCode::io_error, "{} is being written to; try again when it is whole",
                path_.string());
  }
  bytes.resize(got);
  return bytes;
}

}  // namespace lathe::runtime::packages
