// JSON that readers could understand differently is refused.
#include "support/strict_json.h"

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

Status check(std::string_view text) { return check_json(text, {100, 3, "a sample"}, "x.json"); }

void expect_refused(std::string_view text, std::string_view says) {
  const Status status = check(text);
  ASSERT_FALSE(status) << text;
  EXPECT_EQ(status.error().code, ErrorCode::parse_error);
  EXPECT_NE(status.error().message.find("x.json"), std::string::npos);
  EXPECT_NE(status.error().message.find(says), std::string::npos) << status.error().message;
}

TEST(StrictJson, WhatEveryReaderUnderstandsAlike) {
  for (const char* text : {"{}", "1", "null", "[[[1]]]", R"({"a": {"a": 1}, "b": [{"a": 2}]})"})
    EXPECT_TRUE(check(text)) << text;
  EXPECT_TRUE(check("\"" + std::string(98, 'a') + "\""));
}

TEST(StrictJson, Limits) {
  expect_refused("\"" + std::string(99, 'a') + "\"",
                 "has 101 bytes, expected at most 100: a sample");
  expect_refused("[[[[1]]]]", "nests deeper than 3 levels; expected a sample");
  expect_refused(std::string(100, '['), "nests deeper");
}

TEST(StrictJson, KeysStandOnce) {
  expect_refused(R"({"a": 1, "b": 2, "a": 1})", "gives \"a\" twice in one object");
  expect_refused(R"([{"\u0061": 1, "a": 1}])", "twice");
}

TEST(StrictJson, WhatIsNoJson) {
  for (const char* text : {"", "{", "{]", "{} {}", "'a'", "[1,]", "nan", "\"\xff\"", "1e999"})
    expect_refused(text, "is not JSON");
}

}  // namespace
}  // namespace lathe::support
