// Packed weights in files: round trips, each refusal, and files with anything wrong in them.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <lathe/lathe.h>

#include "store/store.h"
#include "support/files.h"
#include "support/hash.h"
#include "tests/temporary_folder.h"

namespace lathe {
namespace {

constexpr size_t kHeader = 256, kHeaderHash = 248;
constexpr size_t kFormatRevision = 8, kLayoutRevision = 12, kType = 16, kN = 24, kPartBytes = 120;

class PackedFile : public testing::Test {
 protected:
  void SetUp() override {
    LibraryOptions options;
    options.store = "none";
    options.threads = 2;
    library_.emplace(*Library::open(options));
    weight_.resize(30 * 20);
    std::iota(weight_.begin(), weight_.end(), 1.0F);
    packed_ = *library_->pack_weight({weight_.data(), {30, 20}});
    ASSERT_TRUE(packed_.save(path()).has_value());
    bytes_ = *support::read_file(path());
  }

  std::string path() const { return (folder_ / "weight.lathe").string(); }

  // Writes altered bytes; with `consistent` the header's own checksum is made right again.
  void write(std::string bytes, bool consistent = false) const {
    if (consistent) {
      std::memset(bytes.data() + kHeaderHash, 0, 8);
      const uint64_t hash = support::hash64(std::string_view(bytes).substr(0, kHeader));
      std::memcpy(bytes.data() + kHeaderHash, &hash, 8);
    }
    ASSERT_TRUE(support::write_file(path(), bytes).has_value());
  }

  template <typename T>
  std::string with(size_t at, T value) const {
    std::string bytes = bytes_;
    std::memcpy(bytes.data() + at, &value, sizeof(T));
    return bytes;
  }

  void says(ErrorCode code, std::string_view text, const MapOptions& options = {}) const {
    const auto mapped = library_->map_weight(path(), options);
    ASSERT_FALSE(mapped.has_value()) << text;
    EXPECT_EQ(mapped.error().code, code) << mapped.error().message;
    EXPECT_NE(mapped.error().message.find(text), std::string::npos) << mapped.error().message;
    EXPECT_NE(mapped.error().message.find(path()), std::string::npos) << mapped.error().message;
  }

