// Writing into a cache through slots: what stays, and what is refused before anything is written.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/lathe.h>

namespace lathe {
namespace {

constexpr int64_t kRows = 3, kCapacity = 8, kHeads = 2, kDim = 16, kEntry = kHeads * kDim;
constexpr float kBefore = 7;

class CacheErrors : public testing::Test {
 protected:
  void SetUp() override {
    LibraryOptions options;
    options.store = "none";
    options.threads = 2;
    auto library = Library::open(options);
    ASSERT_TRUE(library.has_value()) << library.error().message;
    library_ = std::make_unique<Library>(*library);
    write_ = fetch({.heads = kHeads, .dim = kDim, .rows = kRows});
    for (size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<float>(i) + 100;
  }

  Kernel fetch(const WriteCache& op) {
    auto kernel = library_->fetch(op);
    EXPECT_TRUE(kernel.has_value()) << kernel.error().message;
    return kernel ? *kernel : Kernel();
  }

  // Writes x at the slots; empty, or the message, with nothing written then.
  std::string write(const std::vector<int32_t>& slots) {
    std::fill(y_.begin(), y_.end(), kBefore);
    const Status status =
        write_({x(), {slots.data(), {static_cast<int64_t>(slots.size())}}}, {y()});
    if (status) return "";
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(std::count(y_.begin(), y_.end(), kBefore), static_cast<int64_t>(y_.size()));
    const std::string& text = status.error().message;
    return text.substr(text.find("operand"));
  }

  TensorView x() { return {x_.data(), {kRows, kHeads, kDim}}; }
  // Behind an entry that is none of its own.
  TensorView y() { return {y_.data() + kEntry, {kCapacity, kHeads, kDim}}; }

  std::unique_ptr<Library> library_;
  Kernel write_;
  std::vector<float> x_ = std::vector<float>(kRows * kHeads * kDim);
  std::vector<float> y_ = std::vector<float>((kCapacity + 1) * kEntry);
};

TEST_F(CacheErrors, WhatNoSlotNamesStays) {
  ASSERT_EQ(write({5, -1, 0}), "");
  for (int64_t slot = -1; slot < kCapacity; ++slot) {
    for (int64_t i = 0; i < kEntry; ++i) {
      const float found = y_[static_cast<size_t>((slot + 1) * kEntry + i)];
      const float expected = slot == 5   ? x_[static_cast<size_t>(i)]
                             : slot == 0 ? x_[static_cast<size_t>(2 * kEntry + i)]
                                         : kBefore;
      ASSERT_EQ(found, expected) << slot << " " << i;
    }
  }
  EXPECT_EQ(write({-1, -1, -1}), "");
  EXPECT_EQ(std::count(y_.begin(), y_.end(), kBefore), static_cast<int64_t>(y_.size()));
}

TEST_F(CacheErrors, SlotsAreInTheCacheAndDistinct) {
  EXPECT_EQ(write({1, 8, 0}), "operand 'slots': found index 8 at [1], expected 0..7, or -1");
  EXPECT_EQ(write({1, 2, -2}), "operand 'slots': found index -2 at [2], expected 0..7, or -1");
  EXPECT_EQ(write({4, 2, 4}),
            "operand 'slots': found 4 at [2], as at [0]; expected distinct elements");
  EXPECT_EQ(write({4, 2}), "operand 'slots': found shape [2], expected [rows] with rows = 3");
}

TEST_F(CacheErrors, TheCacheOverlapsNothing) {
  const std::vector<int32_t> slots = {0, 1, 2};
  const auto message = [&](const TensorView& from, const TensorView& into) {
    const Status status = write_({from, {slots.data(), {kRows}}}, {into});
    return status ? std::string() : status.error().message;
  };
  // Not even as the very same view, which others may reuse.
  TensorView same = y();
  same.shape[0] = kRows;
  EXPECT_NE(message(same, y()).find("'y': overlaps operand 'x'; give it memory of its own"),
            std::string::npos);
  EXPECT_NE(message(same, same).find("'y': overlaps operand 'x'; give it memory of its own"),
            std::string::npos);
  const auto rope = library_->fetch(Rope{.heads = kHeads,
                                         .dim = kDim,
                                         .kind = Rope::Kind::plain,
                                         .slots = CacheSlots::flat,
                                         .rows = kRows});
  ASSERT_TRUE(rope.has_value()) << rope.error().message;
  const std::vector<float> angles(kDim / 2, 0.5F);
  const std::vector<int32_t> positions(kRows, 0);
  const Status turned = (*rope)({same,
                                 {angles.data(), {1, kDim / 2}},
                                 {angles.data(), {1, kDim / 2}},
                                 {positions.data(), {kRows}},
                                 {slots.data(), {kRows}}},
                                {same});
  ASSERT_FALSE(turned);
  EXPECT_NE(turned.error().message.find("'y': overlaps operand 'x'; give it memory"),
            std::string::npos)
      << turned.error().message;
  // Two entries of the cache in one memory.
  TensorView folded = y();
  folded.strides[0] = kDim;
  EXPECT_NE(message(x(), folded).find("'y': an output's rows overlap"), std::string::npos);
}

TEST_F(CacheErrors, PagesAndHeadsLieAsStridesSay) {
  // Heads before tokens, in pages of 2 tokens.
  const Kernel paged =
      fetch({.heads = kHeads, .dim = kDim, .slots = CacheSlots::paged, .page = 2, .rows = kRows});
  std::fill(y_.begin(), y_.end(), kBefore);
  TensorView pool(y_.data(), {kCapacity / 2, 2, kHeads, kDim});
  pool.strides[0] = kHeads * 2 * kDim;
  pool.strides[1] = kDim;
  pool.strides[2] = 2 * kDim;
  const std::vector<int32_t> slots = {7, 0, 2};
  const Status status = paged({x(), {slots.data(), {kRows}}}, {pool});
  ASSERT_TRUE(status) << status.error().message;
  std::vector<float> expected(y_.size(), kBefore);
  for (size_t r = 0; r < slots.size(); ++r) {
    for (int64_t h = 0; h < kHeads; ++h) {
      const int64_t page = slots[r] / 2, token = slots[r] % 2;
      std::copy_n(x_.begin() + (static_cast<int64_t>(r) * kHeads + h) * kDim, kDim,
                  expected.begin() + ((page * kHeads + h) * 2 + token) * kDim);
    }
  }
  EXPECT_EQ(y_, expected);
  const std::vector<int32_t> outside = {7, 8, 2};
  const Status refused = paged({x(), {outside.data(), {kRows}}}, {pool});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("found 8 at [1], expected 0..7, or -1"), std::string::npos)
      << refused.error().message;
}

TEST_F(CacheErrors, ItemsOfABatchHaveSlotsOfTheirOwn) {
  const Kernel batched =
      fetch({.heads = 1, .dim = kDim, .slots = CacheSlots::batched, .rows = kRows});
  std::fill(y_.begin(), y_.end(), kBefore);
  const std::vector<int32_t> slots = {3, 0, 1, 3, -1, 2};  // 3 twice, but of two items
  const TensorView rows(x_.data(), {2, kRows, 1, kDim});
  const TensorView cache(y_.data(), {2, kCapacity, 1, kDim});
  const Status status = batched({rows, {slots.data(), {2, kRows}}}, {cache});
  ASSERT_TRUE(status) << status.error().message;
  std::vector<float> expected(y_.size(), kBefore);
  for (size_t r = 0; r < slots.size(); ++r)
    if (slots[r] >= 0)
      std::copy_n(
          x_.begin() + static_cast<int64_t>(r) * kDim, kDim,
          expected.begin() + (static_cast<int64_t>(r) / kRows * kCapacity + slots[r]) * kDim);
  EXPECT_EQ(y_, expected);
}

TEST_F(CacheErrors, ProblemsThatAreNone) {
  const auto message = [&](const WriteCache& op) {
    const auto kernel = library_->fetch(op);
    return kernel ? std::string("(runs)") : kernel.error().message;
  };
  EXPECT_EQ(message({.slots = CacheSlots::paged}),
            "write_cache: page: found 0, expected the tokens of a page with slots=paged");
  EXPECT_EQ(message({.page = 4}), "write_cache: page: found 4, expected 0 with slots=flat");
  EXPECT_EQ(message({.slots = static_cast<CacheSlots>(9)}),
            "write_cache: slots number 9 is unknown");
  EXPECT_EQ(message({.dim = 40, .cache_type = DataType::q8_0}),
            "write_cache: dim: found 40, expected a multiple of the block of 32 of out=q8_0");
  EXPECT_EQ(message({.type = DataType::q4_0, .cache_type = DataType::q8_0}),
            "write_cache: out: found q8_0, expected q4_0 with type=q4_0");
}

}  // namespace
}  // namespace lathe
