// Rows of each kind, weights with columns and blocks that stand out, indices.
#include "compiler/check_inputs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/gguf_blocks.h"

namespace lathe::compiler {
namespace {

using ir::Tensor;
using ir::Type;

// In the order of InputKind, so that a kind is its own place here.
constexpr std::array kInputKinds = {
    InputKind::normal,     InputKind::offset,        InputKind::large,        InputKind::tiny,
    InputKind::special,    InputKind::masked,        InputKind::negative,     InputKind::positive,
    InputKind::equal,      InputKind::first_outlier, InputKind::last_outlier, InputKind::ascending,
    InputKind::descending, InputKind::cancelling,    InputKind::zeros,
};
constexpr auto kKindCount = static_cast<int64_t>(kInputKinds.size());
static_assert(kInputKinds.back() == static_cast<InputKind>(kKindCount - 1));

// Each call has one kind then: those that others stand for are left out.
constexpr std::array kKindsOfOneRow = {
    InputKind::cancelling, InputKind::tiny,  InputKind::special,       InputKind::masked,
    InputKind::negative,   InputKind::equal, InputKind::first_outlier, InputKind::last_outlier,
    InputKind::ascending,  InputKind::zeros,
};

// From operand to operand: no divisor of the number of kinds, so that rows pair unlike ones.
constexpr int64_t kOperandStep = 7;

// Large tensors repeat their first kPeriod elements: a prime, so that no two rows are alike.
constexpr int64_t kPeriod = 65537;

bool is_finite(InputKind kind) { return kind != InputKind::special && kind != InputKind::masked; }

void repeat_beginning(Tensor& tensor) {
  const int64_t bytes = tensor.bytes();
  for (int64_t done = ir::bytes_of(tensor.type(), std::min(kPeriod, tensor.elements()));
       done < bytes;) {
    const int64_t part = std::min(done, bytes - done);
    std::memcpy(tensor.data() + done, tensor.data(), static_cast<size_t>(part));
    done += part;
  }
}

// No number whose square or half leaves f32: there kernel and oracle rightly differ.
double special_value(uint64_t choice) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr std::array kValues = {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity,
                                  0.0, -0.0};
  return kValues[choice % kValues.size()];
}

/// Draws one row after the other.
class Rows {
 public:
  Rows(Type type, Random& random)
      : type_(type), outlier_(type == Type::f16 ? 3e4 : 1e6), random_(random) {}

  void draw(InputKind kind, std::vector<double>& row) {
    if (kind == InputKind::huge) return draw_huge(row);
    // What a row has in common.
    const double level = random_.normal();
    const uint64_t choice = random_.next();
    const auto last = static_cast<double>(std::max<size_t>(row.size(), 2) - 1);
    for (size_t i = 0; i < row.size(); ++i)
      row[i] = value(kind, static_cast<double>(i) / last, level, choice);
    if (row.empty()) return;
    const double outlier = choice % 2 == 0 ? outlier_ : -outlier_;
    if (kind == InputKind::first_outlier) row.front() = outlier;
    if (kind == InputKind::last_outlier) row.back() = outlier;
    if (kind != InputKind::cancelling) return;
    for (size_t i = 0; i < row.size() / 2; ++i) row[row.size() - 1 - i] = -row[i];
    if (row.size() % 2 == 1) row[row.size() / 2] = 0;
  }

