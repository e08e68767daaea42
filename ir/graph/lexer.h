// Splits .lir text into tokens. Internal to this folder.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph/graph.h"
#include "support/error.h"

namespace lathe::ir::graph {

enum class TokenKind {
  word,         // graph, rms_norm, tokens, f32, true
  value,        // %name
  number,       // 12, -3, 1e-06, -inf
  punctuation,  // one of ( ) { } [ ] , : = * and ->
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;  // without the % of a value
  Location location;
};

/// "'%x'", "'('" or "the end of the text": how errors quote a token.
std::string describe(const Token& token);

/// "line:column: message", the source line and a caret under the column.
std::string point_at(std::string_view source, Location location, std::string_view message);

/// Reads one token after another; the text must outlive it.
class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  /// The next token; parse_error (located, with the source line) for a character of no token.
  Result<Token> next();

 private:
  void skip_blanks();
  void advance(size_t count);
  Token take(TokenKind kind, size_t length);

  std::string_view source_;
  size_t position_ = 0;
  Location location_{1, 1};
};

}  // namespace lathe::ir::graph
