// libzip over bytes in memory; the seal and the archive's end are looked at before it is.
#include "runtime/packages/container.h"

#include <cstdint>
#include <utility>

#include <zip.h>

#include "runtime/packages/digest.h"

namespace lathe::runtime::packages {
namespace {

constexpr std::string_view kSealTitle = "lathe seal blake2b ";
constexpr std::size_t kSealDigits = 64;
constexpr std::size_t kSealBytes = kSealTitle.size() + kSealDigits;
constexpr std::size_t kEndBytes = 22;  // of an archive's end, without its comment
constexpr std::string_view kEndMark = "PK\x05\x06";
constexpr std::size_t kDeflateRatio = 1032;  // of zlib's format: larger claims are damage
constexpr std::size_t kLongestName = 200;
constexpr zip_uint16_t kDosTime = 0, kDosDate = 0x21;  // 1 January 1980, where zip's time begins
constexpr zip_uint32_t kAttributes = 0100644u << 16;   // a file that all may read
constexpr zip_uint32_t kLevel = 9;

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

tl::unexpected<Error> is_damaged(const std::string& origin, std::string_view what) {
  return fail(ErrorCode::corrupt, "{} is damaged: {}; get it anew", origin, what);
}

Status check_seal(std::string_view bytes, const std::string& origin) {
  const bool is_archive = bytes.size() >= kEndBytes + kSealBytes && bytes.substr(0, 2) == "PK";
  if (!is_archive || bytes.substr(bytes.size() - kSealBytes, kSealTitle.size()) != kSealTitle) {
    return fail(ErrorCode::corrupt,
                "{} is no Lathe package, or was cut or packed again: expected a zip archive that "
                "ends in the seal that qwen3vl-tune pack gives it",
                origin);
  }
  LATHE_TRY(const std::string digest, blake2b(bytes.substr(0, bytes.size() - kSealDigits)));
  if (bytes.substr(bytes.size() - kSealDigits) != digest)
    return is_damaged(origin, "its bytes are not those that were sealed");
  return {};
}

/// The archive's end says that the directory of this one file lies directly before it; how many
/// entries it has.
Result<std::size_t> check_end(std::string_view bytes, const std::string& origin) {
  const std::size_t at = bytes.size() - kSealBytes - kEndBytes;
  const std::uint32_t entries = number_at(bytes, at + 10, 2);
  const std::uint64_t directory_bytes = number_at(bytes, at + 12, 4);
  const std::uint64_t directory_at = number_at(bytes, at + 16, 4);
  if (bytes.substr(at, kEndMark.size()) != kEndMark || number_at(bytes, at + 4, 4) != 0 ||
      number_at(bytes, at + 8, 2) != entries || directory_at + directory_bytes != at ||
      number_at(bytes, at + 20, 2) != kSealBytes)
    return is_damaged(origin, "its directory is not where a package has it");
  if (entries > kMostEntries) {
    return fail(ErrorCode::corrupt, "{} has {} members, expected at most {}", origin, entries,
                kMostEntries);
  }
  return entries;
}

tl::unexpected<Error> cannot_write(std::string_view what) {
  return fail(ErrorCode::resource_exhausted, "cannot put the package together: {}", what);
}

/// Why a call failed that has no archive yet to say it.
struct Failure {
  Failure() { ::zip_error_init(&error); }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() { ::zip_error_fini(&error); }
  const char* text() { return ::zip_error_strerror(&error); }
  zip_error_t error;
};

struct FreeSource {
  void operator()(zip_source_t* source) const { ::zip_source_free(source); }
};
using Source = std::unique_ptr<zip_source_t, FreeSource>;

struct Discard {
  void operator()(zip_t* archive) const { ::zip_discard(archive); }
};
using OpenArchive = std::unique_ptr<zip_t, Discard>;

struct CloseFile {
  void operator()(zip_file_t* file) const { ::zip_fclose(file); }
};

Status add(zip_t* archive, const Entry& entry) {
  const auto failed = [&] { return cannot_write(::zip_strerror(archive)); };
  Source source(::zip_source_buffer(archive, entry.bytes.data(), entry.bytes.size(), 0));
  if (!source) return failed();
  const zip_int64_t index =
      ::zip_file_add(archive, std::string(entry.name).c_str(), source.get(), ZIP_FL_ENC_UTF_8);
  if (index < 0) return failed();
  (void)source.release();  // the archive's now
  const auto at = static_cast<zip_uint64_t>(index);
  if (::zip_set_file_compression(archive, at, ZIP_CM_DEFLATE, kLevel) != 0 ||
      ::zip_file_set_dostime(archive, at, kDosTime, kDosDate, 0) != 0 ||
      ::zip_file_set_external_attributes(archive, at, 0, ZIP_OPSYS_UNIX, kAttributes) != 0)
    return failed();
  return {};
}

/// All bytes of a source that an archive was written to.
Result<std::string> contents(zip_source_t* source) {
  const auto failed = [&] {
    return cannot_write(::zip_error_strerror(::zip_source_error(source)));
  };
  zip_stat_t stat;
  ::zip_stat_init(&stat);
  if (::zip_source_open(source) != 0) return failed();
  if (::zip_source_stat(source, &stat) != 0 || (stat.valid & ZIP_STAT_SIZE) == 0) {
    ::zip_source_close(source);
    return failed();
  }
  std::string bytes(stat.size, '\0');
  const zip_int64_t got = ::zip_source_read(source, bytes.data(), bytes.size());
  ::zip_source_close(source);
  if (got != static_cast<zip_int64_t>(bytes.size())) return failed();
  return bytes;
}

}  // namespace

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  while (true) {
    const std::string_view part = name.substr(0, name.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    for (const char c : part) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      if (!plain) return false;
    }
    if (part.size() == name.size()) return true;
    name.remove_prefix(part.size() + 1);
  }
}

