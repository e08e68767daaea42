// C[6][2 vectors] = A * B over packed panels: 12 accumulators, per step of k two loads of B, six
// splats of A and twelve FMAs.
#include <cmath>

#include "bench/probes/probe.h"
#include "ir/program/builder.h"

namespace lathe::bench {

using namespace ir::program;  // NOLINT: programs are written in the builder's words

namespace {

constexpr int kRows = 6, kVectors = 2, kUnroll = 4;

// `depth` steps of k, so few that both panels lie in L1.
Program multiply(const ir::Target& target, int64_t depth) {
  Builder b("multiply_6x2", target);
  const Pointer a = b.buffer("a", ir::Type::f32, BufferAccess::read);
  const Pointer w = b.buffer("b", ir::Type::f32, BufferAccess::read);
  const Pointer c = b.buffer("c", ir::Type::f32, BufferAccess::write);
  const int64_t width = int64_t{kVectors} * target.lanes;
  std::vector<Vec> sums;
  for (int i = 0; i < kRows * kVectors; ++i) sums.push_back(b.copy(b.constant(0.0F)));
  b.loop(0, depth / kUnroll, 1, [&](Scalar) {
    for (int64_t u = 0; u < kUnroll; ++u) {
      std::vector<Vec> column;
      for (int64_t v = 0; v < kVectors; ++v)
        column.push_back(b.load(w, Span{u * width + v * target.lanes}));
      for (int64_t row = 0; row < kRows; ++row) {
        const Vec x = b.load_splat(a, u * kRows + row);
        for (int64_t v = 0; v < kVectors; ++v) {
          const Vec sum = sums[static_cast<size_t>(row * kVectors + v)];
          b.set(sum, b.fma(x, column[static_cast<size_t>(v)], sum));
        }
      }
    }
    b.advance(a, kUnroll * kRows * 4);
    b.advance(w, kUnroll * width * 4);
  });
  for (int64_t row = 0; row < kRows; ++row)
    for (int64_t v = 0; v < kVectors; ++v)
      b.store(c, Span{row * width + v * target.lanes},
              sums[static_cast<size_t>(row * kVectors + v)]);
  return b.finish();
}

struct Data {
  std::vector<float> a, b, c;
};

}  // namespace

Result<Probe> multiply_probe(const ir::Target& target) {
  const int64_t width = int64_t{kVectors} * target.lanes;
  const int64_t depth = 20480 / ((kRows + width) * 4) / kUnroll * kUnroll;
  LATHE_TRY(Native made, make_native(multiply(target, depth)));
  auto kernel = std::make_shared<Native>(std::move(made));
  auto data = std::make_shared<Data>();
  for (int64_t i = 0; i < kRows * depth; ++i)
    data->a.push_back(static_cast<float>(i * 37 % 101 - 50) / 64.0F);
  for (int64_t i = 0; i < width * depth; ++i)
    data->b.push_back(static_cast<float>(i * 53 % 97 - 48) / 64.0F);
  data->c.resize(static_cast<size_t>(kRows * width));
  const auto run = [kernel, data] {
    const uint64_t slots[] = {reinterpret_cast<uint64_t>(data->a.data()),
                              reinterpret_cast<uint64_t>(data->b.data()),
                              reinterpret_cast<uint64_t>(data->c.data())};
    (*kernel)(slots);
  };
  const auto check = [=]() -> Status {
    run();
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t column = 0; column < width; ++column) {
        double exact = 0, size = 0;
        for (int64_t k = 0; k < depth; ++k) {
          const double product = double{data->a[static_cast<size_t>(k * kRows + row)]} *
                                 data->b[static_cast<size_t>(k * width + column)];
          exact += product;
          size += std::abs(product);
        }
        const double found = data->c[static_cast<size_t>(row * width + column)];
        if (!(std::abs(found - exact) <= 1e-6 * size))
          return fail(ErrorCode::mismatch, "multiply: c[{}][{}] is {}, expected {}", row, column,
                      found, exact);
      }
    return {};
  };
  return Probe{{"multiply 6x2 vectors", run, static_cast<double>(depth * kRows * kVectors)}, check};
}

}  // namespace lathe::bench
