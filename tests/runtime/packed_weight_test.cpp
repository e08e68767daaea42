// Packed weights: every type and shape against the graph that unpacks them, and what is refused.
#include "runtime/weights/packed_weight.h"

#include <array>
#include <cmath>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "compiler/choose_layout.h"
#include "ir/graph/reference.h"
#include "ir/tensor.h"
#include "runtime/library/fetch_key.h"

namespace lathe {
namespace {

Library open(int threads = 2) {
  LibraryOptions options;
  options.store = "none";
  options.threads = threads;
  auto library = Library::open(options);
  EXPECT_TRUE(library.has_value()) << library.error().message;
  return *library;
}

ir::Tensor filled(ir::Type type, std::vector<int64_t> shape) {
  ir::Tensor tensor(type, std::move(shape));
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, std::sin(0.37 * static_cast<double>(i)));
  return tensor;
}

TensorView view(ir::Tensor& tensor) {
  return {tensor.data(), static_cast<DataType>(tensor.type()), tensor.shape().data(),
          tensor.rank()};
}

// The packed parts through the graph that stands for them must be the weight.
void expect_unpacks_to(const PackedWeight& packed, const ir::Tensor& weight) {
  const Linear op = packed.linear();
  const compiler::WeightLayout layout = {static_cast<ir::Type>(op.weight), op.n, op.k, op.panel,
                                         op.pair};
  ir::graph::GraphBuilder graph("unpack");
  std::vector<ir::graph::Var> parts;
  std::vector<ir::Tensor> inputs;
  for (const compiler::PackedPart& part : compiler::packed_parts(layout)) {
    ir::graph::Shape shape;
    for (const int64_t size : part.shape) shape.emplace_back(size);
    parts.push_back(graph.input(part.name, part.type, shape));
    const TensorView& data = packed.parts()[inputs.size()];
    inputs.emplace_back(part.type, part.shape);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(data.data) % 64, 0U);
    std::memcpy(inputs.back().data(), data.data, static_cast<size_t>(inputs.back().bytes()));
  }
  const auto whole = graph.finish({unpacked(graph, layout, parts)});
  ASSERT_TRUE(whole.has_value()) << whole.error().message;
  const auto found = ir::graph::evaluate(*whole, inputs);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  ASSERT_EQ(found->front().elements(), weight.elements());
  for (int64_t i = 0; i < weight.elements(); ++i)
    ASSERT_EQ(found->front().at(i), weight.at(i)) << packed.layout() << " element " << i;
}

TEST(PackedWeight, HoldsEveryElementOfEveryShape) {
  for (const int threads : {1, 3}) {
    const Library library = open(threads);
    for (const ir::Type type : {ir::Type::f32, ir::Type::f16, ir::Type::bf16}) {
      for (const int64_t n : {1, 15, 16, 17, 70}) {
        for (const int64_t k : {1, 5, 64, 65}) {
          for (const bool pair : {false, true}) {
            ir::Tensor weight = filled(type, {pair ? 2 * n : n, k});
            for (const int panel : {0, 8, 32}) {
              const auto packed = library.pack_weight(view(weight), {.pair = pair, .panel = panel});
              ASSERT_TRUE(packed.has_value()) << packed.error().message;
              EXPECT_EQ(packed->linear().n, n);
              expect_unpacks_to(*packed, weight);
            }
          }
        }
      }
    }
  }
}

// A weight in GGUF's blocks.
ir::Tensor quantised(ir::Type type, std::vector<int64_t> shape) {
  if (type == ir::Type::q4_K) {
    // Any bytes but for d = 2^-4 and dmin = 2^-5, with which values are exact.
    ir::Tensor tensor(type, std::move(shape));
    for (int64_t i = 0; i < tensor.bytes(); ++i) tensor.data()[i] = std::byte(i * 37 % 251);
    const std::array<uint16_t, 2> scales = {0x2C00, 0x2800};
    for (int64_t i = 0; i < tensor.bytes(); i += 144)
      std::memcpy(tensor.data() + i, scales.data(), sizeof(scales));
    return tensor;
  }
  ir::graph::GraphBuilder graph("quantise");
  const auto x = graph.input("x", ir::Type::f32, {shape[0], shape[1]});
  const auto whole = graph.finish({graph.op("quantize", {x}, {{"type", type}})});
  EXPECT_TRUE(whole.has_value()) << whole.error().message;
  const std::vector<ir::Tensor> inputs = {filled(ir::Type::f32, std::move(shape))};
  return ir::graph::evaluate(*whole, inputs)->front();
}

