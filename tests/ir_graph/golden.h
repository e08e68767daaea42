// Reading the reference arrays in tests/data/golden and comparing a graph's outputs with them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/npz.h"
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {

/// Largest difference from the fp32 arrays, over the largest magnitude: they agree with fp64 to
/// about that.
inline constexpr double kGoldenLimit = 2e-6;

class Golden {
 public:
  explicit Golden(const char* file) : arrays_(open(file)), weights_(open("weights.npz")) {}

  Tensor tensor(std::string_view name) const {
    auto tensor = arrays_.read(name);
    EXPECT_TRUE(tensor.has_value()) << (tensor ? "" : tensor.error().message);
    return tensor ? *std::move(tensor) : Tensor();
  }
  Tensor weight(std::string_view name) const {
    auto tensor = weights_.read("model." + std::string(name));
    EXPECT_TRUE(tensor.has_value()) << (tensor ? "" : tensor.error().message);
    return tensor ? *std::move(tensor) : Tensor();
  }
  std::vector<double> values(std::string_view name) const {
    return to_doubles(to_array(tensor(name)));
  }

  /// The first output of `text` against an array.
  void expect(std::string_view name, std::string_view text, const std::vector<Tensor>& inputs,
              double limit = kGoldenLimit) const {
    EXPECT_LE(relative_difference(run_one(text, inputs), values(name)), limit) << name;
  }

 private:
  static Npz open(const char* file) {
    auto npz = Npz::open(source_folder() / "tests/data/golden" / file);
    EXPECT_TRUE(npz.has_value()) << (npz ? "" : npz.error().message);
    return npz ? *std::move(npz) : Npz();
  }

  Npz arrays_;
  Npz weights_;
};

}  // namespace lathe::ir::graph