 private:
  // `place`: from 0 at a row's beginning to 1 at its end.
  double value(InputKind kind, double place, double level, uint64_t choice) {
    switch (kind) {
      case InputKind::normal:
      case InputKind::first_outlier:
      case InputKind::last_outlier: return random_.normal();
      case InputKind::offset: return random_.normal() + 1000;
      case InputKind::large: return random_.normal() * 1e4;
      case InputKind::tiny: return random_.normal() * 0x1p-126;
      case InputKind::special:
        if (random_.below(8) != 0) return random_.normal();
        return special_value(choice % 2 == 0 ? choice / 2 : random_.next());
      case InputKind::masked: return -std::numeric_limits<double>::infinity();
      case InputKind::negative: return -1000 + 800 * random_.uniform();
      case InputKind::positive: return 1000 - 800 * random_.uniform();
      case InputKind::equal: return level * 8;
      case InputKind::ascending: return -20 + 40 * place;
      case InputKind::descending: return 20 - 40 * place;
      case InputKind::cancelling: return random_.normal() * 1000;
      case InputKind::zeros: return random_.below(2) == 0 ? 0.0 : -0.0;
      case InputKind::huge: break;  // draw_huge()
    }
    return 0;
  }

  // Row by row every form at one magnitude, then at the next. Two of them add up to less than
  // infinity.
  void draw_huge(std::vector<double>& row) {
    constexpr std::array kMagnitudes = {1e10, 1e19, 1e20, 1e28, 1.6e38};
    constexpr size_t kForms = 6;
    const size_t number = huge_rows_++;
    const double magnitude =
        type_ == Type::f16 ? 65504 : kMagnitudes[number / kForms % kMagnitudes.size()];
    for (size_t i = 0; i < row.size(); ++i) {
      switch (number % kForms) {
        case 0: row[i] = magnitude; break;
        case 1: row[i] = magnitude * (2 * random_.uniform() - 1); break;
        case 2: row[i] = magnitude * (1 - 0.0625 * random_.uniform()); break;
        case 3: row[i] = i % 2 == 0 ? magnitude : -magnitude; break;
        case 4: row[i] = i % 3 == 0 ? magnitude * 0x1.fcp-1 : magnitude; break;
        default: row[i] = i == 5 ? -magnitude : random_.normal(); break;
      }
    }
  }

  Type type_;
  double outlier_;
  size_t huge_rows_ = 0;
  Random& random_;
};

// Rows lie along the last axis, or where that counts them (a transposed operand) along the one
// before.
bool is_transposed(const CheckInput& input) {
  return input.row_axis + 1 == static_cast<int>(input.shape.size());
}

int64_t row_width(const CheckInput& input) {
  return input.shape[input.shape.size() - (is_transposed(input) ? 2 : 1)];
}

void fill_rows(const CheckInput& input, InputPattern pattern, Random& random, Tensor& tensor) {
  const int64_t inner = is_transposed(input) ? input.shape.back() : 1;
  const int64_t width = row_width(input);
  const int64_t rows = width == 0 ? 0 : tensor.elements() / width;
  Rows draws(input.type, random);
  std::vector<double> row(static_cast<size_t>(width));
  for (int64_t r = 0; r < rows; ++r) {
    draws.draw(pattern.of(r, input.operand), row);
    const int64_t first = r / inner * inner * width + r % inner;
    for (int64_t i = 0; i < width; ++i) tensor.set(first + i * inner, row[static_cast<size_t>(i)]);
  }
}

void fill_normal(Random& random, Tensor& tensor) {
  for (int64_t i = 0; i < std::min(tensor.elements(), kPeriod); ++i) tensor.set(i, random.normal());
  repeat_beginning(tensor);
}

// The elements of one column stand a row apart in packed weights.
void make_columns_stand_out(Tensor& tensor) {
  const int64_t width = tensor.shape().back();
  const int64_t steps = std::max<int64_t>(tensor.elements() / width - 1, 1);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const double place = static_cast<double>(i / width) / static_cast<double>(steps);
    switch (i % width % 8) {
      case 2: tensor.set(i, 0); break;
      case 4: tensor.set(i, 0.75); break;
      case 6: tensor.set(i, 2 * place - 1); break;
      default: break;
    }
  }
}

