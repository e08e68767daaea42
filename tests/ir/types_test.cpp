// The table of element types.
#include "ir/types.h"

#include <gtest/gtest.h>

namespace lathe::ir {
namespace {

TEST(Types, NamesParseBack) {
  for (int i = 0; i <= static_cast<int>(Type::q4_K); ++i) {
    const auto type = static_cast<Type>(i);
    EXPECT_EQ(parse_type(name(type)).value(), type);
  }
}

TEST(Types, UnknownNamesListTheKnown) {
  const auto type = parse_type("f64");
  ASSERT_FALSE(type.has_value());
  EXPECT_EQ(type.error().code, ErrorCode::not_found);
  EXPECT_EQ(type.error().message,
            "unknown type 'f64'; expected one of f32, f16, bf16, bool, i8, u8, i16, u16, i32, u32, "
            "i64, u64, q8_0, "
            "q4_0, q4_K");
}

TEST(Types, BlocksHaveGgufSizes) {
  EXPECT_EQ(bytes_of(Type::q8_0, 64), 2 * 34);
  EXPECT_EQ(bytes_of(Type::q4_0, 64), 2 * 18);
  EXPECT_EQ(bytes_of(Type::q4_K, 512), 2 * 144);
  EXPECT_EQ(bytes_of(Type::f16, 3), 6);
  EXPECT_EQ(size_of(Type::boolean), 1);
}

}  // namespace
}  // namespace lathe::ir
