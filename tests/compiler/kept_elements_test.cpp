// What a kernel must have left as it was, to the bit.
#include "compiler/kept_elements.h"

#include <cstring>

#include <gtest/gtest.h>

#include "ir/gguf_blocks.h"

namespace lathe::compiler {
namespace {

using ir::Tensor;
using ir::Type;

ir::graph::DoubleTensor as_doubles(const Tensor& tensor) {
  ir::graph::DoubleTensor doubles{tensor.type(), tensor.shape(), {}};
  for (int64_t i = 0; i < tensor.elements(); ++i) doubles.values.push_back(tensor.at(i));
  return doubles;
}

TEST(ChangedElement, OfFloats) {
  Tensor before(Type::f32, {4});
  for (int64_t i = 0; i < 4; ++i) before.set(i, static_cast<double>(i));
  ir::graph::DoubleTensor expected = as_doubles(before);
  expected.values[2] = 9;
  Tensor found = before;
  EXPECT_EQ(changed_element(found, before, expected), -1) << "what is to be replaced may be not";
  found.set(2, 8);
  EXPECT_EQ(changed_element(found, before, expected), -1) << "or by something else";
  found.set(3, 3.0000002384185791);
  EXPECT_EQ(changed_element(found, before, expected), 3);
  // The other zero is another bit.
  found.set(0, -0.0);
  EXPECT_EQ(changed_element(found, before, expected), 0);
}

TEST(ChangedElement, OfBlocks) {
  Tensor values(Type::f32, {96});
  for (int64_t i = 0; i < 96; ++i) values.set(i, static_cast<double>(i % 7 - 3));
  Tensor before(Type::q8_0, {96});
  ir::quantize(Type::q8_0, values.as<float>(), before.data());
  ir::graph::DoubleTensor expected = as_doubles(before);
  expected.values[40] = 5;  // of the second block, which may be any
  Tensor found = before;
  found.data()[34 + 2] = std::byte{1};
  EXPECT_EQ(changed_element(found, before, expected), -1);
  found.data()[2 * 34 + 9] = std::byte{1};
  EXPECT_EQ(changed_element(found, before, expected), 64);
}

}  // namespace
}  // namespace lathe::compiler
