// Everything a caller of a kernel can get wrong is an error that names the operand, before anything
// runs.
#include <gtest/gtest.h>

#include <lathe/lathe.h>

namespace lathe {
namespace {

class LaunchErrors : public testing::Test {
 protected:
  void SetUp() override {
    LibraryOptions options;
    options.store = "none";
    options.threads = 1;
    auto library = Library::open(options);
    ASSERT_TRUE(library.has_value()) << library.error().message;
    auto kernel = library->fetch(RmsNorm{.width = 16, .rows = 4});
    ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
    norm_ = *kernel;
    auto embedding = library->fetch(Embedding{.width = 16, .rows = 4});
    ASSERT_TRUE(embedding.has_value()) << embedding.error().message;
    embedding_ = *embedding;
  }

  // The norm with views changed by `change`; returns the message.
  template <typename Change>
  std::string message(Change&& change) {
    std::vector<TensorView> in = {TensorView(x_, {4, 16}), TensorView(w_, {16})};
    std::vector<TensorView> out = {TensorView(y_, {4, 16})};
    change(in, out);
    std::fill(std::begin(y_), std::end(y_), 7.0F);
    const Status status = norm_(in, out);
    if (status) return "";
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(std::count(std::begin(y_), std::end(y_), 7.0F), std::size(y_))
        << "written in spite of the error";
    return status.error().message;
  }
  using Views = std::vector<TensorView>&;

