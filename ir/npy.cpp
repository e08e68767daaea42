// The .npy header (a Python dictionary in text) and the elements after it.
#include "ir/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "support/files.h"

namespace lathe::ir {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int kMaxRank = 32;  // NumPy's own limit

struct Descr {
  std::string_view text;
  Type type;
};

// f8 has no Type of its own and is handled beside this table.
constexpr std::array<Descr, 11> kDescrs = {{{"f2", Type::f16},
                                            {"f4", Type::f32},
                                            {"b1", Type::boolean},
                                            {"i1", Type::i8},
                                            {"u1", Type::u8},
                                            {"i2", Type::i16},
                                            {"u2", Type::u16},
                                            {"i4", Type::i32},
                                            {"u4", Type::u32},
                                            {"i8", Type::i64},
                                            {"u8", Type::u64}}};

struct Header {
  std::optional<Type> type;  // none: f8
  std::vector<int64_t> shape;
  int64_t elements = 1;
  std::string_view data;
};

// Reads the dictionary's text from front to back.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  bool take(std::string_view token) {
    skip_blanks();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  std::optional<std::string_view> quoted() {
    skip_blanks();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) return std::nullopt;
    const size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view content = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return content;
  }
  std::optional<int64_t> number() {
    skip_blanks();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) return std::nullopt;
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return value;
  }
  bool at_end() {
    skip_blanks();
    return text_.empty();
  }
  std::string_view rest() const { return text_.substr(0, 20); }

 private:
  void skip_blanks() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n'))
      text_.remove_prefix(1);
  }
  std::string_view text_;
};

std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return shown;
}

Status read_descr(HeaderReader& reader, Header& header) {
  const auto descr = reader.quoted();
  if (!descr) {
    return fail(ErrorCode::unsupported,
                "npy header: found descr {}..., expected one plain type such as '<f4'",
                printable(reader.rest()));
  }
  const bool order_fits =
      descr->size() == 3 && std::string_view("<|=").find(descr->front()) != std::string_view::npos;
  if (order_fits && descr->substr(1) == "f8") return {};
  for (const Descr& known : kDescrs) {
    if (order_fits && descr->substr(1) == known.text) {
      header.type = known.type;
      return {};
    }
  }
  return fail(
      ErrorCode::unsupported,
      "npy header: found descr '{}', expected a little-endian f2, f4, f8, b1, i1 to i8 or u1 to u8",
      printable(*descr));
}

Status read_shape(HeaderReader& reader, Header& header) {
  const auto bad = [&] {
    return fail(ErrorCode::corrupt, "npy header: found shape ...{}, expected a tuple of sizes",
                printable(reader.rest()));
  };
  if (!reader.take("(")) return bad();
  while (!reader.take(")")) {
    const auto size = reader.number();
    if (!size) return bad();
    header.shape.push_back(*size);
    if (header.shape.size() > kMaxRank) {
      return fail(ErrorCode::corrupt, "npy header: found more than {} dimensions", kMaxRank);
    }
    if (reader.take(",")) continue;
    if (reader.take(")")) break;
    return bad();
  }
  return {};
}

Status read_order(HeaderReader& reader) {
  if (reader.take("False")) return {};
  if (reader.take("True")) {
    return fail(
        ErrorCode::unsupported,
        "npy header: found Fortran order, expected C order; save numpy.ascontiguousarray(x)");
  }
  return fail(ErrorCode::corrupt, "npy header: found fortran_order {}, expected True or False",
              printable(reader.rest()));
}

Status read_dictionary(std::string_view text, Header& header) {
  HeaderReader reader(text);
  bool seen_descr = false;
  bool seen_order = false;
  bool seen_shape = false;
  if (!reader.take("{"))
    return fail(ErrorCode::corrupt, "npy header: found '{}', expected a dictionary",
                printable(reader.rest()));
  while (!reader.take("}")) {
    const auto key = reader.quoted();
    if (!key || !reader.take(":")) {
      return fail(ErrorCode::corrupt,
                  "npy header: found '{}', expected 'key':", printable(reader.rest()));
    }
    if (*key == "descr" && !seen_descr) {
      seen_descr = true;
      LATHE_CHECK(read_descr(reader, header));
    } else if (*key == "fortran_order" && !seen_order) {
      seen_order = true;
      LATHE_CHECK(read_order(reader));
    } else if (*key == "shape" && !seen_shape) {
      seen_shape = true;
      LATHE_CHECK(read_shape(reader, header));
    } else {
      return fail(ErrorCode::corrupt,
                  "npy header: found key '{}', expected descr, fortran_order and shape once each",
                  printable(*key));
    }
    if (reader.take(",")) continue;
    if (reader.take("}")) break;
    return fail(ErrorCode::corrupt, "npy header: found '{}', expected ',' or '}}'",
                printable(reader.rest()));
  }
  if (!reader.at_end() || !seen_descr || !seen_order || !seen_shape) {
    return fail(ErrorCode::corrupt, "npy header: expected exactly descr, fortran_order and shape");
  }
  return {};
}

uint32_t little_endian(std::string_view bytes, size_t first, size_t count) {
  uint32_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[first + i]);
  return value;
}