TEST(PackedWeight, HoldsBlocksOfQuantisedWeights) {
  const Library library = open();
  for (const ir::Type type : {ir::Type::q8_0, ir::Type::q4_0, ir::Type::q4_K}) {
    for (const bool pair : {false, true}) {
      ir::Tensor weight = quantised(type, {70, 512});
      const auto packed = library.pack_weight(view(weight), {.pair = pair});
      ASSERT_TRUE(packed.has_value()) << packed.error().message;
      expect_unpacks_to(*packed, weight);
    }
  }
}

TEST(PackedWeight, BecomesEightBitCodesOfOneScaleARow) {
  const Library library = open();
  constexpr int64_t kN = 37, kK = 50, kRows = 5;
  for (const ir::Type type : {ir::Type::f32, ir::Type::f16, ir::Type::bf16}) {
    ir::Tensor weight = filled(type, {kN, kK}), x = filled(ir::Type::f32, {kRows, kK});
    const auto packed = library.pack_weight(view(weight), {.panel = 16, .as = DataType::i8});
    ASSERT_TRUE(packed.has_value()) << packed.error().message;
    EXPECT_EQ(packed->layout(), "panels16 i8 37x50");
    EXPECT_EQ(packed->parameters(), "n=37 k=50 weight=i8 panel=16");
    ir::Tensor y(ir::Type::f32, {kRows, kN});
    const auto kernel = library.fetch(packed->linear());
    ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
    ASSERT_TRUE((*kernel)(view(x), *packed, {}, view(y)).has_value());
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kN; ++c) {
        double sum = 0;
        for (int64_t j = 0; j < kK; ++j) sum += x.at(r * kK + j) * weight.at(c * kK + j);
        // Each factor is off by at most half a step of 1/127.
        ASSERT_NEAR(y.at(r * kN + c), sum, kK / 127.0);
      }
    }
  }
}

// The largest sums there can be, and the code that has no opposite.
TEST(PackedWeight, SumsOfCodesStayIn32Bits) {
  const Library library = open();
  constexpr int64_t kK = 132104;
  ir::Tensor weight(ir::Type::i8, {2, kK}), x(ir::Type::f32, {1, kK}), y(ir::Type::f32, {1, 2});
  for (int64_t i = 0; i < kK; ++i) {
    weight.set(i, -128);
    weight.set(kK + i, 127);
    x.set(i, 127);
  }
  const std::vector<float> scales = {1, 0.5};
  const auto packed = library.pack_weight(view(weight), {.scales = {scales.data(), {2}}});
  ASSERT_TRUE(packed.has_value()) << packed.error().message;
  const auto kernel = library.fetch(packed->linear());
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  ASSERT_TRUE((*kernel)(view(x), *packed, {}, view(y)).has_value());
  EXPECT_EQ(y.at(0), static_cast<double>(-128.0F * 127 * kK));
  EXPECT_EQ(y.at(1), static_cast<double>(127.0F * 127 * kK / 2));
}

