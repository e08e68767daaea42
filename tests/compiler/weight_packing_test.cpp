// Packed weights hold exactly the values of the rows that they were packed from.
#include "compiler/weight_packing.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "ir/gguf_blocks.h"
#include "ir/graph/reference.h"

namespace lathe::compiler {
namespace {

using ir::Tensor;
using ir::Type;

// Rows of any bits, but with scales that are ordinary numbers.
Tensor random_rows(Type type, int64_t rows, int64_t k) {
  Tensor tensor(type, {rows, k});
  uint32_t state = 7;
  for (int64_t i = 0; i < tensor.bytes(); ++i) {
    state = state * 1664525U + 1013904223U;
    tensor.data()[i] = static_cast<std::byte>(state >> 24);
    if (type == Type::q8_0 && tensor.data()[i] == std::byte{0x80}) tensor.data()[i] = std::byte{1};
  }
  const ir::TypeInfo& info = ir::info(type);
  if (info.block_elements == 1) return tensor;  // codes alone: their scales are no part of the rows
  for (int64_t block = 0; block < rows * k / info.block_elements; ++block) {
    for (int64_t scale = 0; scale < (type == Type::q4_K ? 2 : 1); ++scale) {
      std::byte& high = tensor.data()[block * info.block_bytes + 2 * scale + 1];
      high = (high & std::byte{0x83}) | std::byte{0x28};
    }
  }
  return tensor;
}

struct Packed {
  std::vector<Tensor> parts;
  Status status;
};
Packed pack(const WeightLayout& layout, const Tensor& rows, const std::vector<float>& scales = {}) {
  Packed packed;
  std::vector<std::byte*> storage;
  for (const PackedPart& part : packed_parts(layout))
    packed.parts.emplace_back(part.type, part.shape);
  for (Tensor& part : packed.parts) storage.push_back(part.data());
  WeightRows source{rows.data(), ir::bytes_of(rows.type(), layout.k)};
  source.type = rows.type();
  source.scales = scales.data();
  // In two pieces, as threads would.
  const int64_t middle = layout.panels() / 2;
  packed.status = pack_panels(layout, source, 0, middle, storage);
  if (packed.status) packed.status = pack_panels(layout, source, middle, layout.panels(), storage);
  return packed;
}

// The unpacking graph's values.
std::vector<double> unpacked_values(const WeightLayout& layout, const std::vector<Tensor>& parts) {
  ir::graph::GraphBuilder graph("unpack");
  std::vector<ir::graph::Var> inputs;
  for (const PackedPart& part : packed_parts(layout)) {
    ir::graph::Shape shape;
    for (const int64_t size : part.shape) shape.emplace_back(size);
    inputs.push_back(graph.input(part.name, part.type, shape));
  }
  const auto finished = graph.finish({unpacked(graph, layout, inputs)});
  EXPECT_TRUE(finished) << finished.error().message;
  const auto values = ir::graph::evaluate_double(*finished, parts);
  EXPECT_TRUE(values) << values.error().message;
  return values->front().values;
}

TEST(WeightPacking, KeepsEveryValueOfEveryBlockFormat) {
  for (const Type type : {Type::q8_0, Type::q4_0, Type::q4_K}) {
    for (const bool pair : {false, true}) {
      for (const int64_t n : {1, 8, 21, 48}) {
        for (const int64_t panel : {8, 16}) {
          const WeightLayout layout{type, n, 512, panel, pair};
          const int64_t rows = pair ? 2 * n : n;
          const Tensor blocks = random_rows(type, rows, layout.k);
          Packed packed = pack(layout, blocks);
          ASSERT_TRUE(packed.status) << packed.status.error().message;
          const auto found = unpacked_values(layout, packed.parts);
          ASSERT_EQ(found.size(), static_cast<size_t>(rows * layout.k));
          std::vector<float> expected(found.size());
          ir::dequantize(type, blocks.data(), expected);
          const auto k = static_cast<size_t>(layout.k);
          for (size_t i = 0; i < found.size(); ++i) {
            ASSERT_EQ(static_cast<float>(found[i]), expected[i])
                << ir::name(type) << " row " << i / k << " element " << i % k;
          }
        }
      }
    }
  }
}

// Kernels multiply whole panels: what stands in for a row that does not exist must be 0 whatever
// was in the memory before.
TEST(WeightPacking, RowsThatDoNotExistAreZeroWhateverWasThere) {
  for (const Type type : {Type::f32, Type::bf16, Type::q4_0}) {
    const WeightLayout layout{type, 5, 64, 8, false};
    const Tensor rows = random_rows(type, 5, 64);
    std::vector<Tensor> clean, dirty;
    std::vector<std::byte*> clean_places, dirty_places;
    for (const PackedPart& part : packed_parts(layout)) {
      clean_places.push_back(clean.emplace_back(part.type, part.shape).data());
      dirty_places.push_back(dirty.emplace_back(part.type, part.shape).data());
      std::fill_n(dirty_places.back(), dirty.back().bytes(), std::byte{0x3c});
    }
    const WeightRows source{rows.data(), ir::bytes_of(type, 64), false, type};
    ASSERT_TRUE(pack_panels(layout, source, 0, 1, clean_places));
    ASSERT_TRUE(pack_panels(layout, source, 0, 1, dirty_places));
    for (size_t i = 0; i < clean.size(); ++i)
      EXPECT_TRUE(std::equal(clean_places[i], clean_places[i] + clean[i].bytes(), dirty_places[i]))
          << ir::name(type) << ", part " << i;
  }
}

TEST(WeightPacking, KeepsCodesAndScalesOfChannels) {
  for (const bool pair : {false, true}) {
    for (const int64_t n : {1, 8, 21}) {
      for (const int64_t k : {1, 3, 16, 17, 40}) {
        const WeightLayout layout{Type::i8, n, k, 16, pair};
        const int64_t rows = pair ? 2 * n : n;
        const Tensor codes = random_rows(Type::i8, rows, k);  // -128 is among them
        std::vector<float> scales;
        for (int64_t row = 0; row < rows; ++row) scales.push_back(0.01F * static_cast<float>(row));
        const Packed packed = pack(layout, codes, scales);
        ASSERT_TRUE(packed.status) << packed.status.error().message;
        const auto found = unpacked_values(layout, packed.parts);
        ASSERT_EQ(found.size(), static_cast<size_t>(rows * k));
        for (int64_t i = 0; i < rows * k; ++i) {
          const auto row = static_cast<size_t>(i / k);
          ASSERT_EQ(found[static_cast<size_t>(i)], codes.at(i) * double{scales[row]});
        }
      }
    }
  }
}

TEST(WeightPacking, QuantisesChannelsToNearestEven) {
  // d = 1: halves go to the even neighbour.
  const std::vector<double> values = {127, 0.5, 1.5, -2.5, -126.5, 126.49};
  for (const Type type : {Type::f32, Type::f16}) {
    Tensor rows(type, {2, 6});
    for (int64_t i = 0; i < 6; ++i) rows.set(i, values[static_cast<size_t>(i)]);
    const WeightLayout layout{Type::i8, 2, 6, 8, false};  // the second row is all zeros
    const Packed packed = pack(layout, rows);
    ASSERT_TRUE(packed.status) << packed.status.error().message;
    EXPECT_EQ(packed.parts[1].at(0), 1);
    EXPECT_EQ(packed.parts[1].at(1), 0);
    const auto found = unpacked_values(layout, packed.parts);
    const std::vector<double> expected = {127, 0, 2, -2, -126, 126};
    EXPECT_EQ(std::vector<double>(found.begin(), found.begin() + 6), expected);
    EXPECT_EQ(std::vector<double>(found.begin() + 6, found.end()), std::vector<double>(6, 0));
  }
}

TEST(WeightPacking, RefusesWhatHasNoCode) {
  const WeightLayout layout{Type::i8, 3, 4, 8, false};
  Tensor rows(Type::bf16, {3, 4});
  rows.set(2 * 4 + 1, std::numeric_limits<double>::infinity());
  Status status = pack(layout, rows).status;
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "weight row 2: found a NaN or an infinity, expected finite values");
  status = pack(layout, Tensor(Type::i8, {3, 4}), {1, std::nanf(""), 1}).status;
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "weight row 1: found the scale nan, expected finite scales");
}