Result<Header> parse_header(std::string_view bytes) {
  if (bytes.size() < 12 || !bytes.starts_with(kMagic)) {
    return fail(ErrorCode::corrupt,
                "not a .npy file: expected it to start with \\x93NUMPY and a header");
  }
  const int version = static_cast<uint8_t>(bytes[6]);
  if (version != 1 && version != 2) {
    return fail(ErrorCode::unsupported, "found .npy format version {}, expected 1 or 2", version);
  }
  const size_t start = version == 1 ? 10 : 12;
  const size_t length = little_endian(bytes, 8, start - 8);
  if (length > bytes.size() - start) {
    return fail(ErrorCode::corrupt,
                "npy header: found a length of {} bytes, expected at most the {} that follow",
                length, bytes.size() - start);
  }
  Header header;
  LATHE_CHECK(read_dictionary(bytes.substr(start, length), header));
  header.data = bytes.substr(start + length);

  // The bytes bound the product, so that no damaged shape can overflow it or make us allocate.
  const int64_t size = header.type ? size_of(*header.type) : 8;
  const auto available = static_cast<int64_t>(header.data.size()) / size;
  bool has_zero = false;
  for (const int64_t dim : header.shape) has_zero = has_zero || dim == 0;
  for (const int64_t dim : header.shape) {
    if (has_zero || dim > available / header.elements) {
      header.elements = has_zero ? 0 : available + 1;
      break;
    }
    header.elements *= dim;
  }
  if (header.elements * size != static_cast<int64_t>(header.data.size())) {
    return fail(
        ErrorCode::corrupt,
        "npy data: found {} bytes, which do not fit the header's shape ({}) of {}-byte elements",
        header.data.size(), fmt::join(header.shape, ", "), size);
  }
  return header;
}

double double_at(std::string_view data, int64_t index) {
  double value = 0;
  std::memcpy(&value, data.data() + index * 8, sizeof value);
  return value;
}

Tensor make_tensor(const Header& header) {
  Tensor tensor(header.type.value_or(Type::f32), header.shape);
  if (header.elements == 0) return tensor;
  if (header.type) {
    std::memcpy(tensor.data(), header.data.data(), header.data.size());
    return tensor;
  }
  for (int64_t i = 0; i < header.elements; ++i) tensor.set(i, double_at(header.data, i));
  return tensor;
}

// The NumPy type that carries each of ours.
std::string_view descr_of(Type type) {
  if (type == Type::bf16) return "<u2";
  if (info(type).block_elements > 1) return "|u1";
  switch (type) {
    case Type::f32: return "<f4";
    case Type::f16: return "<f2";
    case Type::boolean: return "|b1";
    case Type::i8: return "|i1";
    case Type::u8: return "|u1";
    case Type::i16: return "<i2";
    case Type::u16: return "<u2";
    case Type::i32: return "<i4";
    case Type::u32: return "<u4";
    case Type::i64: return "<i8";
    default: return "<u8";
  }
}

}  // namespace

Result<Tensor> parse_npy(std::string_view bytes) {
  LATHE_TRY(const Header header, parse_header(bytes));
  return make_tensor(header);
}

Result<Tensor> read_npy(const std::filesystem::path& path) {
  LATHE_TRY(const std::string bytes, support::read_file(path));
  auto tensor = parse_npy(bytes);
  if (!tensor) return fail_with_context(path.string(), std::move(tensor).error());
  return tensor;
}

Result<DoubleArray> parse_npy_doubles(std::string_view bytes) {
  LATHE_TRY(const Header header, parse_header(bytes));
  DoubleArray array{header.shape, {}};
  array.values.reserve(static_cast<size_t>(header.elements));
  const Tensor tensor = header.type ? make_tensor(header) : Tensor();
  for (int64_t i = 0; i < header.elements; ++i) {
    array.values.push_back(header.type ? tensor.at(i) : double_at(header.data, i));
  }
  return array;
}

std::string format_npy(const Tensor& tensor) {
  std::vector<int64_t> shape = tensor.shape();
  if (info(tensor.type()).block_elements > 1 && !shape.empty()) {
    shape.back() = bytes_of(tensor.type(), shape.back());
  }
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                  descr_of(tensor.type()), fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  // Data starts at a multiple of 64 bytes, as NumPy writes it.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += {'\x01', '\x00', static_cast<char>(header.size() & 0xff),
            static_cast<char>(header.size() >> 8)};
  bytes += header;
  if (tensor.elements() > 0) {
    bytes.append(reinterpret_cast<const char*>(tensor.data()), static_cast<size_t>(tensor.bytes()));
  }
  return bytes;
}

Status write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  return support::write_file(path, format_npy(tensor));
}

Result<Tensor> reinterpret(Tensor tensor, Type type) {
  if (tensor.type() == type) return tensor;
  const int block = info(type).block_elements;
  std::vector<int64_t> shape = tensor.shape();
  const bool halves = tensor.type() == Type::u16 && (type == Type::bf16 || type == Type::f16);
  const bool blocks = tensor.type() == Type::u8 && block > 1 && !shape.empty() &&
                      shape.back() % info(type).block_bytes == 0;
  if (!halves && !blocks) {
    return fail(
        ErrorCode::invalid_argument, "found a tensor of {} [{}], expected {}{}",
        name(tensor.type()), fmt::join(shape, ", "), name(type),
        block > 1 ? fmt::format(", or u8 with rows of whole {}-byte blocks", info(type).block_bytes)
        : type == Type::bf16 ? ", or its bits as u16"
                             : "");
  }
  if (blocks) shape.back() = shape.back() / info(type).block_bytes * block;
  Tensor result(type, std::move(shape));
  if (result.elements() > 0)
    std::memcpy(result.data(), tensor.data(), static_cast<size_t>(result.bytes()));
  return result;
}

}  // namespace lathe::ir