TEST(PackedWeightErrors, ScalesBelongToEightBitCodes) {
  const Library library = open();
  ir::Tensor weight = filled(ir::Type::f32, {6, 8});
  ir::Tensor codes(ir::Type::i8, {6, 8});
  const std::vector<float> scales(6, 1);
  const std::vector<int32_t> integers(6, 1);
  const auto says = [&](const TensorView& of, const PackOptions& options, std::string_view text) {
    const auto packed = library.pack_weight(of, options);
    ASSERT_FALSE(packed.has_value());
    EXPECT_EQ(packed.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(packed.error().message.find(text), std::string::npos) << packed.error().message;
  };
  says(view(codes), {}, "i8 without scales, expected scales f32 [6]");
  says(view(codes), {.scales = {scales.data(), {5}}}, "f32 of rank 1 with 5 elements");
  says(view(codes), {.scales = {scales.data(), {6, 1}}}, "rank 2");
  says(view(codes), {.scales = {integers.data(), {6}}}, "found i32");
  says(view(weight), {.as = DataType::i8, .scales = {scales.data(), {6}}},
       "found scales beside a weight of type f32");
  says(view(weight), {.as = DataType::bf16}, "found bf16 for a weight of f32");
  says(view(codes), {.as = DataType::f32, .scales = {scales.data(), {6}}}, "found f32");
  says(view(weight), {.as = static_cast<DataType>(99)}, "an unknown type");
  weight.set(17, std::nan(""));
  says(view(weight), {.as = DataType::i8}, "row 2: found a NaN or an infinity");
}

TEST(PackedWeightErrors, ABlockThatNoQuantiserWritesIsRefused) {
  const Library library = open(3);
  ir::Tensor weight = quantised(ir::Type::q8_0, {70, 64});
  weight.data()[69 * 68 + 34 + 2] = std::byte{0x80};  // row 69, second block, first code
  const auto packed = library.pack_weight(view(weight));
  ASSERT_FALSE(packed.has_value());
  EXPECT_EQ(packed.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(packed.error().message.find("69"), std::string::npos) << packed.error().message;
}

TEST(PackedWeight, RowsMayLieApart) {
  const Library library = open();
  ir::Tensor wide = filled(ir::Type::bf16, {20, 48});
  ir::Tensor narrow(ir::Type::bf16, {20, 33});
  for (int64_t i = 0; i < 20 * 33; ++i) narrow.set(i, wide.at(i / 33 * 48 + i % 33));
  TensorView part = view(narrow);
  part.data = wide.data();
  part.strides[0] = 48;
  const auto packed = library.pack_weight(part);
  ASSERT_TRUE(packed.has_value()) << packed.error().message;
  expect_unpacks_to(*packed, narrow);
}

TEST(PackedWeight, SaysWhatItIs) {
  const Library library = open();
  ir::Tensor weight = filled(ir::Type::bf16, {40, 12});
  const auto single = library.pack_weight(view(weight), {.panel = 16});
  ASSERT_TRUE(single.has_value());
  EXPECT_EQ(single->layout(), "panels16 bf16 40x12");
  EXPECT_EQ(single->parameters(), "n=40 k=12 weight=bf16 panel=16");
  EXPECT_EQ(single->bytes(), 48 * 12 * 2);
  EXPECT_FALSE(single->is_mapped());
  const auto pair = library.pack_weight(view(weight), {.pair = true, .panel = 16});
  ASSERT_TRUE(pair.has_value());
  EXPECT_EQ(pair->layout(), "panels16 bf16 2x20x12");
  EXPECT_EQ(pair->parameters(), "n=20 k=12 weight=bf16 panel=16 pair=true");
  const PackedWeight none;
  EXPECT_TRUE(none.parts().empty());
  EXPECT_EQ(none.layout(), "");
  EXPECT_EQ(none.bytes(), 0);
}

TEST(PackedWeight, PanelsAreWholeVectorsOfTheTarget) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const auto target = ir::parse_target(name);
    ASSERT_TRUE(target.has_value());
    for (const ir::Type type : {ir::Type::f32, ir::Type::f16, ir::Type::bf16, ir::Type::i8,
                                ir::Type::q8_0, ir::Type::q4_0, ir::Type::q4_K}) {
      for (const bool pair : {false, true}) {
        const auto layouts = compiler::candidate_layouts(type, 100, 256, pair, *target);
        EXPECT_LE(layouts.size(), 3U);
        EXPECT_GE(layouts.front().panel, 16) << name << " " << ir::name(type);
        std::set<int64_t> panels;
        for (const compiler::WeightLayout& layout : layouts) {
          EXPECT_TRUE(panels.insert(layout.panel).second) << name << " " << ir::name(type);
          EXPECT_EQ(layout.panel % target->lanes, 0) << name << " " << ir::name(type);
          EXPECT_EQ(layout.panel % 8, 0) << name << " " << ir::name(type);
        }
      }
    }
  }
}

TEST(PackedWeight, MultipliesThroughItsKernel) {
  const Library library = open();
  constexpr int64_t kN = 37, kK = 50, kRows = 5;
  for (const ir::Type type : {ir::Type::f32, ir::Type::f16, ir::Type::bf16}) {
    ir::Tensor weight = filled(type, {2 * kN, kK}), x = filled(ir::Type::f32, {kRows, kK});
    ir::Tensor bias = filled(ir::Type::f32, {kN}), y(ir::Type::f32, {kRows, kN});
    const auto packed = library.pack_weight(view(weight), {.pair = true});
    ASSERT_TRUE(packed.has_value()) << packed.error().message;
    Linear op = packed->linear();
    op.epilogue = "add(mul(y,z),vec(b))";
    op.rows = kRows;
    const auto kernel = library.fetch(op);
    ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
    const Status status = (*kernel)(view(x), *packed, {view(bias)}, view(y));
    ASSERT_TRUE(status.has_value()) << status.error().message;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kN; ++c) {
        double first = 0, second = 0;
        for (int64_t j = 0; j < kK; ++j) {
          first += x.at(r * kK + j) * weight.at(c * kK + j);
          second += x.at(r * kK + j) * weight.at((kN + c) * kK + j);
        }
        ASSERT_NEAR(y.at(r * kN + c), first * second + bias.at(c),
                    1e-6 * (100 + std::abs(first * second)));
      }
    }
  }
}