  Kernel norm_, embedding_;
  alignas(64) float x_[256] = {}, w_[64] = {}, y_[256] = {};
};

TEST_F(LaunchErrors, TheViewsAsTheyShouldBe) {
  EXPECT_EQ(message([](Views, Views) {}), "");
}

TEST_F(LaunchErrors, NamesTheOperand) {
  const auto expect = [&](auto change, const std::string& operand, const std::string& says) {
    const std::string text = message(change);
    EXPECT_NE(text.find("'" + operand + "'"), std::string::npos) << text;
    EXPECT_NE(text.find(says), std::string::npos) << text;
  };
  expect([](Views in, Views) { in[0].data = nullptr; }, "x", "null");
  expect([](Views in, Views) { in[1].data = nullptr; }, "weight", "null");
  expect([](Views in, Views) { in[0].type = DataType::f16; }, "x", "found type f16, expected f32");
  expect([](Views in, Views) { in[0].type = static_cast<DataType>(99); }, "x", "type number 99");
  expect([](Views in, Views) { in[0].rank = 1; }, "x", "expected [rows, 16]");
  expect([](Views in, Views) { in[0].rank = -1; }, "x", "rank -1");
  expect([](Views in, Views) { in[0].rank = 77; }, "x", "rank 77");
  expect([](Views in, Views) { in[0].shape[1] = 15; }, "x", "found shape [4, 15]");
  expect([](Views in, Views) { in[0].shape[1] = 17; }, "x", "found shape [4, 17]");
  expect([](Views in, Views) { in[0].shape[0] = -4; }, "x", "found shape [-4, 16]");
  expect([](Views, Views out) { out[0].shape[0] = 5; }, "y", "with rows = 4");
  expect([](Views in, Views) { in[0].strides[1] = 2; }, "x", "contiguous");
  expect([](Views in, Views) { in[0].strides[0] = -16; }, "x", "stride -16");
  expect([](Views, Views out) { out[0].strides[0] = 8; }, "y", "rows overlap");
  expect([&](Views in, Views) { in[0].data = reinterpret_cast<char*>(x_) + 2; }, "x",
         "not aligned");
  expect([&](Views, Views out) { out[0].data = x_ + 4; }, "y", "overlaps operand 'x'");
  expect([&](Views, Views out) { out[0].data = w_; }, "y", "overlaps operand");
}

TEST_F(LaunchErrors, CountsOperands) {
  EXPECT_NE(message([](Views in, Views) { in.pop_back(); }).find("found 1 inputs, expected 2"),
            std::string::npos);
  EXPECT_NE(message([](Views, Views out) { out.clear(); }).find("expected 3"), std::string::npos);
  EXPECT_NE(message([](Views in, Views) { in.resize(40, in[0]); }).find("operands"),
            std::string::npos);
}

TEST_F(LaunchErrors, InPlaceAndInterleavedAreAllowed) {
  EXPECT_EQ(message([&](Views in, Views out) {
              in[0].data = y_;
              out[0].data = y_;
            }),
            "");
  // x in columns 0..15 and y in columns 16..31 of one tensor of 32 columns.
  EXPECT_EQ(message([&](Views in, Views out) {
              in[0].strides[0] = out[0].strides[0] = 32;
              out[0].data = x_ + 16;
            }),
            "");
}

TEST_F(LaunchErrors, OperandsMayLieSideBySide) {
  EXPECT_EQ(message([&](Views, Views out) { out[0].data = x_ + 4 * 16; }), "") << "y behind x";
  EXPECT_EQ(message([&](Views in, Views out) {
              in[0].data = x_ + 4 * 16;
              out[0].data = x_;
            }),
            "")
      << "y before x";
}

// Of a tensor of 32 columns x has 0 … 15: y must not begin among them, nor end in the next row's.
TEST_F(LaunchErrors, RowsThatInterleaveMustNotOverlap) {
  for (const int column : {8, 24}) {
    const std::string text = message([&](Views in, Views out) {
      in[0].strides[0] = out[0].strides[0] = 32;
      out[0].data = x_ + column;
    });
    EXPECT_NE(text.find("overlaps operand 'x'"), std::string::npos) << column << ": " << text;
  }
}

TEST_F(LaunchErrors, NoRowsIsNoWork) {
  EXPECT_EQ(message([](Views in, Views out) {
              in[0].shape[0] = out[0].shape[0] = 0;
              in[0].data = nullptr;
            }),
            "");
}

// Whether anything is empty does not change what is wrong.
TEST_F(LaunchErrors, EveryRuleHoldsForEmptyOperands) {
  const auto expect = [&](auto change, const std::string& says) {
    const std::string text = message([&](Views in, Views out) {
      in[0].shape[0] = out[0].shape[0] = 0;
      change(in, out);
    });
    EXPECT_NE(text.find(says), std::string::npos) << says << " in '" << text << "'";
  };
  expect([](Views in, Views) { in[1].data = nullptr; }, "'weight': the pointer is null");
  expect([](Views in, Views) { in[0].type = DataType::f16; }, "found type f16");
  expect([](Views in, Views) { in[1].strides[0] = 2; }, "contiguous");
  expect([](Views in, Views) { in[0].strides[0] = -16; }, "stride -16");
  expect([&](Views in, Views) { in[1].data = reinterpret_cast<char*>(w_) + 2; }, "not aligned");
  expect([](Views, Views out) { out[0].shape[0] = 4; }, "with rows = 0");
}

TEST_F(LaunchErrors, AnEmptyTableHasNoIndices) {
  alignas(64) float table[16] = {}, rows[4 * 16] = {};
  const int32_t ids[4] = {0, 5, -1, 0};
  const Status status =
      embedding_({TensorView(table, {0, 16}), TensorView(ids, {4})}, {TensorView(rows, {4, 16})});
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("found index 0 at [0] into an empty table"),
            std::string::npos)
      << status.error().message;
  EXPECT_TRUE(
      embedding_({TensorView(table, {0, 16}), TensorView(ids, {0})}, {TensorView(rows, {0, 16})}));

