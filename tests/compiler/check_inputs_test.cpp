// Rows are what their kind says; patterns meet every kind; weights and indices reach their bounds.
#include "compiler/check_inputs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "ir/gguf_blocks.h"

namespace lathe::compiler {
namespace {

using ir::Tensor;
using ir::Type;

Tensor filled(const CheckInput& input, const InputPattern& pattern, uint64_t seed = 7) {
  Random random(seed);
  Tensor tensor(input.type, input.shape);
  fill_input(input, pattern, random, tensor);
  return tensor;
}

std::vector<double> row_of(const Tensor& tensor, int64_t row) {
  std::vector<double> values;
  const int64_t width = tensor.shape().back();
  for (int64_t i = row * width; i < (row + 1) * width; ++i) values.push_back(tensor.at(i));
  return values;
}

class RowKinds : public testing::TestWithParam<InputKind> {
 protected:
  // Rows 1, 3, 5 of all kinds are of the kind.
  static void each_row(Type type, int64_t width,
                       const std::function<void(const std::vector<double>&)>& body) {
    const Tensor tensor = filled({.type = type, .shape = {6, width}, .row_axis = 0}, GetParam());
    for (const int64_t row : {1, 3, 5}) body(row_of(tensor, row));
  }
};

bool is_so(InputKind kind, const std::vector<double>& row) {
  const auto all = [&](auto condition) { return std::all_of(row.begin(), row.end(), condition); };
  const auto sum = std::accumulate(row.begin(), row.end(), 0.0);
  const double mean = sum / static_cast<double>(row.size());
  const auto ordinary = [](double x) { return std::fabs(x) < 4 && x != 0; };
  const auto huge = [](double x) { return std::fabs(x) >= 2.9e4; };
  const std::vector<double> inside(row.begin() + 1, row.end() - 1);
  const bool plain_inside = std::all_of(inside.begin(), inside.end(), ordinary);
  switch (kind) {
    case InputKind::normal:
      return all(ordinary) && std::fabs(mean) < 1 &&
             std::any_of(row.begin(), row.end(), [](double x) { return std::fabs(x) > 0.5; });
    case InputKind::offset: return all([](double x) { return x > 990 && x < 1010; });
    case InputKind::large:
      return all([](double x) { return std::fabs(x) < 4e4; }) &&
             std::any_of(row.begin(), row.end(), [](double x) { return std::fabs(x) > 5e3; });
    case InputKind::tiny: return all([](double x) { return std::fabs(x) < 0x1p-124; });
    case InputKind::special:
      return std::any_of(row.begin(), row.end(),
                         [](double x) { return !std::isfinite(x) || std::fabs(x) < 0x1p-120; });
    case InputKind::masked: return all([](double x) { return x == -HUGE_VAL; });
    case InputKind::negative: return all([](double x) { return x >= -1000 && x <= -200; });
    case InputKind::positive: return all([](double x) { return x >= 200 && x <= 1000; });
    case InputKind::equal:
      return all([&](double x) { return x == row[0] && x != 0 && std::isfinite(x); });
    case InputKind::first_outlier: return huge(row[0]) && plain_inside && ordinary(row.back());
    case InputKind::last_outlier: return huge(row.back()) && plain_inside && ordinary(row[0]);
    case InputKind::ascending:
      return row[0] == -20 && row.back() == 20 && std::is_sorted(row.begin(), row.end());
    case InputKind::descending:
      return row[0] == 20 && row.back() == -20 && std::is_sorted(row.rbegin(), row.rend());
    case InputKind::cancelling:
      return sum == 0 && std::any_of(row.begin(), row.end(), [](double x) { return x > 500; });
    case InputKind::zeros: return all([](double x) { return x == 0; });
    case InputKind::huge:
      return std::any_of(row.begin(), row.end(), [](double x) { return std::fabs(x) > 6e4; }) &&
             all([](double x) { return std::isfinite(x); });
  }
  return false;
}

TEST_P(RowKinds, ARowIsWhatItsKindSays) {
  for (const Type type : {Type::f32, Type::f16, Type::bf16}) {
    // f16 rounds what is tiny to 0.
    for (const int64_t width : {72, 73}) {
      each_row(type, width, [&](const std::vector<double>& row) {
        EXPECT_TRUE(is_so(GetParam(), row)) << ir::name(type) << " of width " << width;
      });
    }
  }
}

TEST_P(RowKinds, NoOtherKindPassesForIt) {
  for (const InputKind other : all_input_kinds()) {
    // Rows of zeros are tiny, too.
    const std::set<InputKind> small = {InputKind::tiny, InputKind::zeros, InputKind::special};
    if (other == GetParam() || (small.contains(other) && small.contains(GetParam()))) continue;
    each_row(Type::f32, 72, [&](const std::vector<double>& row) {
      if (other == InputKind::special && GetParam() == InputKind::masked) return;
      EXPECT_FALSE(is_so(other, row)) << to_string(other);
    });
  }
}

TEST(HugeRows, AreWhatTheirKindSays) {
  for (const Type type : {Type::f32, Type::f16, Type::bf16}) {
    const Tensor tensor = filled({.type = type, .shape = {30, 72}, .row_axis = 0}, InputKind::huge);
    for (int64_t row = 0; row < 30; ++row)
      EXPECT_TRUE(is_so(InputKind::huge, row_of(tensor, row))) << ir::name(type) << " row " << row;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RowKinds,
                         testing::ValuesIn(all_input_kinds().begin(), all_input_kinds().end()),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(InputPattern, AlternatesWhatIsNotFinite) {
  for (const InputKind kind : {InputKind::special, InputKind::masked}) {
    EXPECT_EQ(InputPattern(kind).of(0), InputKind::normal);
    EXPECT_EQ(InputPattern(kind).of(1), kind);
  }
  EXPECT_EQ(InputPattern(InputKind::large).of(0), InputKind::large);
}

// For any number of rows; operands but the first stay finite.
TEST(InputPattern, MixedTurnsMeetEveryKind) {
  for (const int64_t rows : {1, 2, 5, 6, 15, 40}) {
    for (const int operand : {0, 1, 2}) {
      std::set<InputKind> met;
      for (int turn = 0; turn < mixed_turns(rows); ++turn)
        for (int64_t row = 0; row < rows; ++row)
          met.insert(InputPattern::mixed(turn, rows).of(row, operand));
      const bool finite = !met.contains(InputKind::special) && !met.contains(InputKind::masked);
      EXPECT_EQ(finite, operand > 0);
      EXPECT_EQ(met.size() + (finite ? 2 : 0), all_input_kinds().size())
          << rows << " rows, operand " << operand;
    }
  }
}

TEST(InputPattern, AKernelIsCheckedWithEveryKindOrOfOneRowWithTen) {
  for (const int64_t rows : {1, 2, 5, 40}) {
    std::set<InputKind> met;
    for (const InputPattern& pattern : check_patterns(rows))
      for (int64_t row = 0; row < rows; ++row) met.insert(pattern.of(row));
    EXPECT_EQ(met.size(), rows == 1 ? 10 : all_input_kinds().size()) << rows << " rows";
    for (const InputKind kind : {InputKind::negative, InputKind::masked, InputKind::first_outlier})
      EXPECT_TRUE(met.contains(kind)) << rows << " rows";
  }
  EXPECT_EQ(check_patterns(1).size(), 10U);
  EXPECT_EQ(check_patterns(5).size(), 5U);
}

TEST(InputPattern, RowsOfTwoOperandsAreOfUnlikeKinds) {
  const InputPattern mixed = InputPattern::mixed(0, 15);
  for (int64_t row = 0; row < 15; ++row) EXPECT_NE(mixed.of(row, 0), mixed.of(row, 1));
}

TEST(CheckInputs, RowsOfATransposedOperandLieAcross) {
  const CheckInput plain{.shape = {2, 15, 6}, .row_axis = 1};
  const CheckInput transposed{.shape = {2, 6, 15}, .row_axis = 2};
  const Tensor rows = filled(plain, InputPattern::mixed(0, 15));
  const Tensor columns = filled(transposed, InputPattern::mixed(0, 15));
  for (int64_t batch = 0; batch < 2; ++batch) {
    for (int64_t row = 0; row < 15; ++row) {
      for (int64_t i = 0; i < 6; ++i) {
        const double there = columns.at((batch * 6 + i) * 15 + row);
        const double here = rows.at((batch * 15 + row) * 6 + i);
        EXPECT_TRUE(there == here || (std::isnan(there) && std::isnan(here)));
      }
    }
  }
}

TEST(CheckInputs, FactorsOfRowsAndVectorsStayOrdinary) {
  for (const CheckInput& input :
       {CheckInput{.shape = {40, 1}, .row_axis = 0}, CheckInput{.shape = {40}}}) {
    const Tensor tensor = filled(input, InputPattern::mixed(0, 40));
    for (int64_t i = 0; i < 40; ++i) EXPECT_LT(std::fabs(tensor.at(i)), 4);
  }
}

TEST(CheckInputs, TablesOfAnglesHaveNoRows) {
  const std::vector<std::string> symbols = {"rows", ""};
  EXPECT_EQ(row_axis_of("x", symbols), 0);
  EXPECT_EQ(row_axis_of("cos", symbols), -1);
  EXPECT_EQ(row_axis_of("a", std::vector<std::string>{"batch", "", "rows"}), 2);
  EXPECT_EQ(row_axis_of("table", std::vector<std::string>{"vocabulary", ""}), 0);
  EXPECT_EQ(row_axis_of("w", std::vector<std::string>{"", "", ""}), -1);
}

TEST(CheckInputs, SomeColumnsOfWeightsAreZeroEqualOrAscending) {
  const Tensor w = filled({.shape = {3, 20, 16}}, InputPattern::mixed(0, 5));
  const auto column = [&](int64_t c) {
    std::vector<double> values;
    for (int64_t i = c; i < w.elements(); i += 16) values.push_back(w.at(i));
    return values;
  };
  EXPECT_TRUE(is_so(InputKind::zeros, column(2)));
  EXPECT_TRUE(is_so(InputKind::equal, column(4)));
  EXPECT_TRUE(std::ranges::is_sorted(column(6)) && column(6).front() == -1);
  EXPECT_TRUE(is_so(InputKind::normal, column(0)));
  const Tensor ordinary = filled({.shape = {3, 20, 16}}, InputKind::special);
  for (int64_t i = 0; i < ordinary.elements(); ++i) EXPECT_LT(std::fabs(ordinary.at(i)), 4);
}

// Blocks of [panels, blocks, groups, panel, 4] codes.
void expect_blocks_that_stand_out(Type type, int64_t groups, double zero, double least,
                                  double greatest) {
  const Tensor w =
      filled({.type = type, .shape = {4, 6, groups, 16, 4}}, InputPattern::mixed(0, 5));
  int zeros = 0, equal = 0, lowest = 0, highest = 0, outliers = 0, mixed = 0;
  for (int64_t block = 0; block < 4 * 6; ++block) {
    for (int64_t column = 0; column < 16; ++column) {
      std::vector<double> codes;
      for (int64_t g = 0; g < groups; ++g)
        for (int64_t i = 0; i < 4; ++i)
          codes.push_back(w.at(((block * groups + g) * 16 + column) * 4 + i));
      for (const double code : codes) ASSERT_TRUE(code >= least && code <= greatest) << code;
      const auto same = std::count(codes.begin(), codes.end(), codes[0]);
      const auto all = static_cast<std::ptrdiff_t>(codes.size());
      zeros += same == all && codes[0] == zero ? 1 : 0;
      lowest += same == all && codes[0] == least ? 1 : 0;
      highest += same == all && codes[0] == greatest ? 1 : 0;
      equal += same == all ? 1 : 0;
      outliers += std::count(codes.begin(), codes.end(), zero) == all - 1 ? 1 : 0;
      mixed += same < all / 2 ? 1 : 0;
    }
  }
  EXPECT_GT(zeros, 5);
  EXPECT_GT(lowest, 5);
  EXPECT_GT(highest, 5);
  EXPECT_GT(equal, zeros + lowest + highest);
  EXPECT_GT(outliers, 5);
  EXPECT_GT(mixed, 50);
}

TEST(CheckInputs, SomeBlocksOfCodesStandOut) {
  expect_blocks_that_stand_out(Type::i8, 8, 0, -127, 127);
  expect_blocks_that_stand_out(Type::u8, 4, 0x88, 0, 255);
}

TEST(CheckInputs, RowsOfBlocksHaveTheCodeThatQuantisersNeverWrite) {
  const Tensor x = filled({.type = Type::q8_0, .shape = {40, 64}, .row_axis = 0}, {});
  int found = 0;
  for (int64_t at = 0; at < x.bytes(); at += 34)
    for (int64_t i = 2; i < 34; ++i) found += x.data()[at + i] == std::byte{0x80} ? 1 : 0;
  EXPECT_GT(found, 5);
}

TEST(CheckInputs, IndicesReachTheirBounds) {
  const CheckInput ids{
      .type = Type::i32, .shape = {5}, .row_axis = 0, .elements = ElementRange{.below = 1000}};
  const Tensor adversarial = filled(ids, InputPattern::mixed(0, 5));
  EXPECT_EQ(adversarial.at(0), 999);
  EXPECT_EQ(adversarial.at(4), 0);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_GE(adversarial.at(i), 0);
    EXPECT_LT(adversarial.at(i), 1000);
  }
  // What is timed reads any entries.
  EXPECT_NE(filled(ids, {}).at(0), 999);
}

TEST(CheckInputs, OffsetsAscendFromBoundToBound) {
  const CheckInput offsets{.type = Type::i32,
                           .shape = {2, 6},
                           .elements = ElementRange{.least = 3, .below = 20, .ascending = true}};
  for (const InputPattern pattern : {InputPattern{}, InputPattern::mixed(0, 2)}) {
    const Tensor found = filled(offsets, pattern);
    for (int64_t i = 0; i < found.elements(); ++i) {
      EXPECT_GE(found.at(i), 3);
      EXPECT_LT(found.at(i), 20);
      if (i % 6 != 0) {
        EXPECT_GE(found.at(i), found.at(i - 1));
      }
    }
  }
  const Tensor bounds = filled(offsets, InputPattern::mixed(0, 2));
  for (const int64_t row : {0, 6}) {
    EXPECT_EQ(bounds.at(row), 3);
    EXPECT_EQ(bounds.at(row + 5), 19);
  }
}

TEST(CheckInputs, PagesAreDistinctAndTheRestIsNoPage) {
  CheckInput pages{
      .type = Type::i32, .shape = {3, 4}, .elements = ElementRange{.below = 12, .distinct = true}};
  const Tensor all = filled(pages, {});
  std::set<double> seen;
  for (int64_t i = 0; i < 12; ++i) seen.insert(all.at(i));
  EXPECT_EQ(seen.size(), 12U);
  EXPECT_EQ(*seen.begin(), 0);
  EXPECT_EQ(*seen.rbegin(), 11);
  pages.elements->below = 5;  // too few: each once before any is there again
  const Tensor again = filled(pages, {});
  for (int64_t turn = 0; turn + 5 <= 12; turn += 5) {
    seen.clear();
    for (int64_t i = turn; i < turn + 5; ++i) seen.insert(again.at(i));
    EXPECT_EQ(seen.size(), 5U);
  }
  pages.elements->row_counts = {4, 0, 2};
  const Tensor part = filled(pages, {});
  for (int64_t i = 0; i < 12; ++i) {
    const bool counts = i % 4 < pages.elements->row_counts[static_cast<size_t>(i / 4)];
    EXPECT_EQ(part.at(i) >= 0 && part.at(i) < 5, counts) << i;
  }
}

TEST(CheckInputs, OrdinaryCountsAreNearTheirBound) {
  const CheckInput lengths{
      .type = Type::i32, .shape = {64}, .elements = ElementRange{.below = 801, .is_count = true}};
  const Tensor ordinary = filled(lengths, {});
  for (int64_t i = 0; i < 64; ++i) {
    EXPECT_GE(ordinary.at(i), 700);
    EXPECT_LE(ordinary.at(i), 800);
  }
  const Tensor adversarial = filled(lengths, InputPattern::mixed(0, 1));
  EXPECT_EQ(adversarial.at(0), 800);
  EXPECT_EQ(adversarial.at(63), 0);
}

TEST(CheckInputs, DistinctElementsAscendAndReachTheirBounds) {
  for (const int64_t width : {1, 4, 9}) {
    const CheckInput lists{
        .type = Type::i32,
        .shape = {3, width},
        .elements = ElementRange{.least = 2, .below = 8, .ascending = true, .distinct = true}};
    for (const InputPattern pattern : {InputPattern{}, InputPattern::mixed(0, 2)}) {
      const Tensor found = filled(lists, pattern);
      for (int64_t i = 0; i < found.elements(); ++i) {
        EXPECT_GE(found.at(i), 2);
        EXPECT_LT(found.at(i), 8);
        const int64_t column = i % width;
        if (column > 0 && column < 6) {
          EXPECT_GT(found.at(i), found.at(i - 1));
        }
        if (column >= 6) {
          EXPECT_EQ(found.at(i), 7);  // there are six
        }
      }
    }
    EXPECT_EQ(filled(lists, InputPattern::mixed(0, 2)).at(width - 1), 7);
  }
}

TEST(CheckInputs, WhatIsTimedUsesAllThatIsCounted) {
  const CheckInput counts{
      .type = Type::i32, .shape = {20}, .elements = ElementRange{.below = 4, .is_count = true}};
  const Tensor timed = filled(counts, {});
  const Tensor checked = filled(counts, InputPattern::mixed(0, 2));
  int64_t fewer = 0;
  for (int64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(timed.at(i), 3);
    fewer += checked.at(i) < 3 ? 1 : 0;
  }
  EXPECT_GT(fewer, 5);
}

TEST(CheckInputs, BoundsOfPartsLeaveNothingOut) {
  const CheckInput bounds{
      .type = Type::i32,
      .shape = {5},
      .elements = ElementRange{.below = 103, .ascending = true, .covers = true}};
  const auto elements = [&](const InputPattern& pattern) {
    const Tensor tensor = filled(bounds, pattern);
    std::vector<double> found;
    for (int64_t i = 0; i < tensor.elements(); ++i) found.push_back(tensor.at(i));
    return found;
  };
  EXPECT_EQ(elements({}), (std::vector<double>{0, 25, 51, 76, 102})) << "what is timed is alike";
  const std::vector<double> found = elements(InputPattern::mixed(0, 5));
  EXPECT_EQ(found.front(), 0);
  EXPECT_EQ(found.back(), 102);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  EXPECT_NE(found, elements({}));
}

TEST(CheckInputs, AreTheSameForTheSameSeed) {
  const CheckInput input{.shape = {5, 9}, .row_axis = 0};
  const auto bits = [](const Tensor& tensor) {
    return std::vector<std::byte>(tensor.data(), tensor.data() + tensor.bytes());
  };
  EXPECT_EQ(bits(filled(input, InputPattern::mixed(1, 5))),
            bits(filled(input, InputPattern::mixed(1, 5))));
  EXPECT_NE(bits(filled(input, InputPattern::mixed(1, 5))),
            bits(filled(input, InputPattern::mixed(1, 5), 8)));
}

}  // namespace
}  // namespace lathe::compiler
