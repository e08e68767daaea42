// Bytes that are no artifact, or not quite: read without harm, refused with a reason, and whatever
// is taken after all is what was written.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/image_format.h"
#include "support/hash.h"

namespace lathe::runtime {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ArtifactErrors : public testing::Test {
 protected:
  void SetUp() override {
    const auto problem = compiler::parse_problem("rms_norm rows=4 width=8 eps=0.01");
    ASSERT_TRUE(problem) << problem.error().message;
    const ir::Target target = *ir::parse_target("avx2");
    const auto schedule = problem->family().space(*problem, target).default_schedule();
    const auto artifact = build_artifact(*problem, schedule, target, *x86_backend());
    ASSERT_TRUE(artifact) << artifact.error().message;
    header_ = print(*artifact);
    const auto bytes = write_artifact(*artifact);
    ASSERT_TRUE(bytes) << bytes.error().message;
    bytes_ = *bytes;
    images_ = bytes_.substr(bytes_.find('\n') + 1 + header_.size());
    ASSERT_FALSE(images_.empty());
  }

  // With a first line that fits.
  static std::string assembled(const std::string& header, const std::string& images) {
    return fmt::format("lathe-artifact 1 {} {:016x}\n", header.size(), support::hash64(header)) +
           header + images;
  }

  static std::string error_of(const std::string& bytes) {
    const auto artifact = read_artifact(bytes);
    return artifact ? "(reads)" : artifact.error().message;
  }

  // The header with a text in it replaced, and everything else as it belongs.
  std::string error_with(const std::string& old, const std::string& replacement) const {
    std::string header = header_;
    const size_t at = header.find(old);
    EXPECT_NE(at, std::string::npos) << old << "\n" << header;
    if (at == std::string::npos) return {};
    return error_of(assembled(header.replace(at, old.size(), replacement), images_));
  }