// A norm that quantises, and a product of its blocks: as a plain norm, and a product that
// quantises.
TEST(PackedWeight, MultipliesBlocksThatANormWrote) {
  const Library library = open();
  constexpr int64_t kN = 37, kK = 96, kRows = 5;
  ir::Tensor weight = quantised(ir::Type::q8_0, {kN, kK}), x = filled(ir::Type::f32, {kRows, kK});
  ir::Tensor gamma = filled(ir::Type::f32, {kK});
  const auto packed = library.pack_weight(view(weight));
  ASSERT_TRUE(packed.has_value()) << packed.error().message;
  const auto multiplied = [&](bool before) {
    ir::Tensor between(before ? ir::Type::q8_0 : ir::Type::f32, {kRows, kK});
    ir::Tensor y(ir::Type::f32, {kRows, kN});
    const auto norm = library.fetch(RmsNorm{.width = kK, .quantised = before, .rows = kRows});
    Linear op = packed->linear();
    op.rows = kRows;
    if (before) op.type = DataType::q8_0;
    const auto kernel = library.fetch(op);
    EXPECT_TRUE(norm && kernel);
    EXPECT_TRUE((*norm)({view(x), view(gamma)}, {view(between)}));
    EXPECT_TRUE((*kernel)(view(between), *packed, {}, view(y)));
    return y;
  };
  const ir::Tensor expected = multiplied(false), found = multiplied(true);
  for (int64_t i = 0; i < expected.elements(); ++i) ASSERT_EQ(found.at(i), expected.at(i)) << i;
}

// The same panels from a weight in one piece, in two, and transposed.
TEST(PackedWeight, PartsComeFromAnyPlaceOfTheRows) {
  auto pool = runtime::ThreadPool::create(2);
  ASSERT_TRUE(pool.has_value());
  for (const bool pair : {false, true}) {
    const compiler::WeightLayout layout = {ir::Type::bf16, 21, 13, 16, pair};
    const int64_t rows = pair ? 42 : 21;
    const ir::Tensor weight = filled(ir::Type::bf16, {rows, 13});
    ir::Tensor turned(ir::Type::bf16, {13, rows});
    for (int64_t i = 0; i < weight.elements(); ++i)
      turned.set(i % 13 * rows + i / 13, weight.at(i));
    const auto pack = [&](std::vector<runtime::WeightRows> sources) {
      ir::Tensor part(ir::Type::bf16, compiler::packed_parts(layout)[0].shape);
      EXPECT_TRUE(runtime::pack_parts(layout, sources, {part.data()}, *pool).has_value());
      return part;
    };
    const ir::Tensor whole = pack({{weight.data(), 26, false}});
    const ir::Tensor across = pack({{turned.data(), 2 * rows, true}});
    std::vector<ir::Tensor> all = {whole, across};
    if (pair) {
      all.push_back(pack({{weight.data(), 26, false}, {weight.data() + 21 * 26, 26, false}}));
      all.push_back(pack({{turned.data(), 2 * rows, true}, {turned.data() + 42, 2 * rows, true}}));
    }
    for (const ir::Tensor& part : all)
      EXPECT_EQ(std::memcmp(part.data(), whole.data(), static_cast<size_t>(whole.bytes())), 0);
  }
}

