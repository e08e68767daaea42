// The README's example: fetch a tuned kernel and run it.
#include <cstdio>
#include <vector>

// [docs:quickstart]
#include <lathe/lathe.h>

int main() {
  auto library = lathe::Library::open();  // detects the CPU, opens the store of tuned schedules
  if (!library) return std::fprintf(stderr, "%s\n", library.error().message.c_str()), 1;

  // h = x + r, y = rms_norm(h) * weight, in one pass; for about 512 rows.
  auto norm = library->fetch(lathe::RmsNorm{.width = 2048, .residual = true, .rows = 512});
  if (!norm) return std::fprintf(stderr, "%s\n", norm.error().message.c_str()), 1;

  std::vector<float> x(512 * 2048, 1), r(512 * 2048, 2), weight(2048, 1), h(x.size()), y(x.size());
  auto status = (*norm)({{x.data(), {512, 2048}}, {r.data(), {512, 2048}}, {weight.data(), {2048}}},
                        {{h.data(), {512, 2048}}, {y.data(), {512, 2048}}});
  if (!status) return std::fprintf(stderr, "%s\n", status.error().message.c_str()), 1;
  std::printf("%s on %s: h = %g, y = %g\n", norm->problem().data(), norm->target().data(), h[0],
              y[0]);
}
// [/docs:quickstart]
