// Files: private folders, whole reads, maps, remote file systems.
#include "support/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "support/descriptor.h"

namespace lathe::support {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) { return std::generic_category().message(error); }

Result<Descriptor> open_to_read(const fs::path& path, struct stat& info, int flags = 0) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (file.get() < 0) {
    return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io_error, "cannot open {}: {}",
                path.string(), reason(errno));
  }
  if (::fstat(file.get(), &info) != 0) {
    return fail(ErrorCode::io_error, "cannot read {}: {}", path.string(), reason(errno));
  }
  return file;
}

/// `instead`: the variable that names another folder than that of the home.
Result<fs::path> home_directory(std::string_view instead) {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return fs::path(home);
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr && entry.pw_dir != nullptr && *entry.pw_dir == '/') {
    return fs::path(entry.pw_dir);
  }
  return fail(ErrorCode::io_error,
              "no home folder: HOME is not an absolute path and user {} has none; set {} to a "
              "folder of yours",
              geteuid(), instead);
}

/// Our folder within the user's: $`variable`/lathe, else ~/`usual`/lathe.
Result<fs::path> user_directory_name(const char* variable, const char* usual) {
  // The XDG base directory specification: a relative path must be ignored.
  if (const char* base = std::getenv(variable); base != nullptr && *base == '/')
    return fs::path(base) / "lathe";
  LATHE_TRY(const fs::path home, home_directory(variable));
  return home / usual / "lathe";
}

Result<fs::path> cache_directory_name() { return user_directory_name("XDG_CACHE_HOME", ".cache"); }

/// Root's files are trusted: an administrator may install a folder for everybody to read.
bool is_trusted(const struct stat& info) { return info.st_uid == geteuid() || info.st_uid == 0; }

}  // namespace

Status check_private_directory(const fs::path& path, std::string_view instead) {
  struct stat info = {};
  const bool is_link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
  if (is_link && !is_trusted(info)) {
    return fail(ErrorCode::io_error,
                "{} is a link that belongs to user {}, we run as {}; {} a folder of your own",
                path.string(), info.st_uid, geteuid(), instead);
  }
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT && !is_link)
      return fail(ErrorCode::not_found, "there is no folder {}", path.string());
    return fail(ErrorCode::io_error, "cannot read the folder {}: {}; {} another place",
                path.string(), reason(errno), instead);
  }
  if (!S_ISDIR(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is not a folder; remove it, or {} another place",
                path.string(), instead);
  }
  if (!is_trusted(info)) {
    return fail(ErrorCode::io_error,
                "the folder {} belongs to user {}, we run as {}; {} a folder of your own",
                path.string(), info.st_uid, geteuid(), instead);
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorCode::io_error,
                "other users may write to the folder {} (mode {:o}), so that what lies there could "
                "be anybody's; take that permission away (chmod go-w), or {} a folder of your own",
                path.string(), info.st_mode & 07777, instead);
  }
  return {};
}

std::error_code create_own_directory(const fs::path& path) {
  std::error_code error;
  // As XDG asks for ~/.cache.
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (!error && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    error = std::error_code(errno, std::generic_category());
  }
  return error;
}

Result<fs::path> make_private_directory(const fs::path& path) {
  if (const std::error_code error = create_own_directory(path)) {
    return fail(
        ErrorCode::io_error,
        "cannot create the folder {}: {}; make it writable, or set XDG_CACHE_HOME to a folder "
        "that is",
        path.string(), error.message());
  }
  LATHE_CHECK(check_private_directory(path));
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return fail(ErrorCode::io_error,
                "cannot write to the folder {}: {}; make it writable, or set XDG_CACHE_HOME to a "
                "folder that is",
                path.string(), reason(errno));
  }
  return path;
}

Result<fs::path> cache_directory() {
  LATHE_TRY(const fs::path path, cache_directory_name());
  return make_private_directory(path);
}

Result<fs::path> find_cache_directory() {
  LATHE_TRY(fs::path path, cache_directory_name());
  LATHE_CHECK(check_private_directory(path));
  return path;
}

Result<fs::path> config_directory_name() {
  return user_directory_name("XDG_CONFIG_HOME", ".config");
}

Result<std::string> read_file(const fs::path& path, std::int64_t limit_bytes) {
  struct stat info = {};
  LATHE_TRY(const Descriptor file, open_to_read(path, info));
  if (S_ISDIR(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is a folder, expected a file", path.string());
  }
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(info.st_size, 0, limit_bytes)));
  std::array<char, 1 << 16> chunk;
  while (true) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return fail(ErrorCode::io_error, "cannot read {}: {}", path.string(), reason(errno));
    if (got == 0) return bytes;
    if (static_cast<std::int64_t>(bytes.size()) + got > limit_bytes) {
      return fail(ErrorCode::io_error, "{} is larger than {} bytes, the most that is read here",
                  path.string(), limit_bytes);
    }
    bytes.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

Result<MappedFile> MappedFile::open(const fs::path& path) {
  struct stat info = {};
  // A pipe without a writer would be waited for.
  LATHE_TRY(const Descriptor file, open_to_read(path, info, O_NONBLOCK));
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::io_error, "{} is a folder, a pipe or a device, expected a file",
                path.string());
  }
  MappedFile mapped;
  if (info.st_size == 0) return mapped;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) {
    return fail(errno == ENOMEM ? ErrorCode::resource_exhausted : ErrorCode::io_error,
                "cannot map the {} bytes of {}: {}", size, path.string(), reason(errno));
  }
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = size;
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

bool is_network_magic(std::uint64_t type) {
  switch (type) {
    case 0x6969:      // NFS
    case 0x517b:      // SMB
    case 0xfe534d42:  // SMB2, SMB3
    case 0xff534d42:  // CIFS
    case 0x01021997:  // 9p (virtual machines' shared folders)
    case 0x65735546:  // FUSE: sshfs and its like; a local FUSE file system loses only WAL's speed
    case 0x5346414f:  // OpenAFS
    case 0x6b414653:  // kAFS
    case 0x00c36400:  // Ceph
    case 0x0bd00bd0:  // Lustre
    case 0x47504653:  // GPFS
    case 0x73757245:  // Coda
    case 0x564c:      // NCP
    case 0x20030528:  // OrangeFS
    case 0x19830326:  // BeeGFS
    case 0x01161970:  // GFS2
    case 0x7461636f:  // OCFS2
      return true;
    default: return false;
  }
}

bool is_network_filesystem(const fs::path& path) {
  std::error_code error;
  fs::path place = fs::absolute(path, error);
  struct statfs info = {};
  while (::statfs(place.c_str(), &info) != 0) {
    if (errno == EINTR) continue;
    if (!place.has_parent_path() || place == place.parent_path()) return false;
    place = place.parent_path();
  }
  return is_network_magic(static_cast<std::uint32_t>(info.f_type));
}

}  // namespace lathe::support