Result<std::string> write_container(std::span<const Entry> entries) {
  if (entries.empty() || entries.size() > kMostEntries) {
    return fail(ErrorCode::invalid_argument, "a package has 1 to {} members, found {}",
                kMostEntries, entries.size());
  }
  Failure failure;
  Source memory(::zip_source_buffer_create(nullptr, 0, 0, &failure.error));
  if (!memory) return cannot_write(failure.text());
  OpenArchive archive(::zip_open_from_source(memory.get(), ZIP_TRUNCATE, &failure.error));
  if (!archive) return cannot_write(failure.text());
  ::zip_source_keep(memory.get());  // one for the archive, one for us
  for (const Entry& entry : entries) {
    if (!is_plain_name(entry.name)) {
      return fail(ErrorCode::invalid_argument, "'{}' is no name of a package's member", entry.name);
    }
    LATHE_CHECK(add(archive.get(), entry));
  }
  const std::string seal = std::string(kSealTitle) + std::string(kSealDigits, '0');
  if (::zip_set_archive_comment(archive.get(), seal.data(),
                                static_cast<zip_uint16_t>(seal.size())) != 0 ||
      ::zip_close(archive.get()) != 0)
    return cannot_write(::zip_strerror(archive.get()));
  (void)archive.release();
  LATHE_TRY(std::string bytes, contents(memory.get()));
  bytes.resize(bytes.size() - kSealDigits);
  LATHE_TRY(const std::string digest, blake2b(bytes));
  return bytes + digest;
}

struct Container::Archive {
  Archive() = default;
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive() {
    if (open != nullptr) ::zip_discard(open);
  }
  std::string bytes;  ///< what the archive reads from
  zip_t* open = nullptr;
};

Container::Container(std::unique_ptr<Archive> archive, std::size_t size, std::string origin)
    : archive_(std::move(archive)), size_(size), origin_(std::move(origin)) {}
Container::Container(Container&&) noexcept = default;
Container::~Container() = default;

Result<Container> Container::open(std::string bytes, const std::string& origin) {
  LATHE_CHECK(check_seal(bytes, origin));
  LATHE_TRY(const std::size_t entries, check_end(bytes, origin));
  auto archive = std::make_unique<Archive>();
  archive->bytes = std::move(bytes);
  Failure failure;
  Source source(
      ::zip_source_buffer_create(archive->bytes.data(), archive->bytes.size(), 0, &failure.error));
  if (!source) return is_damaged(origin, failure.text());
  archive->open = ::zip_open_from_source(source.get(), ZIP_RDONLY | ZIP_CHECKCONS, &failure.error);
  if (archive->open == nullptr) return is_damaged(origin, failure.text());
  (void)source.release();  // the archive's now
  if (::zip_get_num_entries(archive->open, 0) != static_cast<zip_int64_t>(entries))
    return is_damaged(origin, "it has another directory beside its own");
  return Container(std::move(archive), entries, origin);
}

std::string_view Container::name(std::size_t index) const {
  const char* const name = ::zip_get_name(archive_->open, index, ZIP_FL_ENC_RAW);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

std::size_t Container::claimed_bytes(std::size_t index) const {
  zip_stat_t stat;
  ::zip_stat_init(&stat);
  const bool known =
      ::zip_stat_index(archive_->open, index, 0, &stat) == 0 && (stat.valid & ZIP_STAT_SIZE) != 0;
  return known ? stat.size : SIZE_MAX;
}

Result<std::string> Container::read(std::size_t index, std::size_t most_bytes) const {
  zip_t* const archive = archive_->open;
  const std::string what = fmt::format("{}: its member {}", origin_, index);
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  zip_stat_t stat;
  ::zip_stat_init(&stat);
  if (::zip_stat_index(archive, index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded)
    return is_damaged(what, "the archive does not describe it");
  if ((stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) ||
      stat.encryption_method != ZIP_EM_NONE)
    return is_damaged(what, "it is encrypted, or packed by another method than deflate");
  if (stat.size > most_bytes) {
    return fail(ErrorCode::corrupt, "{} claims {} bytes, expected at most {}", what, stat.size,
                most_bytes);
  }
  if (stat.size / kDeflateRatio > stat.comp_size)
    return is_damaged(what, "it claims more bytes than its packed form can hold");
  const std::unique_ptr<zip_file_t, CloseFile> file(::zip_fopen_index(archive, index, 0));
  if (!file) return is_damaged(what, ::zip_strerror(archive));
  // One more than it claims, to see whether there are more, and at the end its checksum is held
  // against what was read.
  std::string bytes(stat.size + 1, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const zip_int64_t got = ::zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0) return is_damaged(what, ::zip_file_strerror(file.get()));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  if (done != stat.size) return is_damaged(what, "it has not as many bytes as it claims");
  bytes.resize(done);
  return bytes;
}

}  // namespace lathe::runtime::packages
