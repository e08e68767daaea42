// The FMA peak: chains that depend on nothing but themselves, so many that the units never wait.
#include "bench/probes/probe.h"
#include "ir/program/builder.h"

namespace lathe::bench {

using namespace ir::program;  // NOLINT: programs are written in the builder's words

Result<std::vector<Timed>> fma_loops(const ir::Target& target) {
  constexpr int64_t kTrips = 2000;
  constexpr int kUnroll = 4;
  std::vector<Timed> loops;
  for (const int chains : {8, 10, 12}) {
    Builder b("fma_" + std::to_string(chains), target);
    const Pointer out = b.buffer("out", ir::Type::f32, BufferAccess::write);
    const Vec x = b.copy(b.constant(0.5F)), y = b.copy(b.constant(0.25F));
    std::vector<Vec> sums;
    for (int i = 0; i < chains; ++i) sums.push_back(b.copy(b.constant(static_cast<float>(i))));
    b.loop(0, kTrips, 1, [&](Scalar) {
      for (int u = 0; u < kUnroll; ++u)
        for (const Vec sum : sums) b.set(sum, b.fma(x, y, sum));
    });
    for (int i = 0; i < chains; ++i)
      b.store(out, Span{int64_t{i} * target.lanes}, sums[static_cast<size_t>(i)]);
    LATHE_TRY(Native kernel, make_native(b.finish()));
    auto shared = std::make_shared<Native>(std::move(kernel));
    auto memory = std::make_shared<std::vector<float>>(static_cast<size_t>(chains * target.lanes));
    loops.push_back({"fma " + std::to_string(chains) + " chains",
                     [shared, memory] {
                       const uint64_t slots[] = {reinterpret_cast<uint64_t>(memory->data())};
                       (*shared)(slots);
                     },
                     static_cast<double>(kTrips * kUnroll * chains)});
  }
  return loops;
}

}  // namespace lathe::bench
