// A user's program: fetches one kernel, runs it and checks one row by hand.
#include <cmath>
#include <cstdio>
#include <vector>

#include <lathe/lathe.h>

int main() {
  constexpr int kRows = 3, kWidth = 72;
  auto library = lathe::Library::open({.store = "none"});
  if (!library) return std::fprintf(stderr, "%s\n", library.error().message.c_str()), 1;
  auto kernel = library->fetch(lathe::RmsNorm{.width = kWidth, .eps = 0});
  if (!kernel) return std::fprintf(stderr, "%s\n", kernel.error().message.c_str()), 1;

  std::vector<float> x(kRows * kWidth, 2.0f), weight(kWidth, 3.0f), y(kRows * kWidth, 0.0f);
  const auto status = (*kernel)(
      {lathe::TensorView(x.data(), {kRows, kWidth}), lathe::TensorView(weight.data(), {kWidth})},
      {lathe::TensorView(y.data(), {kRows, kWidth})});
  if (!status) return std::fprintf(stderr, "%s\n", status.error().message.c_str()), 1;
  for (const float value : y) {  // 2 / sqrt(mean(2 * 2)) * 3
    if (std::fabs(value - 3.0f) > 1e-5f) return std::fprintf(stderr, "%g, expected 3\n", value), 1;
  }
  return 0;
}
