// .npz archives: NumPy's own, ours, and damaged ones.
#include "ir/npz.h"

#include <filesystem>
#include <random>

#include <gtest/gtest.h>

namespace lathe::ir {
namespace {

std::map<std::string, Tensor> sample() {
  std::map<std::string, Tensor> tensors;
  tensors.emplace("a", Tensor(Type::f32, {2, 3}));
  tensors.emplace("layers.0.q", Tensor(Type::i64, {4}));
  tensors.at("a").set(5, 1.5);
  tensors.at("layers.0.q").set(3, -7);
  return tensors;
}

TEST(Npz, ReadsAnArchiveThatNumpyCompressed) {
  const auto npz = Npz::open(std::filesystem::path("tests/data/golden/text.npz"));
  ASSERT_TRUE(npz.has_value()) << npz.error().message;
  EXPECT_TRUE(npz->has("prefill.norm.in"));
  const Tensor ids = npz->read("prefill.embed_tokens.in").value();
  EXPECT_EQ(ids.type(), Type::i64);
  EXPECT_EQ(ids.shape(), (std::vector<int64_t>{1, 37}));
  EXPECT_EQ(npz->read_doubles("prefill.norm.out").value().values.size(), 37U * 64U);
}

TEST(Npz, RoundTrips) {
  const Npz npz = Npz::parse(format_npz(sample()).value()).value();
  EXPECT_EQ(npz.names(), (std::vector<std::string>{"a", "layers.0.q"}));
  EXPECT_EQ(npz.read("a").value().at(5), 1.5);
  EXPECT_EQ(npz.read("layers.0.q").value().at(3), -7);
  EXPECT_TRUE(Npz::parse(format_npz({}).value()).value().names().empty());
}

TEST(Npz, UnknownMembersAreNamed) {
  const Npz npz = Npz::parse(format_npz(sample()).value()).value();
  EXPECT_EQ(npz.read("b").error().message, "npz: found no member 'b' among 2");
}

TEST(Npz, EachDamageHasItsMessage) {
  EXPECT_EQ(Npz::parse("hello").error().message,
            "not a .npz file: found no zip directory in its 5 bytes");
  const std::string whole = format_npz(sample()).value();
  std::string bytes = whole;
  bytes[whole.rfind("PK\x01\x02")] = 'X';
  EXPECT_EQ(Npz::parse(bytes).error().message, "npz: found damage in entry 1 of the zip directory");
  bytes = whole;
  bytes[whole.rfind("PK\x01\x02") + 28] = '\x7f';
  EXPECT_EQ(Npz::parse(bytes).error().message,
            "npz: entry 1 of the zip directory runs past its end");
  bytes = whole;
  bytes[whole.rfind("PK\x01\x02") + 10] = 99;
  EXPECT_EQ(
      Npz::parse(bytes).error().message,
      "npz: entry 1 has flags 0 and method 99; expected a stored or deflated member under 4 GiB");
  bytes = whole;
  bytes[0] = 'X';
  EXPECT_EQ(Npz::parse(bytes).value().read("a").error().message,
            "npz member 'a': found no zip header where the directory says");
  bytes = whole;
  bytes[170] = '\x01';  // in the elements of the first member
  EXPECT_EQ(Npz::parse(bytes).value().read("a").error().message,
            "npz member 'a': its checksum differs");
  bytes = whole;
  bytes[whole.find("PK\x01\x02") + 26] = '\x7f';  // the unpacked size
  EXPECT_EQ(Npz::parse(bytes).value().read("a").error().message,
            "npz member 'a': it claims more bytes than its data can hold");
  bytes = whole;
  bytes[whole.find("PK\x01\x02") + 22] = '\x7f';  // the packed size
  EXPECT_EQ(Npz::parse(bytes).value().read("a").error().message,
            "npz member 'a': it runs past the end of the file");
  bytes = whole;
  bytes[whole.find("PK\x01\x02") + 10] = 8;  // stored data taken for deflated
  EXPECT_EQ(Npz::parse(bytes).value().read("a").error().message,
            "npz member 'a': its deflated data is damaged or of another size");
}

TEST(Npz, DamagedBytesNeverHarm) {
  std::mt19937 engine(6);
  const std::string whole = format_npz(sample()).value();
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k) bytes[engine() % bytes.size()] = static_cast<char>(engine());
    if (i % 4 == 0) bytes.resize(engine() % bytes.size());
    const auto npz = Npz::parse(bytes);
    if (!npz) continue;
    for (const std::string& name : npz->names()) {
      const auto tensor = npz->read(name);
      if (tensor) {
        EXPECT_LE(static_cast<size_t>(tensor->bytes()), bytes.size());
      }
    }
  }
}

}  // namespace
}  // namespace lathe::ir
