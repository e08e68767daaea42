// Tokens, comments, and the picture under an error.
#include "ir/graph/lexer.h"

#include <vector>

#include <gtest/gtest.h>

namespace lathe::ir::graph {
namespace {

std::vector<std::string> tokens(std::string_view text) {
  Lexer lexer(text);
  std::vector<std::string> found;
  for (;;) {
    const auto token = lexer.next();
    EXPECT_TRUE(token.has_value()) << token.error().message;
    if (!token || token->kind == TokenKind::end) return found;
    found.push_back(describe(*token));
  }
}

TEST(Lexer, SplitsWithoutBlanks) {
  EXPECT_EQ(tokens("%y.1=op(%0,_){e=-1e-06,s=[4*n]}:f32[]->x"),
            (std::vector<std::string>{"'%y.1'", "'='",   "'op'", "'('", "'%0'",     "','", "'_'",
                                      "')'",    "'{'",   "'e'",  "'='", "'-1e-06'", "','", "'s'",
                                      "'='",    "'['",   "'4'",  "'*'", "'n'",      "']'", "'}'",
                                      "':'",    "'f32'", "'['",  "']'", "'->'",     "'x'"}));
}

TEST(Lexer, SkipsCommentsToTheEndOfTheLine) {
  EXPECT_EQ(tokens("a # %b ) \n c#"), (std::vector<std::string>{"'a'", "'c'"}));
  EXPECT_TRUE(tokens("").empty());
}

TEST(Lexer, ARefusedCharacterIsShownWithItsPlace) {
  Lexer lexer("a\n  b @c");
  EXPECT_TRUE(lexer.next().has_value());
  EXPECT_TRUE(lexer.next().has_value());
  EXPECT_EQ(lexer.next().error().message,
            "2:5: found '@', expected a name, a number, %value or one of ( ) { } [ ] , : = * ->\n"
            "    b @c\n"
            "      ^");
}

TEST(Lexer, PointsIntoLongAndUnprintableLines) {
  const std::string line = std::string(500, 'x') + "\x01\xff" + std::string(500, 'y');
  const std::string message = point_at(line, {1, 502}, "here");
  EXPECT_EQ(message.substr(0, 12), "1:502: here\n");
  const size_t picture = message.find('\n') + 1;
  const size_t caret = message.rfind('^') - (message.rfind('\n') + 1);
  EXPECT_EQ(message.substr(picture + caret - 1, 2), "??");
  EXPECT_LT(message.size(), 300U);
}

}  // namespace
}  // namespace lathe::ir::graph
