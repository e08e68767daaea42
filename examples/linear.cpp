// A packed weight: made once, saved, mapped by every process, read by the kernels of any row count.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <lathe/lathe.h>

// [docs:linear]
lathe::Status multiply(const lathe::Library& library, const std::string& path) {
  // Gate over up, 2 x 96 rows of 64: one weight whose kernels have both products, y and z.
  std::vector<float> gate_up(2 * 96 * 64, 0.125F);
  auto packed = library.pack_weight({gate_up.data(), {2 * 96, 64}}, {.pair = true});
  if (!packed) return tl::unexpected(packed.error());
  if (auto saved = packed->save(path); !saved) return saved;

  auto weight = library.map_weight(path);  // shared with whoever else maps it
  if (!weight) return tl::unexpected(weight.error());
  lathe::Linear op = weight->linear();
  op.epilogue = "mul(silu(y),z)";
  op.rows = 4;
  auto mlp = library.fetch(op);
  if (!mlp) return tl::unexpected(mlp.error());

  std::vector<float> x(4 * 64, 1), y(4 * 96);
  auto status = (*mlp)({x.data(), {4, 64}}, *weight, {}, {y.data(), {4, 96}});
  std::printf("%s, packed as %s: %g\n", mlp->problem().data(), weight->layout().data(), y[0]);
  return status;
}
// [/docs:linear]

int main() {
  auto library = lathe::Library::open();
  const auto path = std::filesystem::temp_directory_path() / "lathe-example.weight";
  const auto status =
      library ? multiply(*library, path.string()) : lathe::Status(tl::unexpected(library.error()));
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  if (!status) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status ? 0 : 1;
}
