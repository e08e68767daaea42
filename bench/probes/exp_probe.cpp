// e^x over an array that lies in L1 with its result.
#include "bench/probes/probe.h"
#include "compiler/math/catalogue.h"
#include "ir/program/builder.h"

namespace lathe::bench {

namespace math = compiler::math;

Result<Probe> exp_probe(const ir::Target& target, bool nonpositive) {
  using namespace ir::program;  // NOLINT: programs are written in the builder's words
  constexpr int64_t kElements = 2048;
  const std::string name = nonpositive ? "exp_nonpositive" : "exp";
  Builder b(name, target);
  const Pointer x = b.buffer("x", ir::Type::f32, BufferAccess::read);
  const Pointer y = b.buffer("y", ir::Type::f32, BufferAccess::write);
  b.vectors(kElements, 2, [&](const Span& at, int) {
    const Vec value = b.load(x, at);
    b.store(y, at, nonpositive ? math::exp_nonpositive(b, value) : math::exp(b, value));
  });
  LATHE_TRY(Native made, make_native(b.finish()));
  auto kernel = std::make_shared<Native>(std::move(made));
  struct Data {
    std::vector<float> x, y;
  };
  auto data = std::make_shared<Data>();
  for (int64_t i = 0; i < kElements; ++i) {
    const float value = static_cast<float>(i * 37 % 1024) / 64.0F;
    data->x.push_back(nonpositive ? -value : value - 8.0F);
  }
  data->y.resize(kElements);
  const auto run = [kernel, data] {
    const uint64_t slots[] = {reinterpret_cast<uint64_t>(data->x.data()),
                              reinterpret_cast<uint64_t>(data->y.data())};
    (*kernel)(slots);
  };
  const auto check = [=]() -> Status {
    run();
    for (size_t i = 0; i < data->x.size(); ++i)
      if (const double exact = std::exp(double{data->x[i]});
          !(math::ulp_error(data->y[i], exact, 0) <= 4))
        return fail(ErrorCode::mismatch, "{}({}) is {}, expected {}", name, data->x[i], data->y[i],
                    exact);
    return {};
  };
  return Probe{{name, run, static_cast<double>(kElements / target.lanes)}, check};
}

}  // namespace lathe::bench
