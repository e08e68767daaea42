// Packed weights in files: a header, then the block as it lies in memory.
#include <array>
#include <bit>
#include <cstring>

#include "runtime/weights/packed_weight.h"
#include "support/hash.h"

namespace lathe::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr std::array<char, 8> kMagic = {'L', 'A', 'T', 'H', 'E', 'P', 'W', '\n'};
constexpr uint32_t kFormatRevision = 1;
constexpr size_t kMaxParts = 8;

// At the start of the file; the block follows. A multiple of 64 bytes, so that parts are aligned in
// a mapping, which starts at a page.
struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t format_revision = kFormatRevision;
  uint32_t layout_revision = compiler::kLayoutRevision;
  uint32_t type = 0;
  uint32_t pair = 0;
  int64_t n = 0, k = 0, panel = 0;
  std::array<char, 64> layout{};  // the identity, for whoever looks at the file
  uint32_t part_count = 0;
  uint32_t reserved = 0;
  std::array<int64_t, kMaxParts> part_bytes{};
  int64_t block_bytes = 0;
  uint64_t block_low = 0, block_high = 0;  // XXH3-128 of the block
  std::array<uint64_t, 5> unused{};
  uint64_t header_hash = 0;  // XXH3-64 of the header with this field 0
};
static_assert(sizeof(Header) % 64 == 0 && std::is_trivially_copyable_v<Header>);

std::string_view bytes_of(const Header& header) {
  return {reinterpret_cast<const char*>(&header), sizeof(Header)};
}

uint64_t hash_of(Header header) {
  header.header_hash = 0;
  return support::hash64(bytes_of(header));
}

// The one header that a layout with such data has.
Header header_of(const compiler::WeightLayout& layout, const BlockPlan& plan,
                 const support::Hash128& block) {
  Header header;
  header.type = static_cast<uint32_t>(layout.type);
  header.pair = layout.pair ? 1 : 0;
  header.n = layout.n;
  header.k = layout.k;
  header.panel = layout.panel;
  compiler::print(layout).copy(header.layout.data(), header.layout.size() - 1);
  header.part_count = static_cast<uint32_t>(plan.places.size());
  for (size_t i = 0; i < plan.places.size() && i < kMaxParts; ++i)
    header.part_bytes[i] = plan.places[i].bytes;
  header.block_bytes = plan.bytes;
  header.block_low = block.low;
  header.block_high = block.high;
  header.header_hash = hash_of(header);
  return header;
}

constexpr std::string_view kPackAgain = "pack the weight again and save it";

// Everything that can be told without reading the block.
Result<BlockPlan> check_header(const Header& header, int64_t file_bytes, const std::string& path,
                               compiler::WeightLayout& layout) {
  if (header.format_revision != kFormatRevision) {
    return fail(ErrorCode::mismatch, "{}: found format revision {}, expected {}; {}", path,
                header.format_revision, kFormatRevision, kPackAgain);
  }
  if (const uint64_t hash = hash_of(header); hash != header.header_hash) {
    return fail(ErrorCode::corrupt, "{}: the header's checksum is {:016x}, expected {:016x}; {}",
                path, hash, header.header_hash, kPackAgain);
  }
  if (header.layout_revision != compiler::kLayoutRevision) {
    return fail(ErrorCode::mismatch, "{}: found layout revision {}, expected {}; {}", path,
                header.layout_revision, compiler::kLayoutRevision, kPackAgain);
  }
  if (header.type > static_cast<uint32_t>(ir::Type::q4_K) || header.pair > 1)
    return fail(ErrorCode::corrupt, "{}: found type {} and pair {}, which no weight has; {}", path,
                header.type, header.pair, kPackAgain);
  layout = {static_cast<ir::Type>(header.type), header.n, header.k, header.panel, header.pair == 1};
  auto plan = plan_block(layout);
  if (!plan)
    return fail(ErrorCode::corrupt, "{}: the header's layout: {}; {}", path, plan.error().message,
                kPackAgain);
  const Header expected_header = header_of(layout, *plan, {header.block_low, header.block_high});
  if (plan->places.size() > kMaxParts || bytes_of(header) != bytes_of(expected_header)) {
    return fail(ErrorCode::corrupt,
                "{}: found {} parts in {} bytes, expected {} in {} for {}; the sizes do not add "
                "up; {}",
                path, header.part_count, header.block_bytes, plan->places.size(), plan->bytes,
                compiler::print(layout), kPackAgain);
  }
  const int64_t expected = static_cast<int64_t>(sizeof(Header)) + plan->bytes;
  if (file_bytes != expected) {
    return fail(ErrorCode::corrupt, "{}: found {} bytes, expected {}: the file {}; {}", path,
                file_bytes, expected,
                file_bytes < expected ? "is cut short" : "has something behind its end",
                kPackAgain);
  }
  return plan;
}

}  // namespace

Status save_weight(const PackedWeightData& weight, const std::string& path) {
  const std::string_view block(reinterpret_cast<const char*>(weight.block),
                               static_cast<size_t>(weight.bytes));
  LATHE_TRY(const BlockPlan plan, plan_block(weight.layout));
  if (plan.places.size() > kMaxParts) {
    return fail(ErrorCode::internal, "{}: {} parts exceed the file format's {}", path,
                plan.places.size(), kMaxParts);
  }
  const Header header = header_of(weight.layout, plan, support::hash128(block));
  const std::array pieces = {bytes_of(header), block};
  // Who has the old one mapped goes on with its bytes.
  return support::write_file(path, pieces, support::ExistingFile::replaced);
}

Result<std::shared_ptr<const PackedWeightData>> map_weight(const std::string& path,
                                                           const MapOptions& options) {
  auto data = std::make_shared<PackedWeightData>();
  LATHE_TRY(data->file, support::MappedFile::open(path));
  const std::byte* bytes = data->file.data();
  const size_t size = data->file.size();
  if (size >= kMagic.size() && std::memcmp(bytes, kMagic.data(), kMagic.size()) != 0) {
    return fail(ErrorCode::corrupt,
                "{}: is no packed weight: it does not start with LATHEPW; give a file that "
                "PackedWeight::save wrote",
                path);
  }
  if (size < sizeof(Header)) {
    return fail(ErrorCode::corrupt,
                "{}: found {} bytes, expected a header of {}: the file is cut short; {}", path,
                size, sizeof(Header), kPackAgain);
  }
  Header header;
  std::memcpy(&header, bytes, sizeof(Header));
  LATHE_TRY(const BlockPlan plan,
            check_header(header, static_cast<int64_t>(size), path, data->layout));
  data->block = bytes + sizeof(Header);
  if (options.verify) {
    const support::Hash128 hash = support::hash128(
        {reinterpret_cast<const char*>(data->block), static_cast<size_t>(plan.bytes)});
    if (hash != support::Hash128{header.block_low, header.block_high}) {
      return fail(
          ErrorCode::corrupt,
          "{}: the data's checksum is {:016x}{:016x}, expected {:016x}{:016x}: the file was "
          "altered; {}",
          path, hash.high, hash.low, header.block_high, header.block_low, kPackAgain);
    }
  }
  set_parts(*data, plan);
  return data;
}

}  // namespace lathe::runtime
