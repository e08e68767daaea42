// Attribute values: kinds, lossless conversions, equality.
#include "ir/graph/attributes.h"

#include <limits>

#include <gtest/gtest.h>

namespace lathe::ir::graph {
namespace {

TEST(Attributes, KnowTheirKindAndPrintAsText) {
  EXPECT_EQ(to_string(AttributeValue(-3)), "-3");
  EXPECT_EQ(to_string(AttributeValue(1e-6)), "1e-06");
  EXPECT_EQ(to_string(AttributeValue(true)), "true");
  EXPECT_EQ(to_string(AttributeValue("tanh")), "tanh");
  EXPECT_EQ(to_string(AttributeValue(Type::q8_0)), "q8_0");
  EXPECT_EQ(to_string(AttributeValue(AttributeValue::Integers{1, -2})), "[1, -2]");
  EXPECT_EQ(to_string(AttributeValue(AttributeValue::Reals{0.5, 1})), "[0.5, 1]");
  EXPECT_EQ(to_string(AttributeValue({"n", 4 * Dim("n"), 3})), "[n, 4*n, 3]");
  EXPECT_EQ(to_string(AttributeValue(-std::numeric_limits<double>::quiet_NaN())), "nan");
}

TEST(Attributes, ConvertWhereNothingIsLost) {
  EXPECT_EQ(AttributeValue(3).as(AttributeKind::real)->real(), 3.0);
  EXPECT_EQ(AttributeValue("f16").as(AttributeKind::type)->type(), Type::f16);
  EXPECT_EQ(AttributeValue({1, 2}).as(AttributeKind::integers)->integers(),
            (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(AttributeValue({1, 2}).as(AttributeKind::reals)->reals(), (std::vector<double>{1, 2}));
  EXPECT_EQ(AttributeValue(AttributeValue::Integers{1, 2}).as(AttributeKind::dims)->dims(),
            (Shape{1, 2}));
}

TEST(Attributes, RefuseWhatWouldBeLost) {
  EXPECT_EQ(AttributeValue(0.5).as(AttributeKind::integer).error().message,
            "found real '0.5', expected integer");
  EXPECT_FALSE(AttributeValue((int64_t{1} << 53) + 1).as(AttributeKind::real).has_value());
  EXPECT_FALSE(AttributeValue("f17").as(AttributeKind::type).has_value());
  EXPECT_FALSE(AttributeValue(Shape{"n"}).as(AttributeKind::integers).has_value());
  EXPECT_FALSE(AttributeValue(1).as(AttributeKind::flag).has_value());
}

TEST(Attributes, EqualityOfRealsIsOfTheirText) {
  EXPECT_EQ(AttributeValue(std::numeric_limits<double>::quiet_NaN()),
            AttributeValue(-std::numeric_limits<double>::quiet_NaN()));
  EXPECT_NE(AttributeValue(0.0), AttributeValue(-0.0));
  EXPECT_NE(AttributeValue(0), AttributeValue(0.0));
}

TEST(Attributes, SetReplaces) {
  Attributes attributes{{"eps", 1e-6}};
  attributes.set("eps", 1e-5);
  attributes.set("axis", -1);
  EXPECT_EQ(attributes.size(), 2U);
  EXPECT_EQ(attributes.real("eps"), 1e-5);
  EXPECT_EQ(attributes.integer("axis"), -1);
  EXPECT_EQ(attributes.find("other"), nullptr);
}

}  // namespace
}  // namespace lathe::ir::graph
