// What kernels are checked with: the kinds of values that their inputs get, and the tensors.
//
// The tests of kernels and the tuner's check share these, so that no candidate wins on kinds of
// inputs that tests know to be treacherous. Rows of activations get the kinds; weights, tables of
// angles and factors of rows stay of ordinary size, because a limit is judged by the largest result
// of a row: one huge weight would excuse errors everywhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/tensor.h"

namespace lathe::compiler {

/// SplitMix64 (Steele, Lea, Flood 2014): the same sequence everywhere, unlike <random>'s
/// distributions. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  /// `limit` at least 1.
  uint64_t below(uint64_t limit) { return next() % limit; }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// Mean 0, deviation 1, magnitude below 3.5. A sum of uniforms: no transcendental functions,
  /// whose last bits differ between libraries.
  double normal();

 private:
  uint64_t state_;
};

/// What the values of a row are. All are finite in f16 but those of `special` and `masked`.
enum class InputKind : uint8_t {
  normal,         ///< mean 0, deviation 1
  offset,         ///< mean 1000, deviation 1: statistics that cancel
  large,          ///< magnitudes of 1e4
  tiny,           ///< around and below the smallest normal number of f32
  special,        ///< NaN, infinities and signed zeros strewn in, or one of these alone
  masked,         ///< -inf throughout
  negative,       ///< -1000 … -200
  positive,       ///< 200 … 1000
  equal,          ///< one value throughout
  first_outlier,  ///< normal, but the first is huge: 1e6, or 3e4 in f16, of either sign
  last_outlier,   ///< the same at the end
  ascending,      ///< -20 … 20 in equal steps
  descending,     ///< 20 … -20
  cancelling,     ///< magnitudes of 1000, the second half the first one's negative in reverse
  zeros,          ///< 0 and -0
  huge,  ///< up to the type's largest: of one value, of both signs, near one, with outliers
};
/// All but `huge`, which is for kernels that divide a row by statistics of its own: others
/// overflow.
std::span<const InputKind> all_input_kinds();
std::string_view to_string(InputKind kind);

/// Which kind each row has.
class InputPattern {
 public:
  /// All rows of one kind; special and masked ones stand between normal ones.
  InputPattern(InputKind kind = InputKind::normal) : first_(kind) {}  // NOLINT: reads as the kind

  /// Rows that take one kind after the other, in every operand from another one on. Turns 0, 1, …
  /// of `rows` rows each continue one another: mixed_turns(rows) of them meet every kind. Operands
  /// but the first are finite: an infinity times what underflows in f32 but not in the oracle is a
  /// NaN of the one and an infinity of the other.
  static InputPattern mixed(int turn, int64_t rows);

  InputKind of(int64_t row, int operand = 0) const;
  bool is_mixed() const { return mixed_; }
  bool is_normal() const { return !mixed_ && first_ == InputKind::normal; }
  /// "normal", "mixed from tiny".
  std::string print() const;

 private:
  InputKind first_;
  bool mixed_ = false;
};
int mixed_turns(int64_t rows);

/// What a kernel is checked with on inputs of `rows` rows: mixed patterns that meet every kind, and
/// more rows with NaN and infinities. A single row meets the ten kinds that the others do not stand
/// for: it is checked as often as it has kinds.
std::vector<InputPattern> check_patterns(int64_t rows);

/// What integers an operand may hold: those of [least, below), in rows that ascend or in any order.
/// Of `distinct` ones, which ascend, a row that is longer than there are has each of them, and its
/// last again: who reads it knows how many count.
struct ElementRange {
  int64_t least = 0, below = 0;
  bool ascending = false;
  /// None twice: in a row that ascends, else in the whole operand, as far as there are as many, and
  /// in each row that is no longer. Of an ascending row that is longer the last stands again.
  bool distinct = false;
  bool covers = false;    ///< the first is `least`, the last `below` - 1: bounds of parts
  bool is_count = false;  ///< of elements that count others: ordinary ones are near the bound
  /// How many elements of each row are in the range; after these stands what no kernel may use.
  /// Empty: all.
  std::vector<int64_t> row_counts{};
};

/// One input of a kernel's signature.
struct CheckInput {
  ir::Type type = ir::Type::f32;
  std::vector<int64_t> shape;
  int operand = 0;    ///< its place among the inputs
  int row_axis = -1;  ///< of its activations' rows, or of a table's entries; -1: it has none
  std::optional<ElementRange> elements{};  ///< of an operand of indices, lengths or offsets
};

/// The row axis of the operand `name` whose dimensions have these names (empty: a number). Tables
/// of angles have none.
int row_axis_of(std::string_view name, std::span<const std::string> symbols);

/// Fills `tensor`, of the input's type and shape; the same for the same state of `random` on every
/// host. Elements that have a range are in it, and reach both of its bounds where the pattern is
/// not normal: the first the greater, the last the lesser, in ascending rows the other way about.
/// Bounds of parts always reach theirs; the parts are of any sizes then, else alike. Distinct
/// elements are all numbers of the range in some order, then again. Where the pattern is normal
/// counts are in the upper eighth of the range. With a mixed pattern some columns of weights are
/// zero, equal or ascending, and some blocks of codes are zero, equal, at either bound, or zero but
/// for one element. Codes of weights are never -128 in i8, which no quantiser writes; those of q8_0
/// rows may be. Large tensors of ordinary values repeat their beginning.
void fill_input(const CheckInput& input, InputPattern pattern, Random& random, ir::Tensor& tensor);

}  // namespace lathe::compiler
