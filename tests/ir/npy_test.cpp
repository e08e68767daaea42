// .npy files: what NumPy writes, our round trip, and damage of every kind.
#include "ir/npy.h"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace lathe::ir {
namespace {

std::string npy(std::string header, std::string_view data, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  const size_t length = header.size();
  for (size_t i = 0; i < (version == 1 ? 2U : 4U); ++i)
    bytes += static_cast<char>(length >> (8 * i) & 0xff);
  return bytes + header + std::string(data);
}

std::string header(const std::string& descr, const std::string& shape,
                   const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string error_of(const std::string& bytes) {
  const auto tensor = parse_npy(bytes);
  EXPECT_FALSE(tensor.has_value());
  return tensor ? "" : tensor.error().message;
}

TEST(Npy, ReadsWhatNumpyWrites) {
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);
  for (const char version : {1, 2}) {
    const Tensor tensor = parse_npy(npy(header("<f4", "(2, 1)"), data, version)).value();
    EXPECT_EQ(tensor.type(), Type::f32);
    EXPECT_EQ(tensor.shape(), (std::vector<int64_t>{2, 1}));
    EXPECT_EQ(tensor.at(0), 1);
    EXPECT_EQ(tensor.at(1), -2);
  }
  EXPECT_EQ(parse_npy(npy(header("|i1", "()"), "\xff")).value().at(0), -1);
  EXPECT_EQ(parse_npy(npy(header("<f4", "(3,)"), std::string(12, '\0'))).value().shape(),
            std::vector<int64_t>{3});
  EXPECT_EQ(parse_npy(npy(header("<f4", "(0, 7)"), "")).value().elements(), 0);
}

TEST(Npy, KeysComeInAnyOrder) {
  EXPECT_TRUE(
      parse_npy(npy("{\"shape\": (1,), 'fortran_order': False, 'descr': '|u1'}", "x")).has_value());
}

TEST(Npy, DoublesRoundToF32OrStay) {
  const std::vector<double> values = {1.0 / 3, -2.5, 1e30};
  std::string data(8 * values.size(), '\0');
  std::memcpy(data.data(), values.data(), data.size());
  const std::string bytes = npy(header("<f8", "(3,)"), data);
  const Tensor rounded = parse_npy(bytes).value();
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(rounded.at(static_cast<int64_t>(i)),
              static_cast<double>(static_cast<float>(values[i])));
  EXPECT_EQ(parse_npy_doubles(bytes).value().values, values);
  EXPECT_EQ(parse_npy_doubles(npy(header("|i1", "(1,)"), "\xfe")).value().values,
            std::vector<double>{-2});
}

TEST(Npy, EveryTypeRoundTrips) {
  std::mt19937 engine(4);
  for (const Type type :
       {Type::f32, Type::f16, Type::bf16, Type::boolean, Type::i8, Type::u8, Type::i16, Type::u16,
        Type::i32, Type::u32, Type::i64, Type::u64, Type::q8_0, Type::q4_0, Type::q4_K}) {
    const int64_t width = info(type).block_elements * 2;
    Tensor tensor(type, {3, width});
    for (auto& byte : tensor.as<uint8_t>())
      byte = static_cast<uint8_t>(type == Type::boolean ? engine() % 2 : engine());
    const auto back = reinterpret(parse_npy(format_npy(tensor)).value(), type);
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(back->type(), type);
    EXPECT_EQ(back->shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(back->data(), tensor.data(), static_cast<size_t>(tensor.bytes())), 0)
        << name(type);
  }
}

TEST(Npy, DataStartsAtAMultipleOf64) {
  for (const auto& shape : {std::vector<int64_t>{}, {1}, {2, 3}, {1, 1, 1, 1, 1, 1, 1, 1}}) {
    const Tensor tensor(Type::f32, shape);
    EXPECT_EQ((format_npy(tensor).size() - static_cast<size_t>(tensor.bytes())) % 64, 0U);
  }
}

TEST(Npy, ReinterpretRefusesOtherTypes) {
  EXPECT_EQ(reinterpret(Tensor(Type::i32, {2}), Type::bf16).error().message,
            "found a tensor of i32 [2], expected bf16, or its bits as u16");
  EXPECT_EQ(reinterpret(Tensor(Type::u8, {2, 33}), Type::q8_0).error().message,
            "found a tensor of u8 [2, 33], expected q8_0, or u8 with rows of whole 34-byte blocks");
  EXPECT_EQ(reinterpret(Tensor(Type::i32, {2}), Type::f32).error().message,
            "found a tensor of i32 [2], expected f32");
}

TEST(Npy, EachDamageHasItsMessage) {
  EXPECT_EQ(error_of("hello"),
            "not a .npy file: expected it to start with \\x93NUMPY and a header");
  EXPECT_EQ(error_of(npy(header("<f4", "(1,)"), "data", 3)),
            "found .npy format version 3, expected 1 or 2");
  std::string cut = npy(header("<f4", "(1,)"), "");
  cut.resize(40);
  EXPECT_EQ(error_of(cut),
            "npy header: found a length of 58 bytes, expected at most the 30 that follow");
  EXPECT_EQ(error_of(npy(header(">f4", "(1,)"), "data")),
            "npy header: found descr '>f4', expected a little-endian f2, f4, f8, b1, i1 to i8 or "
            "u1 to u8");
  EXPECT_EQ(
      error_of(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "data")),
      "npy header: found descr [('a', '<f4')], 'for..., expected one plain type such as '<f4'");
  EXPECT_EQ(error_of(npy(header("<f4", "(1,)", "True"), "data")),
            "npy header: found Fortran order, expected C order; save numpy.ascontiguousarray(x)");
  EXPECT_EQ(error_of(npy(header("<f4", "(1,)", "Maybe"), "data")),
            "npy header: found fortran_order Maybe, 'shape': (1,), expected True or False");
  EXPECT_EQ(error_of(npy(header("<f4", "(-1,)"), "data")),
            "npy header: found shape ...-1,), }?, expected a tuple of sizes");
  EXPECT_EQ(error_of(npy(header("<f4", "(1 2)"), "data")),
            "npy header: found shape ...2), }?, expected a tuple of sizes");
  EXPECT_EQ(error_of(npy("['descr']", "data")),
            "npy header: found '['descr']', expected a dictionary");
  EXPECT_EQ(error_of(npy("{descr: 1}", "data")), "npy header: found 'descr: 1}', expected 'key':");
  EXPECT_EQ(error_of(npy("{'descr': '<f4' 'shape': (1,)}", "data")),
            "npy header: found ''shape': (1,)}', expected ',' or '}'");
  EXPECT_EQ(error_of(npy("{'descr': '<f4', 'order': 1}", "data")),
            "npy header: found key 'order', expected descr, fortran_order and shape once each");
  EXPECT_EQ(error_of(npy("{'descr': '<f4', 'shape': (1,)}", "data")),
            "npy header: expected exactly descr, fortran_order and shape");
  EXPECT_EQ(error_of(npy(header("<f4", "(2,)"), "data")),
            "npy data: found 4 bytes, which do not fit the header's shape (2) of 4-byte elements");
}