  tests::TemporaryFolder folder_;
  std::optional<Library> library_;
  std::vector<float> weight_;
  PackedWeight packed_;
  std::string bytes_;
};

TEST_F(PackedFile, ComesBackAsItWas) {
  for (const bool verify : {true, false}) {
    const auto mapped = library_->map_weight(path(), {.verify = verify});
    ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
    EXPECT_TRUE(mapped->is_mapped());
    EXPECT_EQ(mapped->layout(), packed_.layout());
    EXPECT_EQ(mapped->bytes(), packed_.bytes());
    ASSERT_EQ(mapped->parts().size(), packed_.parts().size());
    EXPECT_EQ(std::memcmp(mapped->parts()[0].data, packed_.parts()[0].data,
                          static_cast<size_t>(packed_.bytes())),
              0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mapped->parts()[0].data) % 64, 0U);
    const auto kernel = library_->fetch(mapped->linear());
    ASSERT_TRUE(kernel.has_value());
    std::vector<float> x(20, 1), y(30);
    ASSERT_TRUE((*kernel)({x.data(), {1, 20}}, *mapped, {}, {y.data(), {1, 30}}).has_value());
    EXPECT_EQ(y[29], std::accumulate(weight_.end() - 20, weight_.end(), 0.0F));
  }
}

TEST_F(PackedFile, AMappedOneStaysAsItWasWhereItsFileIsSavedAgain) {
  std::filesystem::create_hard_link(path(), folder_ / "other name");
  const auto mapped = library_->map_weight(path());
  ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
  std::reverse(weight_.begin(), weight_.end());
  const auto reversed = library_->pack_weight({weight_.data(), {30, 20}});
  ASSERT_TRUE(reversed->save(path()).has_value());
  EXPECT_NE(*support::read_file(path()), bytes_);
  EXPECT_EQ(std::memcmp(mapped->parts()[0].data, packed_.parts()[0].data,
                        static_cast<size_t>(packed_.bytes())),
            0);
}

TEST_F(PackedFile, CodesComeBackWithTheirScales) {
  const auto packed =
      library_->pack_weight({weight_.data(), {30, 20}}, {.panel = 16, .as = DataType::i8});
  ASSERT_TRUE(packed.has_value()) << packed.error().message;
  ASSERT_TRUE(packed->save(path()).has_value());
  const auto mapped = library_->map_weight(path());
  ASSERT_TRUE(mapped.has_value()) << mapped.error().message;
  EXPECT_EQ(mapped->layout(), "panels16 i8 30x20");
  ASSERT_EQ(mapped->parts().size(), 2U);
  for (size_t part = 0; part < 2; ++part) {
    const size_t bytes = part == 0 ? 32 * 32 : 32 * sizeof(float);
    EXPECT_EQ(std::memcmp(mapped->parts()[part].data, packed->parts()[part].data, bytes), 0);
  }
  const auto kernel = library_->fetch(mapped->linear());
  ASSERT_TRUE(kernel.has_value());
  std::vector<float> x(20, 1), y(30);
  ASSERT_TRUE((*kernel)({x.data(), {1, 20}}, *mapped, {}, {y.data(), {1, 30}}).has_value());
  EXPECT_NEAR(y[29], std::accumulate(weight_.end() - 20, weight_.end(), 0.0F), 50);
}

TEST_F(PackedFile, AMappedWeightIsSavedAgainAsTheSameBytes) {
  const auto mapped = library_->map_weight(path());
  ASSERT_TRUE(mapped.has_value());
  ASSERT_TRUE(mapped->save(path()).has_value()) << "over the file that it maps";
  EXPECT_EQ(*support::read_file(path()), bytes_);
  EXPECT_EQ(std::memcmp(mapped->parts()[0].data, packed_.parts()[0].data,
                        static_cast<size_t>(packed_.bytes())),
            0);
}

TEST_F(PackedFile, NothingButTheFileIsLeftBehind) {
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    ++files;
  EXPECT_EQ(files, 1U);
  const Status refused = packed_.save((folder_ / "missing" / "weight").string());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::io_error);
  EXPECT_NE(refused.error().message.find("missing"), std::string::npos);
  EXPECT_FALSE(PackedWeight().save(path()).has_value());
  EXPECT_EQ(*support::read_file(path()), bytes_) << "a failed save leaves the old file";
}

TEST_F(PackedFile, IsNotThereOrNoFile) {
  const auto missing = library_->map_weight((folder_ / "none").string());
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const auto folder = library_->map_weight(folder_.path().string());
  ASSERT_FALSE(folder.has_value());
  EXPECT_EQ(folder.error().code, ErrorCode::io_error);
}

TEST_F(PackedFile, IsNoPackedWeight) {
  write(with(0, 'l'));
  says(ErrorCode::corrupt, "is no packed weight");
  write("GGUF and so on");
  says(ErrorCode::corrupt, "is no packed weight");
}

TEST_F(PackedFile, IsCutShort) {
  for (const size_t size : {size_t{0}, size_t{5}, kHeader - 1, kHeader, bytes_.size() - 1}) {
    write(bytes_.substr(0, size));
    says(ErrorCode::corrupt, "cut short");
    says(ErrorCode::corrupt, "cut short", {.verify = false});
  }
  write(bytes_ + "x");
  says(ErrorCode::corrupt, "something behind its end");
}

TEST_F(PackedFile, IsOfAnotherRevision) {
  write(with(kFormatRevision, uint32_t{9}), true);
  says(ErrorCode::mismatch, "format revision 9, expected 1");
  write(with(kLayoutRevision, uint32_t{77}), true);
  says(ErrorCode::mismatch, "layout revision 77, expected");
}

