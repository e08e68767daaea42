// Tokens of a plan's text.
#include "ir/plan/lexer.h"

#include <fmt/format.h>

namespace lathe::ir::plan {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
// A point is part of a name between others: `x.stride0`, but not `rows..`.
bool continues_word(std::string_view text, size_t at) {
  const char c = text[at];
  if (is_letter(c) || is_digit(c)) return true;
  return c == '.' && at + 1 < text.size() && (is_letter(text[at + 1]) || is_digit(text[at + 1]));
}

}  // namespace

std::string PlanToken::describe() const {
  if (kind == Kind::end) return "the end of the text";
  constexpr size_t kMostShown = 40;
  if (kind == Kind::unknown && (text[0] < ' ' || text[0] > '~'))
    return fmt::format("the byte 0x{:02x}", static_cast<unsigned char>(text[0]));
  return fmt::format("'{}'", text.substr(0, kMostShown));
}

void PlanLexer::skip_blanks() {
  for (; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\n') {
      ++line_;
      line_start_ = at_ + 1;
    } else if (text_[at_] != ' ') {
      return;
    }
  }
}

PlanToken PlanLexer::next() {
  skip_blanks();
  PlanToken token;
  token.line = line_;
  token.column = static_cast<int>(at_ - line_start_) + 1;
  if (at_ == text_.size()) return token;
  size_t end = at_ + 1;
  const char first = text_[at_];
  if (is_letter(first)) {
    token.kind = PlanToken::Kind::word;
    while (end < text_.size() && continues_word(text_, end)) ++end;
  } else if (is_digit(first)) {
    token.kind = PlanToken::Kind::number;
    while (end < text_.size() && is_digit(text_[end])) ++end;
  } else if (text_.substr(at_, 2) == "..") {
    token.kind = PlanToken::Kind::punctuation;
    end = at_ + 2;
  } else {
    const bool is_known = std::string_view("()[]{}+-*=,;#").find(first) != std::string_view::npos;
    token.kind = is_known ? PlanToken::Kind::punctuation : PlanToken::Kind::unknown;
  }
  token.text = text_.substr(at_, end - at_);
  at_ = end;
  return token;
}

}  // namespace lathe::ir::plan