TEST(WeightPacking, TakesAsManyBytesAsTheBlocks) {
  for (const Type type : {Type::q8_0, Type::q4_0, Type::q4_K}) {
    const WeightLayout layout{type, 32, 512, 16, false};
    int64_t bytes = 0;
    for (const PackedPart& part : packed_parts(layout))
      bytes += Tensor(part.type, part.shape).bytes();
    EXPECT_EQ(bytes, ir::bytes_of(type, 32 * 512));
  }
}

TEST(WeightPacking, RefusesTheCodeThatKernelsCannotNegate) {
  const WeightLayout layout{Type::q8_0, 5, 64, 8, false};
  Tensor blocks = random_rows(Type::q8_0, 5, 64);
  blocks.data()[3 * 68 + 34 + 2 + 9] = std::byte{0x80};
  const Status status = pack(layout, blocks).status;
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "weight row 3, element 41: found the q8_0 code -128, expected -127 … 127");
}

TEST(WeightPacking, AsksForWholeBlocks) {
  EXPECT_TRUE(check_layout({Type::q4_K, 5, 512, 8, false}));
  Status status = check_layout({Type::q4_K, 5, 288, 8, false});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "k: found 288, expected a multiple of q4_K's block of 256");
  EXPECT_TRUE(check_layout({Type::i8, 5, 132104, 8, false}));
  status = check_layout({Type::i8, 5, 132105, 8, false});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "k: found 132105, expected at most 132104, so that a sum of products of 8-bit codes "
            "stays in 32 bits");
}

}  // namespace
}  // namespace lathe::compiler
