// Levels and the form of a line.
#include "support/log.h"

#include <gtest/gtest.h>

namespace lathe::support {
namespace {

class Log : public testing::Test {
 protected:
  void TearDown() override { set_log_level(before_); }
  LogLevel before_ = log_level();
};

TEST_F(Log, LevelsByName) {
  EXPECT_EQ(parse_log_level("error"), LogLevel::error);
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("DEBUG"), std::nullopt);
  EXPECT_EQ(parse_log_level(""), std::nullopt);
}

TEST_F(Log, LinesAboveTheLevelAreDropped) {
  set_log_level(LogLevel::warn);
  testing::internal::CaptureStderr();
  log_error("a {}", 1);
  log_warn("b {}", 2);
  log_info("c {}", 3);
  log_debug("d {}", 4);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "lathe: error: a 1\nlathe: warn: b 2\n");
}

TEST_F(Log, DebugShowsAll) {
  set_log_level(LogLevel::debug);
  testing::internal::CaptureStderr();
  log_debug("{}", "here");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "lathe: debug: here\n");
}

}  // namespace
}  // namespace lathe::support
