// Operations as compact keys and as problems: the two faces of every struct in <lathe/ops.h>.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <lathe/ops.h>

#include "compiler/family.h"
#include "compiler/problem.h"
#include "runtime/library/fetch_table.h"
#include "runtime/library/operations.h"
#include "support/hash.h"

namespace lathe::runtime {

/// Puts the members of an operation into a key: a word for each number and two for each text, whose
/// 128-bit hash stands for it; flags, types and enumerations share words. Rows matter only by their
/// bucket, but telling buckets apart here would cost more than a second entry.
class KeyWriter {
 public:
  /// The key is filled in where it stands, all of it by finish(): copying words that were just
  /// written would wait for them.
  constexpr KeyWriter(FetchKey& key, uint8_t operation) : key_(key) {
    key_.words[0] = operation;
    shared_bits_ = 8;
  }

  constexpr void add(int64_t value) { key_.words[next_++] = static_cast<uint64_t>(value); }
  constexpr void add(double value) { key_.words[next_++] = std::bit_cast<uint64_t>(value); }
  constexpr void add(int value) { add_bits(static_cast<uint32_t>(value), 32); }
  constexpr void add(bool value) { add_bits(value ? 1 : 0, 1); }
  template <typename Enum>
    requires std::is_enum_v<Enum>
  constexpr void add(Enum value) {
    using Bits = std::make_unsigned_t<std::underlying_type_t<Enum>>;
    add_bits(static_cast<Bits>(value), 8 * sizeof(Bits));
  }
  constexpr void add(std::string_view text) {
    const support::Hash128 hash =
        std::is_constant_evaluated() ? support::Hash128{} : support::hash128(text);
    key_.words[next_++] = hash.low;
    key_.words[next_++] = hash.high;
  }

  /// The number of words that are used; the others are zero.
  constexpr size_t finish() {
    for (size_t i = next_; i < key_.words.size(); ++i) key_.words[i] = 0;
    return next_;
  }

 private:
  constexpr void add_bits(uint64_t value, unsigned count) {
    if (shared_bits_ + count > 64) {
      shared_word_ = next_++;
      shared_bits_ = 0;
      key_.words[shared_word_] = 0;
    }
    key_.words[shared_word_] |= value << shared_bits_;
    shared_bits_ += count;
  }

  FetchKey& key_;
  size_t next_ = 1;  ///< the first word that is free
  size_t shared_word_ = 0;
  unsigned shared_bits_ = 0;
};

namespace detail {

template <typename Op, typename... Ops>
constexpr uint8_t number_in(const std::tuple<Ops...>*) {
  uint8_t number = 0;
  (void)((!std::is_same_v<Op, Ops> && (++number, true)) && ...);
  return number + 1;  // 0 is of problem lines
}

template <typename Op>
constexpr size_t write_key(const Op& op, FetchKey& key) {
  KeyWriter writer(key, number_in<Op>(static_cast<const Operations*>(nullptr)));
  Description<Op>::fields(
      op, [&](std::string_view, const auto& value, const auto&...) { writer.add(value); });
  return writer.finish();
}

template <typename Op>
constexpr size_t key_words() {
  FetchKey key{};
  return write_key(Op{}, key);
}

/// Sets a problem's parameters from an operation's members; the first error stands.
class ProblemWriter {
 public:
  explicit ProblemWriter(const compiler::Family& family) : family_(family), builder_(family) {}

  void operator()(std::string_view name, int64_t value);  ///< an integer, or a bucket's size
  void operator()(std::string_view name, int value) { (*this)(name, int64_t{value}); }
  void operator()(std::string_view name, double value) { builder_.set(name, value); }
  void operator()(std::string_view name, bool value) { builder_.set(name, value); }
  void operator()(std::string_view name, std::string_view value) { builder_.set_text(name, value); }
  void operator()(std::string_view name, DataType value);
  template <typename Value, typename Spell>
  void operator()(std::string_view, const Value&, Spell&& spell) {
    if constexpr (std::is_void_v<std::invoke_result_t<Spell&, compiler::ProblemBuilder&>>) {
      spell(builder_);
    } else if (Status status = spell(builder_); !status && status_) {
      status_ = std::move(status);
    }
  }
  Result<compiler::Problem> build();

 private:
  const compiler::Family& family_;
  compiler::ProblemBuilder builder_;
  Status status_;
};

}  // namespace detail

/// Injective over operations, but for the hashes of texts; a few nanoseconds.
template <Operation Op>
FetchKey fetch_key(const Op& op) {
  static_assert(detail::key_words<Op>() <= std::tuple_size_v<decltype(FetchKey::words)>,
                "FetchKey is too short for the operation");
  FetchKey key;
  detail::write_key(op, key);
  return key;
}
/// A problem line of any length, by a 128-bit hash.
inline FetchKey fetch_key(std::string_view problem_line) {
  FetchKey key;
  KeyWriter writer(key, 0);
  writer.add(problem_line);
  writer.finish();
  return key;
}

/// The problem that the operation stands for, or invalid_argument naming the field.
template <Operation Op>
Result<compiler::Problem> make_problem(const Op& op) {
  LATHE_TRY(const compiler::Family* family, compiler::find_family(family_name(op)));
  detail::ProblemWriter writer(*family);
  Description<Op>::fields(op, writer);
  return writer.build();
}

}  // namespace lathe::runtime
