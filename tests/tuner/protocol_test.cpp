// Jobs and events survive the line between session and worker; anything else is refused.
#include <gtest/gtest.h>

#include "tuner/worker_protocol.h"

namespace lathe::tuner {
namespace {

TEST(Protocol, JobsSurvive) {
  const Job job{.at = "rows=8",
                .cache = "warm",
                .target = "sse",
                .threads = 3,
                .candidates = {{"rms_norm rows=8 width=72", "unroll=2"},
                               {"rms_norm rows=8 width=72", "unroll=4"}},
                .keep = 2,
                .seconds = 0.25,
                .min_rounds = 2,
                .max_rounds = 9,
                .measure_roofs = true};
  const auto back = decode_job(encode(job));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), encode(job));
  ASSERT_EQ(back->candidates.size(), 2U);
  EXPECT_EQ(back->candidates[1].schedule, "unroll=4");
  EXPECT_TRUE(back->measure_roofs);
}

TEST(Protocol, EventsSurviveOnOneLine) {
  Event event;
  event.kind = "trial";
  event.candidate = 4;
  event.state = "timed";
  event.detail = "two\nlines, \"quotes\" and a broken byte \xff";
  event.batches_ns = {1.5, 2.25};
  event.spent = {.compile = 0.5, .interpret = 1, .check = 2, .operands = 3, .time = 4, .roofs = 5};
  const std::string line = encode(event);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto back = decode_event(line);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), line);
  EXPECT_EQ(back->spent.roofs, 5);
  EXPECT_EQ(back->candidate, 4);
  EXPECT_EQ(back->batches_ns, event.batches_ns);
}

TEST(Protocol, OtherLinesAreParseErrors) {
  for (const char* line : {"", "{", "[]", "null", "{}", "Segmentation fault", R"({"kind": 3})",
                           R"({"at": "x", "threads": "many"})"}) {
    const auto job = decode_job(line);
    const auto event = decode_event(line);
    ASSERT_FALSE(job) << line;
    ASSERT_FALSE(event) << line;
    EXPECT_EQ(job.error().code, ErrorCode::parse_error);
    EXPECT_EQ(event.error().code, ErrorCode::parse_error);
  }
}

}  // namespace
}  // namespace lathe::tuner
