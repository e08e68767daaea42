// One mistake in a problem line, one message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/problem.h"

namespace lathe::compiler {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Mistake {
  const char* name;
  const char* line;
  ErrorCode code;
  std::vector<const char*> parts;  ///< of the message
};

class ProblemErrors : public testing::TestWithParam<Mistake> {};

TEST_P(ProblemErrors, NameWhatWasFoundAndExpected) {
  const auto problem = parse_problem(GetParam().line);
  ASSERT_FALSE(problem) << problem->line();
  EXPECT_EQ(problem.error().code, GetParam().code) << problem.error().message;
  for (const char* part : GetParam().parts) EXPECT_THAT(problem.error().message, HasSubstr(part));
}

constexpr auto kInvalid = ErrorCode::invalid_argument;

INSTANTIATE_TEST_SUITE_P(
    Lines, ProblemErrors,
    testing::Values(
        Mistake{"empty", "", kInvalid, {"empty problem line"}},
        Mistake{"family",
                "rms_nrom rows=1 width=8",
                ErrorCode::not_found,
                {"'rms_nrom'", "'rms_norm'"}},
        Mistake{"strange_family",
                "nothing_like_it",
                ErrorCode::not_found,
                {"expected one of rms_norm"}},
        Mistake{"no_value", "relu rows=1 width", kInvalid, {"found 'width'", "parameter=value"}},
        Mistake{"unknown_parameter", "relu rows=1 widht=8", kInvalid, {"'widht'", "'width'"}},
        Mistake{"twice", "relu rows=1 width=8 width=9", kInvalid, {"width is given twice"}},
        Mistake{"missing", "relu rows=1", kInvalid, {"relu: width is missing"}},
        Mistake{
            "integer", "relu rows=1 width=8.5", kInvalid, {"relu: width", "'8.5'", "an integer"}},
        Mistake{"zero", "relu rows=1 width=0", kInvalid, {"width", "found 0", "1 to"}},
        Mistake{"huge", "relu rows=1 width=99999999999", kInvalid, {"width", "99999999999"}},
        Mistake{"number",
                "rms_norm rows=1 width=8 eps=small",
                kInvalid,
                {"eps", "'small'", "a number"}},
        Mistake{"nan", "rms_norm rows=1 width=8 eps=nan", kInvalid, {"eps", "'nan'"}},
        Mistake{"negative_eps", "rms_norm rows=1 width=8 eps=-1", kInvalid, {"eps", "found -1"}},
        Mistake{"flag",
                "rms_norm rows=1 width=8 keep=yes",
                kInvalid,
                {"keep", "'yes'", "true or false"}},
        Mistake{"type", "relu rows=1 width=8 type=f64", kInvalid, {"type", "f64"}},
        Mistake{"integer_type",
                "relu rows=1 width=8 type=i8",
                kInvalid,
                {"type", "'i8'", "f32, f16, bf16"}},
        Mistake{"choice",
                "gelu rows=1 width=8 approximate=erf",
                kInvalid,
                {"approximate", "'erf'", "tanh, none"}},
        Mistake{"bucket", "relu rows=many width=8", kInvalid, {"rows", "'many'"}},
        Mistake{"no_bucket", "relu rows=2..9 width=8", kInvalid, {"rows", "'2..9'", "2..7"}},
        Mistake{
            "fragment", "elementwise rows=1 width=8 expr=add(x", kInvalid, {"expr", "column 6"}},
        Mistake{
            "no_input", "elementwise rows=1 width=8 expr=vec(b)", kInvalid, {"expr", "full shape"}},
        Mistake{
            "output_name", "elementwise rows=1 width=8 expr=add(x,y)", kInvalid, {"expr", "'y'"}},
        Mistake{"prologue_name",
                "rms_norm rows=1 width=8 prologue=add(x,weight)",
                kInvalid,
                {"prologue", "'weight'"}},
        Mistake{"epilogue_without_y",
                "rms_norm rows=1 width=8 epilogue=neg(g)",
                kInvalid,
                {"epilogue", "of y"}},
        Mistake{"two_shapes",
                "rms_norm rows=1 width=8 epilogue=mul(y,vec(x))",
                kInvalid,
                {"epilogue", "'x'", "[8]"}},
        Mistake{"section",
                "rope rows=1 heads=1 dim=128 kind=mrope section=24:20",
                kInvalid,
                {"section", "'24:20'"}},
        Mistake{
            "section_sum", "rope rows=1 heads=1 dim=64 kind=mrope", kInvalid, {"section", "32"}},
        Mistake{"odd_rotary",
                "rope rows=1 heads=1 dim=8 rotary_dim=3",
                kInvalid,
                {"rotary_dim", "found 3"}},
        Mistake{"vision_dim",
                "rope rows=1 heads=1 dim=6 kind=vision",
                kInvalid,
                {"dim", "multiple of 4"}},
        Mistake{"vision_interleaved",
                "rope rows=1 heads=1 dim=8 kind=vision interleaved=true",
                kInvalid,
                {"interleaved", "kind=rope"}},
        Mistake{"blocks_beside_floats",
                "linear rows=1 n=8 k=32 type=q8_0 weight=bf16",
                kInvalid,
                {"type", "weight=bf16", "q4_0"}},
        Mistake{"norm_of_part_of_a_block",
                "rms_norm rows=1 width=40 out=q8_0",
                kInvalid,
                {"width", "found 40", "32", "out=q8_0"}},
        Mistake{"product_of_part_of_a_block",
                "linear rows=1 n=40 k=8 out=q8_0",
                kInvalid,
                {"n", "found 40", "32", "out=q8_0"}},
        Mistake{"panels_across_blocks",
                "linear rows=1 n=96 k=8 panel=24 out=q8_0",
                kInvalid,
                {"panel", "found 24", "32", "out=q8_0"}},
        Mistake{
            "quantize_width", "quantize rows=1 width=40", kInvalid, {"width", "found 40", "32"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SizesErrors, NameTheItem) {
  for (const char* text : {"rows", "rows=", "=5", "rows=-1", "rows=5x"}) {
    const auto sizes = parse_sizes(text);
    ASSERT_FALSE(sizes) << text;
    EXPECT_THAT(sizes.error().message, AllOf(HasSubstr(text), HasSubstr("name=size")));
  }
}

}  // namespace
}  // namespace lathe::compiler