TEST_F(PackedFile, HasAnAlteredHeader) {
  write(with(kN, int64_t{31}));
  says(ErrorCode::corrupt, "header's checksum");
}

TEST_F(PackedFile, HasSizesThatDoNotAddUp) {
  write(with(kPartBytes, int64_t{64}), true);
  says(ErrorCode::corrupt, "do not add up");
  write(with(kPartBytes + 8, int64_t{64}), true);
  says(ErrorCode::corrupt, "do not add up");
  write(with(kN, int64_t{300}), true);
  says(ErrorCode::corrupt, "do not add up");
  write(with(kN, int64_t{-1}), true);
  says(ErrorCode::corrupt, "n");
  write(with(kType, uint32_t{200}), true);
  says(ErrorCode::corrupt, "type 200");
  write(with(kType, uint32_t{8}), true);
  says(ErrorCode::corrupt, "i32");
}

TEST_F(PackedFile, HasAlteredData) {
  write(with(kHeader + 1000, '\x55'));
  says(ErrorCode::corrupt, "the data's checksum");
  EXPECT_TRUE(library_->map_weight(path(), {.verify = false}).has_value());
}

TEST_F(PackedFile, DoesNotFitTheProblem) {
  const auto mapped = library_->map_weight(path());
  ASSERT_TRUE(mapped.has_value());
  const auto kernel = library_->fetch(Linear{.n = 20, .k = 30});
  ASSERT_TRUE(kernel.has_value());
  std::vector<float> x(30), y(20, 7);
  const Status status = (*kernel)({x.data(), {1, 30}}, *mapped, {}, {y.data(), {1, 20}});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::mismatch);
  EXPECT_EQ(y[0], 7);
}

// Whatever happens to a file, it is refused, or only its unverified data is wrong.
TEST_F(PackedFile, AnyDamageIsFound) {
  std::mt19937 random(7);
  const auto below = [&](size_t end) { return random() % end; };
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = bytes_;
    const bool consistent = round % 4 == 0;
    if (round % 3 == 0) {
      bytes.resize(below(bytes.size()));
    } else {
      for (size_t flips = 1 + below(3); flips > 0; --flips)
        bytes[below(round % 2 == 0 ? kHeader : bytes.size())] ^= static_cast<char>(1U << below(8));
    }
    if (bytes == bytes_) continue;
    write(bytes, consistent && bytes.size() >= kHeader);
    const bool verify = round % 5 != 0;
    const auto mapped = library_->map_weight(path(), {.verify = verify});
    if (mapped) {
      EXPECT_EQ(mapped->bytes(), packed_.bytes());
      EXPECT_TRUE(!verify || *support::read_file(path()) == bytes_) << "round " << round;
    } else {
      EXPECT_FALSE(mapped.error().message.empty());
    }
  }
}

// Nobody writes to it: opening it must not wait for that.
TEST_F(PackedFile, APipeIsRefused) {
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto mapped = library_->map_weight(pipe);
  ASSERT_FALSE(mapped);
  EXPECT_NE(mapped.error().message.find("a pipe or a device"), std::string::npos)
      << mapped.error().message;
}

TEST_F(PackedFile, APipeBesideAStoreIsRefused) {
  for (const char* suffix : {"-journal", "-wal", "-shm", ".lock", ""}) {
    const std::string store = (folder_ / ("store" + std::string(suffix) + ".db")).string();
    ASSERT_EQ(::mkfifo((store + suffix).c_str(), 0600), 0);
    for (const auto mode : {store::OpenMode::read_only, store::OpenMode::read_write}) {
      const auto opened = store::Store::open(store, {.mode = mode});
      if (!opened) continue;
      ADD_FAILURE() << "opened beside " << store << suffix;
    }
  }
}

}  // namespace
}  // namespace lathe
