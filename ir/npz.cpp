// The zip container of .npz files, as far as NumPy uses it: central directory, stored and deflated
// members.
#include "ir/npz.h"

#include <limits>

#include <zlib.h>

#include "support/files.h"

namespace lathe::ir {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kCentralHeader = 0x02014b50;
constexpr uint32_t kEndOfDirectory = 0x06054b50;
constexpr size_t kLocalHeaderSize = 30;
constexpr size_t kCentralHeaderSize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kMaxComment = 65535;
constexpr size_t kMaxDeflateRatio = 1032;  // of zlib's format: larger claims are damage

// Little-endian numbers at checked places: beyond the end everything reads as 0.
uint32_t read_number(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  if (at > bytes.size() || size > bytes.size() - at) return 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

void append_number(std::string& bytes, size_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
}

Result<size_t> find_end_of_directory(std::string_view bytes) {
  for (size_t back = kEndSize; back <= bytes.size() && back <= kEndSize + kMaxComment; ++back) {
    if (read_number(bytes, bytes.size() - back, 4) == kEndOfDirectory) return bytes.size() - back;
  }
  return fail(ErrorCode::corrupt, "not a .npz file: found no zip directory in its {} bytes",
              bytes.size());
}

uint32_t crc_of(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// Raw deflate of known size.
Result<std::string> inflate_bytes(std::string_view packed, size_t unpacked) {
  std::string out(unpacked, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return fail(ErrorCode::resource_exhausted, "zlib could not start to inflate");
  }
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib does not write there
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  const bool complete = status == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!complete) return fail(ErrorCode::corrupt, "its deflated data is damaged or of another size");
  return out;
}

// The local and the central header share these fields: version, flags, method, time, date, crc,
// sizes, length of the name, length of the extra field.
std::string shared_fields(uint32_t crc, size_t size, size_t name_length) {
  std::string fields;
  append_number(fields, 20, 2);
  append_number(fields, 0, 2);
  append_number(fields, 0, 2);
  append_number(fields, 0, 2);
  append_number(fields, 0x21, 2);  // 1 January 1980: the same bytes whenever written
  append_number(fields, crc, 4);
  append_number(fields, size, 4);
  append_number(fields, size, 4);
  append_number(fields, name_length, 2);
  append_number(fields, 0, 2);
  return fields;
}

}  // namespace

Result<Npz> Npz::parse(std::string bytes) {
  Npz npz;
  npz.bytes_ = std::move(bytes);
  const std::string_view all = npz.bytes_;
  LATHE_TRY(const size_t end, find_end_of_directory(all));
  const size_t count = read_number(all, end + 10, 2);
  size_t at = read_number(all, end + 16, 4);
  for (size_t i = 0; i < count; ++i) {
    if (at > end || end - at < kCentralHeaderSize || read_number(all, at, 4) != kCentralHeader) {
      return fail(ErrorCode::corrupt, "npz: found damage in entry {} of the zip directory", i);
    }
    const size_t name_length = read_number(all, at + 28, 2);
    const size_t rest = read_number(all, at + 30, 2) + read_number(all, at + 32, 2);
    if (name_length + rest > end - at - kCentralHeaderSize) {
      return fail(ErrorCode::corrupt, "npz: entry {} of the zip directory runs past its end", i);
    }
    std::string name(all.substr(at + kCentralHeaderSize, name_length));
    const uint32_t flags = read_number(all, at + 8, 2);
    const uint32_t method = read_number(all, at + 10, 2);
    const Member member{.local_header = read_number(all, at + 42, 4),
                        .packed = read_number(all, at + 20, 4),
                        .unpacked = read_number(all, at + 24, 4),
                        .crc = read_number(all, at + 16, 4),
                        .deflated = method == Z_DEFLATED};
    constexpr size_t kZip64 = std::numeric_limits<uint32_t>::max();
    if ((flags & 1) != 0 || (method != 0 && method != Z_DEFLATED) ||
        member.local_header == kZip64 || member.packed == kZip64 || member.unpacked == kZip64) {
      return fail(ErrorCode::unsupported,
                  "npz: entry {} has flags {} and method {}; expected a stored or deflated member "
                  "under 4 GiB",
                  i, flags, method);
    }
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    npz.members_.insert_or_assign(std::move(name), member);
    at += kCentralHeaderSize + name_length + rest;
  }
  return npz;
}

Result<Npz> Npz::open(const std::filesystem::path& path) {
  LATHE_TRY(std::string bytes, support::read_file(path));
  auto npz = parse(std::move(bytes));
  if (!npz) return fail_with_context(path.string(), std::move(npz).error());
  return npz;
}

std::vector<std::string> Npz::names() const {
  std::vector<std::string> names;
  for (const auto& [name, member] : members_) names.push_back(name);
  return names;
}

Result<std::string> Npz::unpack(std::string_view name) const {
  const auto found = members_.find(std::string(name));
  if (found == members_.end()) {
    return fail(ErrorCode::not_found, "npz: found no member '{}' among {}", name, members_.size());
  }
  const Member& member = found->second;
  const std::string_view all = bytes_;
  const auto corrupt = [&](std::string_view what) {
    return fail(ErrorCode::corrupt, "npz member '{}': {}", name, what);
  };
  if (member.local_header > all.size() || all.size() - member.local_header < kLocalHeaderSize ||
      read_number(all, member.local_header, 4) != kLocalHeader) {
    return corrupt("found no zip header where the directory says");
  }
  const size_t start = member.local_header + kLocalHeaderSize +
                       read_number(all, member.local_header + 26, 2) +
                       read_number(all, member.local_header + 28, 2);
  if (start > all.size() || member.packed > all.size() - start)
    return corrupt("it runs past the end of the file");
  if (member.unpacked > member.packed * (member.deflated ? kMaxDeflateRatio : 1)) {
    return corrupt("it claims more bytes than its data can hold");
  }
  const std::string_view packed = all.substr(start, member.packed);
  auto content = member.deflated ? inflate_bytes(packed, member.unpacked) : std::string(packed);
  if (!content) return corrupt(content.error().message);
  if (content->size() != member.unpacked || crc_of(*content) != member.crc)
    return corrupt("its checksum differs");
  return content;
}

Result<Tensor> Npz::read(std::string_view name) const {
  LATHE_TRY(const std::string content, unpack(name));
  auto tensor = parse_npy(content);
  if (!tensor)
    return fail_with_context(fmt::format("npz member '{}'", name), std::move(tensor).error());
  return tensor;
}

Result<DoubleArray> Npz::read_doubles(std::string_view name) const {
  LATHE_TRY(const std::string content, unpack(name));
  auto array = parse_npy_doubles(content);
  if (!array)
    return fail_with_context(fmt::format("npz member '{}'", name), std::move(array).error());
  return array;
}

Result<std::string> format_npz(const std::map<std::string, Tensor>& tensors) {
  constexpr size_t kLimit = std::numeric_limits<uint32_t>::max() - (size_t{1} << 20);
  std::string bytes;
  std::string directory;
  for (const auto& [name, tensor] : tensors) {
    const std::string member = name + ".npy";
    const std::string content = format_npy(tensor);
    if (content.size() > kLimit - bytes.size() || directory.size() > (size_t{1} << 19) ||
        tensors.size() > 65535) {
      return fail(ErrorCode::resource_exhausted, "npz: found more than 4 GiB or 65535 members");
    }
    const std::string shared = shared_fields(crc_of(content), content.size(), member.size());
    append_number(directory, kCentralHeader, 4);
    append_number(directory, 20, 2);
    directory += shared;
    directory.append(10, '\0');  // comment length, disk, attributes
    append_number(directory, bytes.size(), 4);
    directory += member;
    append_number(bytes, kLocalHeader, 4);
    bytes += shared;
    bytes += member;
    bytes += content;
  }
  const size_t start = bytes.size();
  bytes += directory;
  append_number(bytes, kEndOfDirectory, 4);
  append_number(bytes, 0, 4);
  append_number(bytes, tensors.size(), 2);
  append_number(bytes, tensors.size(), 2);
  append_number(bytes, directory.size(), 4);
  append_number(bytes, start, 4);
  append_number(bytes, 0, 2);
  return bytes;
}

}  // namespace lathe::ir