void fill_codes(Random& random, Tensor& tensor) {
  const int bits = ir::size_of(tensor.type()) * 8;
  const bool is_signed = ir::info(tensor.type()).is_signed;
  const uint64_t values = (uint64_t{1} << std::min(bits, 32)) - (is_signed ? 1 : 0);
  const double least = is_signed ? -static_cast<double>(values / 2) : 0;
  for (int64_t i = 0; i < std::min(tensor.elements(), kPeriod); ++i)
    tensor.set(i, least + static_cast<double>(random.below(values)));
  repeat_beginning(tensor);
}

// Codes as compiler/weight_packing.h has them: [panels, blocks, groups, panel, 4], or of channels
// [panels, groups, panel, 4].
void make_blocks_stand_out(Random& random, Tensor& tensor) {
  const std::vector<int64_t>& shape = tensor.shape();
  const size_t rank = shape.size();
  const int64_t panel = shape[rank - 2];
  const int64_t groups = shape[rank - 3];
  const bool is_signed = tensor.type() == Type::i8;
  const double least = is_signed ? -127 : 0, greatest = is_signed ? 127 : 255;
  const double zero = is_signed ? 0 : 0x88;  // q4_0's code of 0 is 8
  const uint64_t salt = random.next();
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const int64_t column = i / 4 % panel;
    const int64_t block = i / (4 * panel * groups);  // of all panels
    Random of_block(salt ^ static_cast<uint64_t>(block * panel + column));
    const uint64_t choice = of_block.next();
    const auto place = static_cast<uint64_t>(i / (4 * panel) % groups * 4 + i % 4);
    switch (choice % 8) {
      case 0: tensor.set(i, zero); break;
      case 1: tensor.set(i, least + static_cast<double>(choice / 8 % 255)); break;
      case 2: tensor.set(i, least); break;
      case 3: tensor.set(i, greatest); break;
      case 4:
        tensor.set(i, place != choice / 8 % static_cast<uint64_t>(groups * 4) ? zero
                      : choice >> 63 != 0                                     ? least
                                                                              : greatest);
        break;
      default: break;
    }
  }
}

// Rows as q8_0, some codes replaced by the one that quantisers never write.
void fill_blocks(const CheckInput& input, InputPattern pattern, Random& random, Tensor& tensor) {
  Tensor values(Type::f32, input.shape);
  CheckInput plain = input;
  plain.type = Type::f32;
  fill_input(plain, pattern, random, values);
  ir::quantize(input.type, values.as<float>(), tensor.data());
  if (input.type != Type::q8_0 || input.row_axis < 0) return;
  const ir::TypeInfo& info = ir::info(Type::q8_0);
  for (int64_t at = 2; at < tensor.bytes(); at += info.block_bytes) {
    if (random.below(4) == 0)
      tensor.data()[at + static_cast<int64_t>(random.below(
                             static_cast<uint64_t>(info.block_elements)))] = std::byte{0x80};
  }
}

// Numbers of a range in an order that is drawn anew, each once: the first steps of a shuffle.
class Shuffle {
 public:
  Shuffle(const ElementRange& range, Random& random)
      : range_(range), random_(random), count_(std::max<int64_t>(range.below - range.least, 1)) {}

  int64_t count() const { return count_; }
  /// Of the first count() calls.
  int64_t next() {
    const int64_t turn = turn_++;
    const int64_t other =
        turn + static_cast<int64_t>(random_.below(static_cast<uint64_t>(count_ - turn)));
    const int64_t drawn = at(other);
    moved_[other] = at(turn);
    return range_.least + drawn;
  }

 private:
  int64_t at(int64_t place) const {
    const auto found = moved_.find(place);
    return found == moved_.end() ? place : found->second;
  }

  const ElementRange& range_;
  Random& random_;
  int64_t count_, turn_ = 0;
  std::unordered_map<int64_t, int64_t> moved_;  // what is no longer at its place
};

