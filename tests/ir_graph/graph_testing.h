// Shared by the graph tests: tensors from lists, graphs from text, comparison with limits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ir/graph/reference.h"
#include "ir/graph/text.h"
#include "ir/tensor.h"

namespace lathe::ir::graph {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline Tensor make_tensor(Type type, std::vector<int64_t> shape,
                          const std::vector<double>& values) {
  Tensor tensor(type, std::move(shape));
  EXPECT_EQ(tensor.elements(), static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
  return tensor;
}

inline Tensor f32(std::vector<int64_t> shape, const std::vector<double>& values) {
  return make_tensor(Type::f32, std::move(shape), values);
}

inline Tensor i64(std::vector<int64_t> shape, const std::vector<double>& values) {
  return make_tensor(Type::i64, std::move(shape), values);
}

/// Normally distributed, the same on every run.
inline Tensor random_f32(std::vector<int64_t> shape, unsigned seed) {
  Tensor tensor(Type::f32, std::move(shape));
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, normal(engine));
  return tensor;
}

inline Graph parse_valid(std::string_view text) {
  auto graph = parse(text);
  EXPECT_TRUE(graph.has_value()) << (graph ? "" : graph.error().message);
  return graph ? *std::move(graph) : Graph{};
}

/// What computes the outputs that golden and conformance cases are held against: the oracle, unless
/// the test program puts something else in its place.
using Evaluate = Result<std::vector<DoubleTensor>> (*)(const Graph& graph,
                                                       std::span<const Tensor> inputs);
inline Evaluate evaluate_case = evaluate_double;

/// The unrounded outputs of a valid text on valid inputs.
inline std::vector<DoubleTensor> run(std::string_view text, const std::vector<Tensor>& inputs) {
  const Graph graph = parse_valid(text);
  auto outputs = evaluate_case(graph, inputs);
  EXPECT_TRUE(outputs.has_value()) << (outputs ? "" : outputs.error().message);
  return outputs ? *std::move(outputs) : std::vector<DoubleTensor>(graph.outputs.size());
}

inline std::vector<double> run_one(std::string_view text, const std::vector<Tensor>& inputs) {
  const auto outputs = run(text, inputs);
  return outputs.empty() ? std::vector<double>{} : outputs[0].values;
}

/// The message of an evaluation that must fail.
inline std::string run_error(std::string_view text, const std::vector<Tensor>& inputs) {
  const auto outputs = evaluate_double(parse_valid(text), inputs);
  EXPECT_FALSE(outputs.has_value());
  return outputs ? "" : outputs.error().message;
}

/// |found - expected| <= absolute + relative * |expected| throughout; NaN equals NaN, inf equals
/// inf.
inline void expect_close(const std::vector<double>& found, const std::vector<double>& expected,
                         double relative, double absolute = 0) {
  ASSERT_EQ(found.size(), expected.size());
  int reported = 0;
  for (size_t i = 0; i < found.size() && reported < 5; ++i) {
    if (std::isnan(found[i]) && std::isnan(expected[i])) continue;
    if (found[i] == expected[i]) continue;
    const double limit = absolute + relative * std::fabs(expected[i]);
    if (!(std::fabs(found[i] - expected[i]) <= limit)) {
      ADD_FAILURE() << "element " << i << ": found " << found[i] << ", expected " << expected[i]
                    << " within " << limit;
      ++reported;
    }
  }
}

/// The largest |found - expected| over the largest |expected|: the measure of the reference arrays.
inline double relative_difference(const std::vector<double>& found,
                                  const std::vector<double>& expected) {
  EXPECT_EQ(found.size(), expected.size());
  double largest = 0;
  double difference = 0;
  for (size_t i = 0; i < found.size() && i < expected.size(); ++i) {
    const double here = std::fabs(found[i] - expected[i]);
    if (std::isnan(here)) return kInf;
    largest = std::fmax(largest, std::fabs(expected[i]));
    difference = std::fmax(difference, here);
  }
  return largest > 0 ? difference / largest : difference;
}

/// The repository's root: the folder that tests run in.
inline std::filesystem::path source_folder() {
  const auto folder = std::filesystem::current_path();
  EXPECT_TRUE(std::filesystem::exists(folder / "tests/data")) << "run from the repository's root";
  return folder;
}

/// The folder of shared reference material: LATHE_SHARED, or shared/ beside the checkout.
inline std::filesystem::path shared_folder() {
  if (const char* folder = std::getenv("LATHE_SHARED")) return folder;
  return source_folder().parent_path() / "shared";
}

}  // namespace lathe::ir::graph
