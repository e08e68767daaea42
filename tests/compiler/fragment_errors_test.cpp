// One mistake in a fragment, one located message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/fragment.h"

namespace lathe::compiler {
namespace {

using testing::HasSubstr;

struct Mistake {
  const char* name;
  std::string text;
  std::vector<const char*> parts;  ///< of the message
};

class FragmentErrors : public testing::TestWithParam<Mistake> {};

TEST_P(FragmentErrors, NameThePlace) {
  const auto fragment = Fragment::parse(GetParam().text);
  ASSERT_FALSE(fragment) << fragment->text();
  EXPECT_EQ(fragment.error().code, ErrorCode::parse_error);
  for (const char* part : GetParam().parts) EXPECT_THAT(fragment.error().message, HasSubstr(part));
}

std::string nested(int depth) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += "neg(";
  return text + "x" + std::string(static_cast<size_t>(depth), ')');
}

// More different sums than a fragment may have.
std::string wide(int first, int last) {
  if (first == last) return "add(x," + std::to_string(first) + ")";
  const int middle = (first + last) / 2;
  return "add(" + wide(first, middle) + "," + wide(middle + 1, last) + ")";
}

INSTANTIATE_TEST_SUITE_P(
    Texts, FragmentErrors,
    testing::Values(Mistake{"empty", "", {"column 1", "found the end"}},
                    Mistake{"unclosed", "add(x,r", {"column 8", "')'", "2 arguments"}},
                    Mistake{"too_few", "add(x)", {"column 6", "',': add takes 2 arguments"}},
                    Mistake{"too_many", "neg(x,r)", {"column 6", "takes 1 argument"}},
                    Mistake{"rest", "x)", {"column 2", "expected the end"}},
                    Mistake{"unknown", "sulu(x)", {"column 1", "'sulu'", "'silu'"}},
                    Mistake{"strange", "frobnicate(x)", {"unknown function", "add"}},
                    Mistake{"no_call", "add(silu,x)", {"column 9", "'(' after 'silu'"}},
                    Mistake{"blank", "add(x, r)", {"column 7", "' '"}},
                    Mistake{"two_kinds", "add(x,vec(x))", {"column 11", "two ways"}},
                    Mistake{"vec_of_expression", "vec(neg(x))", {"column 8", "')'"}},
                    Mistake{"vec_of_number", "vec(1)", {"column 5", "an input's name"}},
                    Mistake{"vec_of_function", "vec(exp)", {"column 5", "'exp'"}},
                    Mistake{"bare_comparison", "lt(x,0)", {"column 1", "only where()"}},
                    Mistake{"where_without", "where(x,x,x)", {"column 7", "a comparison"}},
                    Mistake{"where_number", "where(1,x,x)", {"column 7", "a comparison"}},
                    Mistake{"where_function", "where(neg(x),x,x)", {"column 7", "a comparison"}},
                    Mistake{"overflow", "mul(x,1e99)", {"column 7", "f32"}},
                    Mistake{"infinite", "mul(x,-inf)", {"column 7"}},
                    Mistake{"deep", nested(40), {"nested deeper than 32"}},
                    Mistake{"wide", wide(0, 300), {"more than 256"}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace lathe::compiler