// All numbers of the range in some order, then in the same again, as often as there are elements:
// no row that has no more elements than there are numbers has one twice.
void fill_distinct(const ElementRange& range, Random& random, Tensor& tensor) {
  Shuffle shuffle(range, random);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const bool is_new = i < shuffle.count();
    tensor.set(i, is_new ? static_cast<double>(shuffle.next()) : tensor.at(i - shuffle.count()));
  }
}

// As many of the range as there are places, or all, ascending.
void draw_ascending(const ElementRange& range, Random& random, std::vector<int64_t>& row) {
  Shuffle shuffle(range, random);
  const size_t count = std::min(static_cast<size_t>(shuffle.count()), row.size());
  const auto end = row.begin() + static_cast<std::ptrdiff_t>(count);
  std::generate(row.begin(), end, [&] { return shuffle.next(); });
  std::sort(row.begin(), end);
  std::fill(end, row.end(), row[count - 1]);
}

// Bounds of parts: of any sizes, as `row` has them, or alike, as what is timed.
void cover(const ElementRange& range, bool has_any, std::vector<int64_t>& row) {
  const int64_t last = range.below - 1, parts = static_cast<int64_t>(row.size()) - 1;
  for (size_t i = 0; i < row.size() && !has_any; ++i)
    row[i] =
        range.least + (last - range.least) * static_cast<int64_t>(i) / std::max<int64_t>(parts, 1);
  row.front() = range.least;
  row.back() = last;
}

// What servers put in entries that nothing reads, and what no range holds.
void fill_rests(const ElementRange& range, Tensor& tensor) {
  const int64_t width = tensor.shape().back();
  for (size_t row = 0; row < range.row_counts.size(); ++row) {
    const int64_t start = static_cast<int64_t>(row) * width;
    for (int64_t i = range.row_counts[row]; i < width; ++i)
      tensor.set(start + i, i % 2 == 0 ? -1 : INT32_MAX);
  }
}

void fill_elements(const ElementRange& range, bool reaches_bounds, Random& random, Tensor& tensor) {
  if (range.distinct && !range.ascending) {
    fill_distinct(range, random, tensor);
    return fill_rests(range, tensor);
  }
  const int64_t width = tensor.rank() == 0 ? 1 : tensor.shape().back();
  const auto all = static_cast<uint64_t>(std::max<int64_t>(range.below - range.least, 1));
  // An ordinary call uses most of what there is room for.
  const bool is_near = range.is_count && !reaches_bounds;
  const uint64_t count = is_near ? (all + 7) / 8 : all;
  const int64_t least = range.least + static_cast<int64_t>(all - count);
  std::vector<int64_t> row(static_cast<size_t>(width));
  for (int64_t start = 0; start < tensor.elements(); start += width) {
    if (range.distinct) {
      draw_ascending(range, random, row);
      if (reaches_bounds && width > 1) row.front() = range.least;
      if (reaches_bounds) row.back() = std::max(range.below - 1, range.least);
    } else {
      for (int64_t& element : row) element = least + static_cast<int64_t>(random.below(count));
      if (reaches_bounds && (start == 0 || range.ascending)) row.front() = range.below - 1;
      if (reaches_bounds && (start + width == tensor.elements() || range.ascending))
        row.back() = range.least;
      if (range.covers) cover(range, reaches_bounds, row);
      if (range.ascending) std::sort(row.begin(), row.end());
    }
    for (int64_t i = 0; i < width; ++i)
      tensor.set(start + i, static_cast<double>(row[static_cast<size_t>(i)]));
  }
  fill_rests(range, tensor);
  fill_rests(range, tensor);
}

}  // namespace

uint64_t Random::next() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

double Random::normal() {
  return (uniform() + uniform() + uniform() + uniform() - 2) * std::sqrt(3.0);
}

std::span<const InputKind> all_input_kinds() { return kInputKinds; }

