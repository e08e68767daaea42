// Splits a plan's text into tokens. Internal to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lathe::ir::plan {

struct PlanToken {
  enum class Kind : uint8_t {
    word,         ///< plan, rows, x.stride0
    number,       ///< digits; a minus before them is punctuation
    punctuation,  ///< one of ( ) [ ] { } + - * = , ; # and ..
    unknown,      ///< a character of no token
    end,
  };
  Kind kind = Kind::end;
  std::string_view text;
  int line = 1, column = 1;  ///< from 1, in bytes

  bool is(std::string_view punctuation_or_word) const {
    return (kind == Kind::word || kind == Kind::punctuation) && text == punctuation_or_word;
  }
  /// "'rows'", or "the end of the text".
  std::string describe() const;
};

/// Reads one token after another; the text must outlive it.
class PlanLexer {
 public:
  explicit PlanLexer(std::string_view text) : text_(text) {}
  PlanToken next();

 private:
  void skip_blanks();

  std::string_view text_;
  size_t at_ = 0;
  size_t line_start_ = 0;
  int line_ = 1;
};

}  // namespace lathe::ir::plan