  const auto library = Library::open({.store = "none"});
  ASSERT_TRUE(library);
  const auto rope = library->fetch_problem("rope rows=4 kind=rope heads=1 dim=8");
  ASSERT_TRUE(rope) << rope.error().message;
  alignas(64) float x[4 * 8] = {}, y[4 * 8] = {}, cosine[4] = {}, sine[4] = {};
  const int32_t positions[4] = {0, 1, 2, 3};
  const Status turned = (*rope)({TensorView(x, {4, 1, 8}), TensorView(cosine, {0, 4}),
                                 TensorView(sine, {0, 4}), TensorView(positions, {4})},
                                {TensorView(y, {4, 1, 8})});
  ASSERT_FALSE(turned.has_value());
  EXPECT_NE(turned.error().message.find("empty table"), std::string::npos)
      << turned.error().message;
}

TEST_F(LaunchErrors, MoreBytesThanThereAreAddresses) {
  for (const int64_t rows : {int64_t{1} << 60, int64_t{1} << 62, INT64_MAX, int64_t{1} << 44}) {
    const std::string text = message([&](Views in, Views out) {
      for (TensorView* view : {&in[0], &out[0]}) {
        view->shape[0] = rows;
        view->strides[0] = 16;
      }
    });
    EXPECT_NE(text.find("more bytes than there are addresses"), std::string::npos) << text;
  }
}

// As many inputs as a fragment may have can be passed.
TEST_F(LaunchErrors, SixteenInputsRun) {
  std::string sum = "x";
  std::vector<std::string> names;
  for (int i = 1; i < 16; ++i) sum = "add(" + sum + ",i" + std::to_string(i) + ")";
  const auto library = Library::open({.store = "none"});
  ASSERT_TRUE(library);
  const auto kernel = library->fetch_problem("elementwise rows=4 width=16 expr=" + sum);
  ASSERT_TRUE(kernel) << kernel.error().message;
  std::vector<TensorView> in(16, TensorView(x_, {4, 16}));
  std::fill(std::begin(x_), std::end(x_), 1.0F);
  const TensorView out(y_, {4, 16});
  const Status status = (*kernel)(in, std::span(&out, 1));
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(y_[0], 16);
}

TEST_F(LaunchErrors, IndicesOutOfRange) {
  alignas(64) float table[3 * 16] = {}, rows[4 * 16] = {};
  for (const int32_t bad : {3, -1, INT32_MIN, INT32_MAX}) {
    const int32_t ids[4] = {0, 2, bad, 1};
    const Status status =
        embedding_({TensorView(table, {3, 16}), TensorView(ids, {4})}, {TensorView(rows, {4, 16})});
    ASSERT_FALSE(status.has_value());
    EXPECT_NE(status.error().message.find("expected 0..2"), std::string::npos)
        << status.error().message;
    EXPECT_NE(status.error().message.find("'ids'"), std::string::npos) << status.error().message;
  }
}

// Of a block table the entries that lengths ask for are checked, and no others.
TEST_F(LaunchErrors, PagesOutsideTheCache) {
  LibraryOptions options;
  options.store = "none";
  options.threads = 1;
  auto library = Library::open(options);
  ASSERT_TRUE(library.has_value());
  auto kernel = library->fetch(Attention{.heads = 2,
                                         .dim = 8,
                                         .lengths = true,
                                         .cache = Attention::Cache::paged,
                                         .page = 4,
                                         .tokens = 1,
                                         .context = 12});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  alignas(64) float q[2 * 16] = {}, pool[5 * 4 * 16] = {}, y[2 * 16];
  const auto message = [&](std::vector<int32_t> lengths, std::vector<int32_t> table) {
    std::fill(std::begin(y), std::end(y), 7.0F);
    const TensorView pages(pool, {5, 4, 2, 8});
    const Status status =
        (*kernel)({TensorView(q, {2, 1, 2, 8}), pages, pages, TensorView(lengths.data(), {2}),
                   TensorView(table.data(), {2, 3})},
                  {TensorView(y, {2, 1, 2, 8})});
    if (status) return std::string();
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(std::count(std::begin(y), std::end(y), 7.0F), std::size(y));
    const std::string& text = status.error().message;
    return text.substr(text.find("operand"));
  };
  EXPECT_EQ(message({12, 5}, {0, 1, 2, 3, 4, -1}), "");
  EXPECT_EQ(message({0, 4}, {-1, -1, INT32_MAX, 0, 99, INT32_MIN}), "");
  EXPECT_EQ(message({12, 5}, {0, 1, 2, 3, 5, -1}),
            "operand 'block_table': found index 5 at [1, 1], one of the 2 that lengths[1] = 5 asks "
            "for, expected 0..4");
  EXPECT_EQ(
      message({9, 0}, {0, 1, -1, -1, -1, -1}),
      "operand 'block_table': found index -1 at [0, 2], one of the 3 that lengths[0] = 9 asks "
      "for, expected 0..4");
  EXPECT_EQ(message({13, 0}, {0, 1, 2, 0, 1, 2}),
            "operand 'lengths': found 13 at [0], expected 0..12");
  EXPECT_EQ(message({-1, 0}, {0, 1, 2, 0, 1, 2}),
            "operand 'lengths': found -1 at [0], expected 0..12");
}

TEST(EmptyKernel, RefusesToRun) {
  const Kernel kernel;
  EXPECT_FALSE(kernel({}, {}).has_value());
  EXPECT_EQ(kernel.problem(), "");
}

}  // namespace
}  // namespace lathe