TEST(PackedWeight, OutlivesItsLibraryAndServesManyThreads) {
  ir::Tensor weight = filled(ir::Type::f32, {33, 40}), x = filled(ir::Type::f32, {2, 40});
  PackedWeight packed;
  Kernel kernel;
  {
    const Library library = open();
    packed = *library.pack_weight(view(weight));
    kernel = *library.fetch(packed.linear());
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, copy = packed] {
      std::vector<float> y(2 * 33);
      EXPECT_TRUE(kernel(view(x), copy, {}, {y.data(), {2, 33}}).has_value());
      double expected = 0;
      for (int64_t j = 0; j < 40; ++j) expected += x.at(40 + j) * weight.at(32 * 40 + j);
      EXPECT_NEAR(y.back(), expected, 1e-4);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(PackedWeightErrors, AreNamed) {
  const Library library = open();
  ir::Tensor weight = filled(ir::Type::f32, {6, 8});
  const auto says = [&](const TensorView& of, const PackOptions& options, std::string_view text) {
    const auto packed = library.pack_weight(of, options);
    ASSERT_FALSE(packed.has_value());
    EXPECT_EQ(packed.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(packed.error().message.find(text), std::string::npos) << packed.error().message;
  };
  const TensorView good = view(weight);
  TensorView bad = good;
  bad.data = nullptr;
  says(bad, {}, "null");
  bad = good;
  bad.rank = 1;
  says(bad, {}, "rank 1, expected a matrix [n, k]");
  bad = good;
  bad.strides[1] = 2;
  says(bad, {}, "stride 2 of the last dimension");
  bad = good;
  bad.strides[0] = 7;
  says(bad, {}, "rows overlap");
  bad = good;
  bad.shape[0] = 5;
  says(bad, {.pair = true}, "[5, 8], expected [2n, k]");
  bad.shape[0] = 0;
  says(bad, {}, "[0, 8]");
  bad = good;
  bad.type = static_cast<DataType>(99);
  says(bad, {}, "type number 99");
  bad.type = DataType::i32;
  says(bad, {}, "i32");
  says(good, {.panel = 12}, "multiple of 8");
  says(good, {.panel = -8}, "panel");
  bad = good;
  bad.data = static_cast<std::byte*>(good.data) + 2;
  says(bad, {}, "aligned to 4");
}

TEST(PackedWeightErrors, AnotherKernelThanItsOwnIsRefused) {
  const Library library = open();
  ir::Tensor weight = filled(ir::Type::f32, {16, 8}), x = filled(ir::Type::f32, {2, 8});
  std::vector<float> y(2 * 16, 7);
  const auto packed = library.pack_weight(view(weight), {.panel = 16});
  ASSERT_TRUE(packed.has_value());
  const auto says = [&](const Result<Kernel>& kernel, const PackedWeight& given, ErrorCode code,
                        std::string_view text) {
    ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
    const Status status = (*kernel)(view(x), given, {}, {y.data(), {2, 16}});
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, code);
    EXPECT_NE(status.error().message.find(text), std::string::npos) << status.error().message;
    EXPECT_EQ(y, std::vector<float>(2 * 16, 7)) << "nothing may be written";
  };
  says(library.fetch(Linear{.n = 16, .k = 8, .weight = DataType::bf16, .panel = 16}), *packed,
       ErrorCode::mismatch, "packed as panels16 f32 16x8, expected panels16 bf16 16x8");
  says(library.fetch(Linear{.n = 16, .k = 8, .panel = 32}), *packed, ErrorCode::mismatch,
       "expected panels32");
  says(library.fetch(Silu{.width = 16}), *packed, ErrorCode::mismatch, "takes no packed weight");
  says(library.fetch(packed->linear()), PackedWeight(), ErrorCode::invalid_argument, "empty");
  Linear with_bias = packed->linear();
  with_bias.epilogue = "add(y,vec(b))";
  says(library.fetch(with_bias), *packed, ErrorCode::invalid_argument,
       "found 2 inputs, expected 3");
  EXPECT_FALSE(Kernel()(view(x), *packed, {}, {y.data(), {2, 16}}).has_value());
}

TEST(PackedWeight, EveryFieldOfTheOperationIsInItsKey) {
  const Linear plain{.n = 16, .k = 8, .panel = 16};
  std::vector<Linear> others(9, plain);
  others[0].n = 17;
  others[1].k = 9;
  others[2].weight = DataType::bf16;
  others[3].pair = true;
  others[4].panel = 32;
  others[5].epilogue = "relu(y)";
  others[6].type = DataType::f16;
  others[7].out = DataType::f16;
  others[8].rows = 1;
  others.push_back(plain);
  for (size_t i = 0; i < others.size(); ++i)
    for (size_t j = 0; j < others.size(); ++j)
      EXPECT_EQ(runtime::fetch_key(others[i]) == runtime::fetch_key(others[j]), i == j);
  EXPECT_FALSE(runtime::fetch_key(plain) ==
               runtime::fetch_key(Elementwise{.expression = "y", .width = 16}));
}

}  // namespace
}  // namespace lathe
