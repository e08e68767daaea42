// Characters to tokens, and the picture of where an error is.
#include "ir/graph/lexer.h"

#include <algorithm>

#include "ir/graph/characters.h"

namespace lathe::ir::graph {
namespace {

size_t name_length(std::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_name_character) -
                             text.begin());
}

// A number's characters: signs only in front and after an exponent's e. Its value is checked later.
size_t number_length(std::string_view text) {
  size_t i = text.front() == '-' || text.front() == '+' ? 1 : 0;
  while (i < text.size()) {
    const bool exponent_sign =
        (text[i] == '-' || text[i] == '+') && (text[i - 1] == 'e' || text[i - 1] == 'E') && i >= 2;
    if (!is_name_character(text[i]) && !exponent_sign) break;
    ++i;
  }
  return i;
}

std::string_view line_of(std::string_view source, int line) {
  size_t start = 0;
  for (int i = 1; i < line; ++i) start = source.find('\n', start) + 1;
  return source.substr(start, source.find('\n', start) - start);
}

// What a terminal can show: one column a byte.
std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = c == '\t' ? ' ' : '?';
  }
  return shown;
}

}  // namespace

std::string describe(const Token& token) {
  constexpr size_t kMaxShown = 40;
  if (token.kind == TokenKind::end) return "the end of the text";
  const std::string text = printable(token.text.substr(0, kMaxShown));
  return fmt::format("'{}{}{}'", token.kind == TokenKind::value ? "%" : "", text,
                     token.text.size() > kMaxShown ? "..." : "");
}

std::string point_at(std::string_view source, Location location, std::string_view message) {
  constexpr int kWidth = 100;  // of a long line, the part around the column
  const std::string line = printable(line_of(source, location.line));
  const int column = location.column - 1;
  const int first = column < kWidth ? 0 : column - kWidth / 2;
  return fmt::format("{}:{}: {}\n  {}\n  {:>{}}", location.line, location.column, message,
                     line.substr(std::min(line.size(), static_cast<size_t>(first)), kWidth), "^",
                     column - first + 1);
}

void Lexer::advance(size_t count) {
  for (size_t i = 0; i < count; ++i, ++position_) {
    if (source_[position_] == '\n') {
      ++location_.line;
      location_.column = 1;
    } else {
      ++location_.column;
    }
  }
}

void Lexer::skip_blanks() {
  while (position_ < source_.size()) {
    const char c = source_[position_];
    if (c == '#') {
      advance(std::min(source_.find('\n', position_), source_.size()) - position_);
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      advance(1);
    } else {
      return;
    }
  }
}

Token Lexer::take(TokenKind kind, size_t length) {
  const Token token{kind, source_.substr(position_, length), location_};
  advance(length);
  return token;
}

Result<Token> Lexer::next() {
  skip_blanks();
  const std::string_view rest = source_.substr(position_);
  if (rest.empty()) return take(TokenKind::end, 0);
  const char c = rest.front();
  if (rest.starts_with("->")) return take(TokenKind::punctuation, 2);
  if (is_digit(c) || c == '-' || c == '+' || c == '.')
    return take(TokenKind::number, number_length(rest));
  if (is_name_character(c)) return take(TokenKind::word, name_length(rest));
  if (c == '%' && name_length(rest.substr(1)) > 0) {
    Token token = take(TokenKind::value, 1 + name_length(rest.substr(1)));
    token.text.remove_prefix(1);
    return token;
  }
  if (std::string_view("(){}[],:=*").find(c) != std::string_view::npos)
    return take(TokenKind::punctuation, 1);
  return fail(
      ErrorCode::parse_error, "{}",
      point_at(source_, location_,
               fmt::format(
                   "found {}, expected a name, a number, %value or one of ( ) {{ }} [ ] , : = * ->",
                   describe(Token{TokenKind::word, rest.substr(0, 1), location_}))));
}

}  // namespace lathe::ir::graph