TEST(Npy, ShapesThatOverflowAreRefusedWithoutAllocating) {
  for (const auto* shape : {"(4611686018427387904, 4611686018427387904)", "(9223372036854775807,)",
                            "(3037000500, 3037000500)", "(1, 4294967296, 4294967296)"}) {
    EXPECT_NE(error_of(npy(header("<f4", shape), "data")).find("do not fit"), std::string::npos)
        << shape;
  }
  EXPECT_NE(error_of(npy(header("<f4", "(99999999999999999999,)"), "data")).find("tuple of sizes"),
            std::string::npos);
}

TEST(Npy, DamagedBytesNeverHarm) {
  std::mt19937 engine(5);
  const std::string whole = format_npy(Tensor(Type::f32, {4, 5}));
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = whole;
    for (int k = 0; k < 3; ++k) bytes[engine() % 128] = static_cast<char>(engine());
    if (i % 3 == 0) bytes.resize(engine() % bytes.size());
    const auto tensor = parse_npy(bytes);
    if (tensor) {
      EXPECT_LE(static_cast<size_t>(tensor->bytes()), bytes.size());
    }
  }
}

TEST(Npy, AMissingFileIsNamed) {
  const auto tensor = read_npy("no/such/file.npy");
  ASSERT_FALSE(tensor.has_value());
  EXPECT_NE(tensor.error().message.find("no/such/file.npy"), std::string::npos);
}

}  // namespace
}  // namespace lathe::ir