std::string_view to_string(InputKind kind) {
  switch (kind) {
    case InputKind::normal: return "normal";
    case InputKind::offset: return "offset";
    case InputKind::large: return "large";
    case InputKind::tiny: return "tiny";
    case InputKind::special: return "special";
    case InputKind::masked: return "masked";
    case InputKind::negative: return "negative";
    case InputKind::positive: return "positive";
    case InputKind::equal: return "equal";
    case InputKind::first_outlier: return "first_outlier";
    case InputKind::last_outlier: return "last_outlier";
    case InputKind::ascending: return "ascending";
    case InputKind::descending: return "descending";
    case InputKind::cancelling: return "cancelling";
    case InputKind::zeros: return "zeros";
    case InputKind::huge: return "huge";
  }
  return "unknown";
}

int mixed_turns(int64_t rows) {
  const int64_t of_a_turn = std::max<int64_t>(rows, 1);
  return static_cast<int>((kKindCount + of_a_turn - 1) / of_a_turn);
}

InputPattern InputPattern::mixed(int turn, int64_t rows) {
  InputPattern pattern(kInputKinds[static_cast<size_t>(turn * rows % kKindCount)]);
  pattern.mixed_ = true;
  return pattern;
}

std::vector<InputPattern> check_patterns(int64_t rows) {
  std::vector<InputPattern> patterns;
  if (rows == 1) {
    for (const InputKind kind : kKindsOfOneRow)
      patterns.push_back(InputPattern::mixed(static_cast<int>(kind), 1));
    return patterns;
  }
  for (int turn = 0; turn < mixed_turns(rows); ++turn)
    patterns.push_back(InputPattern::mixed(turn, rows));
  patterns.insert(patterns.end(), {InputKind::special, InputKind::masked});
  return patterns;
}

InputKind InputPattern::of(int64_t row, int operand) const {
  if (mixed_) {
    const int64_t place = static_cast<int64_t>(first_) + row + kOperandStep * operand;
    const InputKind kind = kInputKinds[static_cast<size_t>(place % kKindCount)];
    return operand > 0 && !is_finite(kind) ? InputKind::normal : kind;
  }
  return !is_finite(first_) && row % 2 == 0 ? InputKind::normal : first_;
}

std::string InputPattern::print() const {
  return mixed_ ? fmt::format("mixed from {}", to_string(first_)) : std::string(to_string(first_));
}

int row_axis_of(std::string_view name, std::span<const std::string> symbols) {
  if (name == "cos" || name == "sin") return -1;
  for (size_t axis = 0; axis < symbols.size(); ++axis)
    if (symbols[axis] == "rows" || symbols[axis] == "vocabulary") return static_cast<int>(axis);
  return -1;
}

void fill_input(const CheckInput& input, InputPattern pattern, Random& random, Tensor& tensor) {
  const auto rank = input.shape.size();
  if (tensor.elements() == 0) return;
  if (input.elements) return fill_elements(*input.elements, !pattern.is_normal(), random, tensor);
  if (input.type == Type::boolean)
    return fill_elements({.least = 0, .below = 2}, /*reaches_bounds=*/false, random, tensor);
  if (ir::info(input.type).block_elements > 1) return fill_blocks(input, pattern, random, tensor);
  if (!ir::info(input.type).is_float) {
    fill_codes(random, tensor);
    // Scales and minima of blocks, in larger words, stay as they are drawn.
    if (pattern.is_mixed() && rank >= 4 && ir::size_of(input.type) == 1)
      make_blocks_stand_out(random, tensor);
    return;
  }
  // A factor for each row is no row of one element.
  const bool has_rows = rank >= 2 && input.row_axis >= 0 && row_width(input) > 1;
  if (has_rows && !pattern.is_normal()) return fill_rows(input, pattern, random, tensor);
  fill_normal(random, tensor);
  if (pattern.is_mixed() && rank >= 2 && !has_rows) make_columns_stand_out(tensor);
}

}  // namespace lathe::compiler
