// The activations on known values, at their ends, and at special values.
#include "tests/ir_graph/graph_testing.h"

namespace lathe::ir::graph {
namespace {

std::vector<double> activate(std::string_view op, const std::vector<double>& x) {
  return run_one("graph g(%x: f32[n]) -> (%y) { %y = " + std::string(op) + " }",
                 {f32({static_cast<int64_t>(x.size())}, x)});
}

// Values from a 50-digit calculation of the defining formulas at x = -6, -1, 0, 0.5, 3.
const std::vector<double> kPoints = {-6, -1, 0, 0.5, 3};

TEST(Activation, GeluErf) {
  expect_close(
      activate("gelu(%x)", kPoints),
      {-5.9195258702262e-09, -0.15865525393145705, 0, 0.34573123063700656, 2.99595030590511},
      1e-12);
}

TEST(Activation, GeluTanh) {
  expect_close(
      activate("gelu(%x) {approximate = tanh}", kPoints),
      {-8.43964670076231e-11, -0.15880800939172324, 0, 0.34571400982514394, 2.9963626079182273},
      1e-12);
}

TEST(Activation, Silu) {
  expect_close(activate("silu(%x)", kPoints),
               {-0.014835738939808647, -0.2689414213699951, 0, 0.3112296656009273, 2.8577223804673},
               1e-13);
}

TEST(Activation, TailsStayAccurate) {
  // Far below zero the results are tiny but not lost: x * Phi(x) and x * e^x to leading order.
  expect_close(activate("silu(%x)", {-100}), {-100 * std::exp(-100.0)}, 1e-12);
  EXPECT_LT(activate("gelu(%x)", {-20})[0], 0);
  EXPECT_LT(activate("gelu(%x) {approximate = tanh}", {-9})[0], 0);
}

TEST(Activation, LargeInputsPassOrVanish) {
  for (const auto* op : {"silu(%x)", "gelu(%x)", "gelu(%x) {approximate = tanh}"}) {
    expect_close(activate(op, {3e38, -3e38}), {f32({1}, {3e38}).at(0), 0}, 0);
  }
}

TEST(Activation, SpecialValuesFollowPyTorch) {
  expect_close(activate("silu(%x)", {kInf, -kInf, kNan}), {kInf, kNan, kNan}, 0);
  expect_close(activate("gelu(%x)", {kInf, -kInf, kNan}), {kInf, kNan, kNan}, 0);
  expect_close(activate("gelu(%x) {approximate = tanh}", {kInf, -kInf, kNan}), {kInf, kNan, kNan},
               0);
  expect_close(activate("relu(%x)", {kInf, -kInf, kNan, -2, 2}), {kInf, 0, kNan, 0, 2}, 0);
  expect_close(activate("sigmoid(%x)", {kInf, -kInf, kNan, 0}), {1, 0, kNan, 0.5}, 0);
}

TEST(Activation, SwigluIsSiluTimesUp) {
  const auto y = run_one(
      "graph g(%g: f32[2, 2], %u: f32[2, 2]) -> (%y, %z) {"
      "  %y = swiglu(%g, %u)  %s = silu(%g)  %z = mul(%s, %u) }",
      {f32({2, 2}, {1, -2, 3, -4}), f32({2, 2}, {5, 6, -7, 8})});
  const auto both =
      run("graph g(%g: f32[2, 2], %u: f32[2, 2]) -> (%y, %z) {"
          "  %y = swiglu(%g, %u)  %s = silu(%g)  %z = mul(%s, %u) }",
          {f32({2, 2}, {1, -2, 3, -4}), f32({2, 2}, {5, 6, -7, 8})});
  EXPECT_EQ(both[0].values, both[1].values);
  expect_close(y,
               {5 * 0.7310585786300049, -12 * 0.11920292202211755, -21 * 0.9525741268224334,
                -32 * 0.01798620996209156},
               1e-14);
}

}  // namespace
}  // namespace lathe::ir::graph
