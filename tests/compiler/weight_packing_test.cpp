// Packed weights hold exactly the values of the rows that they were packed from.
#include "compiler/weight_packing.h"

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
Packed pack(const WeightLayout& layout, const Tensor& rows) {
  Packed packed;
  std::vector<std::byte*> storage;
  for (const PackedPart& part : packed_parts(layout))
    packed.parts.emplace_back(part.type, part.shape);
  for (Tensor& part : packed.parts) storage.push_back(part.data());
  const int64_t row_bytes = ir::bytes_of(layout.type, layout.k);
  // In two pieces, as threads would.
  const int64_t middle = layout.panels() / 2;
  packed.status = pack_panels(layout, rows.data(), row_bytes, 0, middle, storage);
  if (packed.status)
    packed.status = pack_panels(layout, rows.data(), row_bytes, middle, layout.panels(), storage);
  return packed;
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
          ir::graph::GraphBuilder graph("unpack");
          std::vector<ir::graph::Var> inputs;
          for (const PackedPart& part : packed_parts(layout)) {
            ir::graph::Shape shape;
            for (const int64_t size : part.shape) shape.emplace_back(size);
            inputs.push_back(graph.input(part.name, part.type, shape));
          }
          const auto finished = graph.finish({unpacked(graph, layout, inputs)});
          ASSERT_TRUE(finished) << finished.error().message;
          const auto values = ir::graph::evaluate(*finished, packed.parts);
          ASSERT_TRUE(values) << values.error().message;
          const Tensor& found = values->front();
          ASSERT_EQ(found.elements(), rows * layout.k);
          std::vector<float> expected(static_cast<size_t>(found.elements()));
          ir::dequantize(type, blocks.data(), expected);
          for (int64_t i = 0; i < found.elements(); ++i) {
            ASSERT_EQ(found.at(i), expected[static_cast<size_t>(i)])
                << ir::name(type) << " row " << i / layout.k << " element " << i % layout.k;
          }
        }
      }
    }
  }
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
  const Status status = check_layout({Type::q4_K, 5, 288, 8, false});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "k: found 288, expected a multiple of q4_K's block of 256");
}

}  // namespace
}  // namespace lathe::compiler