  std::string bytes_, header_, images_;
};

TEST_F(ArtifactErrors, IsReadAsItIs) {
  EXPECT_EQ(assembled(header_, images_), bytes_);
  EXPECT_EQ(error_of(bytes_), "(reads)");
}

TEST_F(ArtifactErrors, OfTheFirstLine) {
  EXPECT_THAT(error_of(""), HasSubstr("this is no artifact"));
  EXPECT_THAT(error_of("lathe-artifact 1 2"), HasSubstr("first line: found no end of it"));
  EXPECT_THAT(error_of("lathe-artifact one\n"), HasSubstr("expected the format's number"));
  EXPECT_THAT(error_of("lathe-artifact -1 5 \n"), HasSubstr("expected the format's number"));
  EXPECT_THAT(error_of("lathe-artifact 2 5 0\n"), HasSubstr("found format 2, expected 1"));
  EXPECT_THAT(error_of("lathe-artifact 1 x\n"), HasSubstr("expected the header's bytes"));
  EXPECT_THAT(error_of("lathe-artifact 1 99999999 0\n"), HasSubstr("expected at most 4194304"));
  EXPECT_THAT(error_of("lathe-artifact 1 50 0\n{}"),
              HasSubstr("found 2 bytes behind the first line, expected a header of 50"));
  EXPECT_THAT(error_of("lathe-artifact 1 2 0123456789abcdef\n{}"), HasSubstr("it is damaged"));
  EXPECT_THAT(error_of(bytes_ + "x"), HasSubstr("found 1 bytes behind the last image"));
  EXPECT_THAT(error_of(bytes_.substr(0, bytes_.size() - 1)), HasSubstr("it is cut short"));
  EXPECT_EQ(read_artifact("lathe-artifact 2 5 0\n").error().code, ErrorCode::unsupported);
  EXPECT_EQ(read_artifact(bytes_.substr(0, bytes_.size() - 1)).error().code, ErrorCode::corrupt);
}

TEST_F(ArtifactErrors, NameTheField) {
  const auto error = [&](const std::string& old, const std::string& text) {
    return error_with(old, text);
  };
  EXPECT_THAT(error("\"problem\"", "\"Problem\""),
              HasSubstr("artifact: header: found no 'problem'"));
  EXPECT_THAT(error("\"rms_norm ", "\"rms_norn "),
              HasSubstr("header.problem: unknown kernel family 'rms_norn'"));
  EXPECT_THAT(error("\"rms_norm ", "\"rms_norm  "), HasSubstr("not canonical, expected 'rms_"));
  EXPECT_THAT(error("\"revision\": ", "\"revision\": -"),
              HasSubstr("header.revision: found -3, expected a number in 0 .. "));
  EXPECT_THAT(error("\"lanes\": 8", "\"lanes\": \"8\""),
              HasSubstr("header.target.lanes: found \"8\", expected a number in 1 .. 64"));
  EXPECT_THAT(error("\"lanes\": 8", "\"lanes\": 18446744073709551615"),
              HasSubstr("expected a num"));
  EXPECT_THAT(error("\"fused\": true", "\"fused\": 1"), HasSubstr("expected true or false"));
  EXPECT_THAT(error("\"isa\": \"avx2\"", "\"isa\": \"mmx\""),
              HasSubstr("header.target.isa: unknown instruction path 'mmx'"));
  EXPECT_THAT(error("\"schedule\": [", "\"schedule\": [[\"unroll\"],"),
              HasSubstr("header.schedule[0]: found one entry"));
  EXPECT_THAT(error("\"type\": \"f32\"", "\"type\": \"f33\""),
              HasSubstr("header.operands[0].type: unknown type"));
  EXPECT_THAT(error("\"type\": \"f32\"", "\"type\": \"bf16\""),
              HasSubstr("found input x: bf16[rows, 8], expected input x: f32[rows, 8]: it was made "
                        "for another revision of rms_norm"));
  EXPECT_THAT(error("\"rows\",", "\"0*rows\","), HasSubstr("expected a number before the *"));
  EXPECT_THAT(error("\"output\": false", "\"output\": true"), HasSubstr("found output x"));
  EXPECT_THAT(error("operand x f32 read\"", "operand x f32 write\""),
              HasSubstr("header.plan: plan 'rms_norm': call of"));
  EXPECT_THAT(error("\"operand x f32", "\"operand z f32"), HasSubstr("header.plan: plan: line "));
  EXPECT_THAT(error("\"input rows\"", "\"input rows\", \"input more\""),
              HasSubstr("header.operands: plan 'rms_norm': input 'more' is no dimension"));
  EXPECT_THAT(error("\"images\": [", "\"images\": [{},"),
              HasSubstr("expected one for each of the"));
  EXPECT_THAT(error("\"entry\": ", "\"entry\": 99999"), HasSubstr("header.images[0].entry: found"));
  EXPECT_THAT(error("\"xxh3\": \"", "\"xxh3\": \"f"), HasSubstr("header.images[0].xxh3: found 'f"));
}

// What a later Lathe may write.
TEST_F(ArtifactErrors, SayThatSomethingNewerIsNeeded) {
  const auto error = [&](const std::string& old, const std::string& text) {
    return error_with(old, text);
  };
  EXPECT_THAT(error("flat/1", "ptx/1"),
              HasSubstr("header.images[0].format: found image format 'ptx/1', expected one of "
                        "flat/1, object/1: this needs a newer Lathe, or a device"));
  EXPECT_THAT(error("flat/1", "flat/2"), HasSubstr("found image format 'flat/2'"));
  EXPECT_THAT(error("   \"required_isa\": \"", "   \"required_isa\": \"sse9+"),
              HasSubstr("header.images[0].required_isa: "));
  EXPECT_THAT(error("   \"required_isa\": \"", "   \"required_isa\": \"avx512f+"),
              HasSubstr("its images need"));
  EXPECT_THAT(error("\"images\"", "\"licence\": \"none\", \"images\""),
              HasSubstr("is not what Lathe writes for such an artifact"));
  EXPECT_THAT(error("\"lanes\": 8", "\"lanes\":  8"), HasSubstr("is not what Lathe writes"));
  EXPECT_THAT(error("\"lanes\": 8", "\"lanes\": 4, \"lanes\": 8"),
              HasSubstr("is not what Lathe w"));
}

TEST_F(ArtifactErrors, OfJsonThatIsNone) {
  const auto error = [&](const std::string& header) { return error_of(assembled(header, "")); };
  EXPECT_THAT(error(""), HasSubstr("artifact: header: "));
  EXPECT_THAT(error("[]"), HasSubstr("header: found array, expected an object"));
  EXPECT_THAT(error("{\"problem\": 3}"), HasSubstr("header.problem: found 3, expected a text"));
  EXPECT_THAT(error(std::string(1 << 20, '[')), HasSubstr("artifact: header: "));
  EXPECT_THAT(error("{\"problem\": \"\xff\"}"), HasSubstr("artifact: header: "));
  EXPECT_THAT(error("{\"problem\": \"" + std::string(1 << 20, 'x') + "\"}"),
              HasSubstr("header.problem: found 1048576 bytes, expected at most"));
}

// No single byte may change and be taken for what was written, be it of the first line, the header
// or the code.
TEST_F(ArtifactErrors, EveryChangedByteIsFound) {
  const size_t header_end = bytes_.size() - images_.size();
  std::mt19937 random(7);
  for (size_t at = 0; at < bytes_.size(); ++at) {
    // Of the header each, of the code some.
    if (at >= header_end && images_.size() > 4096 && random() % 8 != 0) continue;
    for (const int change : {1, 0x20, 0x80, 0xff}) {
      std::string changed = bytes_;
      changed[at] = static_cast<char>(changed[at] ^ change);
      ASSERT_FALSE(read_artifact(changed)) << "byte " << at << " may be " << int{changed[at]};
    }
  }
}

// Whoever changes a header may make its checksum fit: then each field is checked by itself. What is
// taken has code whose checksum fits, and is written as it was read.
TEST_F(ArtifactErrors, WhateverFitsItsChecksumsIsCheckedByItsFields) {
  std::mt19937 random(11);
  size_t taken = 0;
  const auto try_one = [&](const std::string& header) {
    const std::string bytes = assembled(header, images_);
    const auto artifact = read_artifact(bytes);
    if (!artifact) {
      ASSERT_THAT(artifact.error().message, StartsWith("artifact: "));
      return;
    }
    ++taken;
    ASSERT_EQ(*write_artifact(*artifact), bytes);
    std::string code;
    for (const auto& image : artifact->images)
      code.append(reinterpret_cast<const char*>(image.code.data()), image.code.size());
    ASSERT_EQ(code, images_);
  };
  for (size_t at = 0; at < header_.size(); ++at) {
    std::string header = header_;
    header[at] = static_cast<char>(header[at] ^ (1 << random() % 7));
    try_one(header);
  }
  static constexpr char kTelling[] = "\"{}[],:.0123456789-+*()= \\nxftru";
  for (int i = 0; i < 3000; ++i) {
    std::string header = header_;
    for (uint32_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % header.size();
      switch (random() % 4) {
        case 0: header.erase(at, 1 + random() % 20); break;
        case 1: header.insert(at, header.substr(random() % header.size(), random() % 60)); break;
        default: header[at] = kTelling[random() % (sizeof kTelling - 1)];
      }
      if (header.empty()) header = "{}";
    }
    try_one(header);
  }
  EXPECT_GT(taken, 0U);  // a digit of the schedule, say
}

TEST(ImageFormats, HaveNamesOfTheirOwn) {
  using Format = codegen::KernelImage::Format;
  for (const Format format : {Format::flat, Format::object}) {
    const auto name = image_format_name(format);
    ASSERT_TRUE(name) << name.error().message;
    EXPECT_EQ(*parse_image_format(*name), format);
  }
  EXPECT_FALSE(image_format_name(static_cast<Format>(77)));
  EXPECT_FALSE(parse_image_format("flat"));
}

}  // namespace
}  // namespace lathe::runtime
