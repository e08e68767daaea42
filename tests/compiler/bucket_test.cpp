// Buckets: bounds, text, distance.
#include "compiler/bucket.h"

#include <limits>

#include <gtest/gtest.h>

namespace lathe::compiler {
namespace {

TEST(Bucket, BoundsAreAFactorOfFourApart) {
  EXPECT_EQ(bucket_of(1), (Bucket{1, 1}));
  EXPECT_EQ(bucket_of(2), (Bucket{2, 7}));
  EXPECT_EQ(bucket_of(7), (Bucket{2, 7}));
  EXPECT_EQ(bucket_of(8), (Bucket{8, 31}));
  EXPECT_EQ(bucket_of(511), (Bucket{128, 511}));
  EXPECT_EQ(bucket_of(512), (Bucket{512, 2047}));
  EXPECT_EQ(bucket_of(1'000'000), (Bucket{8192, std::numeric_limits<int64_t>::max()}));
}

TEST(Bucket, NothingCountsAsOne) { EXPECT_EQ(bucket_of(0), bucket_of(1)); }

TEST(Bucket, EverySizeIsInItsOwnBucket) {
  for (int64_t size = 1; size < 20'000; ++size) EXPECT_TRUE(bucket_of(size).contains(size)) << size;
}

TEST(Bucket, TextReadsBack) {
  for (const int64_t size : {1, 2, 8, 32, 128, 512, 2048, 8192}) {
    const Bucket bucket = bucket_of(size);
    const auto read = parse_bucket(print(bucket));
    ASSERT_TRUE(read) << print(bucket);
    EXPECT_EQ(*read, bucket);
  }
  EXPECT_EQ(print(bucket_of(1)), "1");
  EXPECT_EQ(print(bucket_of(3)), "2..7");
  EXPECT_EQ(print(bucket_of(9000)), "8192..");
}

TEST(Bucket, APlainSizeStandsForItsBucket) { EXPECT_EQ(*parse_bucket("600"), bucket_of(512)); }

TEST(Bucket, IsTimedAtItsLowerBound) { EXPECT_EQ(representative(bucket_of(600)), 512); }

TEST(Bucket, DistanceCountsBuckets) {
  EXPECT_EQ(bucket_distance(bucket_of(1), bucket_of(1)), 0);
  EXPECT_EQ(bucket_distance(bucket_of(1), bucket_of(8)), 2);
  EXPECT_EQ(bucket_distance(bucket_of(9000), bucket_of(512)), 2);
}

}  // namespace
}  // namespace lathe::compiler
