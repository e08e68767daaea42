// Graphs through the promised C++ header: the caller's memory, in place where that is allowed, and
// every way of giving the wrong view.
#include <cmath>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/lathe.h>

namespace lathe {
namespace {

constexpr const char* kGated =
    "graph gated(%x: f32[tokens, 8], %w: f32[4, 8]) -> (%y, %n) {\n"
    "  %n = rms_norm(%x)\n"
    "  %y = linear(%n, %w)\n"
    "}";
constexpr const char* kCache =
    "graph keep(%c: f32[slots, 2, 4], %r: f32[tokens, 2, 4], %p: i32[tokens]) -> (%y) {\n"
    "  %y = write_cache(%c, %r, %p)\n"
    "}";

Graph load(const char* text) {
  auto library = Library::open({.threads = 2, .store = "none"});
  EXPECT_TRUE(library.has_value()) << library.error().message;
  auto graph = library->load_graph(text);
  EXPECT_TRUE(graph.has_value()) << graph.error().message;
  return *graph;  // it outlives the library
}

std::string message(const Status& status) {
  return status ? std::string() : status.error().message;
}

struct Gated {
  explicit Gated(int64_t rows) : rows(rows), x(static_cast<size_t>(rows * 8)), w(32) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.7f * static_cast<float>(i)) + 0.1f;
    for (size_t i = 0; i < w.size(); ++i) w[i] = std::cos(0.3f * static_cast<float>(i));
    y.assign(static_cast<size_t>(rows * 4), -7);
    n.assign(static_cast<size_t>(rows * 8), -7);
  }
  std::vector<TensorView> inputs() const {
    return {TensorView(x.data(), {rows, 8}), TensorView(w.data(), {4, 8})};
  }
  std::vector<TensorView> outputs() const {
    return {TensorView(y.data(), {rows, 4}), TensorView(n.data(), {rows, 8})};
  }
  void expect_right() const {
    for (int64_t row = 0; row < rows; ++row) {
      double squares = 0;
      for (int k = 0; k < 8; ++k) squares += std::pow(x[static_cast<size_t>(row * 8 + k)], 2);
      const double scale = 1 / std::sqrt(squares / 8 + 1e-6);
      for (int j = 0; j < 4; ++j) {
        double sum = 0;
        for (int k = 0; k < 8; ++k)
          sum += x[static_cast<size_t>(row * 8 + k)] * scale * w[static_cast<size_t>(j * 8 + k)];
        EXPECT_NEAR(y[static_cast<size_t>(row * 4 + j)], sum, 1e-4) << row << ", " << j;
      }
    }
  }
  int64_t rows;
  std::vector<float> x, w, y, n;
};

TEST(GraphApi, DeclaresItsOperands) {
  const Graph graph = load(kGated);
  ASSERT_EQ(graph.inputs().size(), 2u);
  EXPECT_EQ(graph.inputs()[0].name, "x");
  EXPECT_EQ(graph.inputs()[0].type, DataType::f32);
  EXPECT_EQ(graph.inputs()[0].shape[0].name, "tokens");
  EXPECT_EQ(graph.inputs()[0].shape[0].factor, 1);
  EXPECT_EQ(graph.inputs()[0].shape[1].name, "");
  EXPECT_EQ(graph.inputs()[0].shape[1].factor, 8);
  ASSERT_EQ(graph.outputs().size(), 2u);
  EXPECT_EQ(graph.outputs()[1].name, "n");
}

TEST(GraphApi, RunsAnySizeOnTheCallersMemory) {
  const Graph graph = load(kGated);
  for (const int64_t rows : {1, 7, 0, 33}) {
    const Gated data(rows);
    const auto shapes = graph.output_shapes(data.inputs());
    ASSERT_TRUE(shapes.has_value()) << shapes.error().message;
    EXPECT_EQ((*shapes)[0], (std::vector<int64_t>{rows, 4}));
    EXPECT_EQ(message(graph(data.inputs(), data.outputs())), "") << rows;
    data.expect_right();
  }
}

TEST(GraphApi, SaysItsSteps) {
  const auto steps = load(kGated).steps(Gated(3).inputs());
  ASSERT_TRUE(steps.has_value()) << steps.error().message;
  bool has_linear = false;
  for (const GraphStep& step : *steps) {
    EXPECT_FALSE(step.interpreted) << step.what;
    if (step.what.starts_with("linear ")) has_linear = !step.schedule.empty();
  }
  EXPECT_TRUE(has_linear);
}

TEST(GraphApi, RunsFromSeveralThreads) {
  const Graph graph = load(kGated);
  std::vector<Gated> data;
  for (const int64_t rows : {1, 5, 5, 12}) data.emplace_back(rows);
  std::vector<std::thread> threads;
  for (const Gated& each : data)
    threads.emplace_back([&graph, &each] {
      for (int i = 0; i < 20; ++i)
        if (!graph(each.inputs(), each.outputs())) return;
    });
  for (std::thread& thread : threads) thread.join();
  for (const Gated& each : data) each.expect_right();
}

TEST(GraphApi, NamesTheViewThatDoesNotFit) {
  const Graph graph = load(kGated);
  const Gated data(3);
  const auto with = [&](auto change) {
    auto inputs = data.inputs(), outputs = data.outputs();
    change(inputs, outputs);
    return message(graph(inputs, outputs));
  };
  using Views = std::vector<TensorView>&;
  EXPECT_EQ(with([](Views in, Views) { in.pop_back(); }),
            "graph gated: found 1 inputs, expected 2");
  EXPECT_EQ(with([](Views, Views out) { out.pop_back(); }),
            "graph gated: found 1 outputs, expected 2");
  EXPECT_EQ(with([](Views in, Views) { in[0].type = DataType::f16; }),
            "input %x: found f16[3, 8], expected f32[tokens, 8]");
  EXPECT_EQ(with([](Views in, Views) { in[0].type = static_cast<DataType>(99); }),
            "input %x: found the unknown type number 99");
  EXPECT_EQ(with([](Views in, Views) { in[1].rank = -1; }),
            "input %w: found rank -1, expected 0 to 6");
  EXPECT_EQ(with([](Views, Views out) { out[0].shape[0] = 4; }),
            "output %y: found f32[4, 4], expected f32[3, 4]");
  EXPECT_EQ(with([](Views, Views out) { out[0].rank = 100; }),
            "output %y: found rank 100 and type number 0, expected f32[3, 4]");
  EXPECT_EQ(with([](Views in, Views) { in[0].data = nullptr; }), "input %x: the pointer is null");
  EXPECT_EQ(with([](Views, Views out) { out[1].data = nullptr; }),
            "output %n: the pointer is null");
  EXPECT_EQ(with([](Views in, Views) { in[0].data = static_cast<char*>(in[0].data) + 2; }),
            "input %x: the pointer is not aligned to 4 bytes");
  EXPECT_EQ(with([](Views in, Views) { in[0].strides[0] = 16; }),
            "input %x: found stride 16 of dimension 0, expected 8: graphs take dense views");
  EXPECT_EQ(with([](Views in, Views out) { out[1].data = in[0].data; }),
            "output %n: its memory overlaps that of input %x; give it memory of its own");
  EXPECT_EQ(with([](Views, Views out) { out[0].data = static_cast<float*>(out[1].data) + 4; }),
            "output %n: its memory overlaps that of output %y; give it memory of its own");
  EXPECT_EQ(data.y, std::vector<float>(12, -7)) << "nothing was written";
  EXPECT_EQ(data.n, std::vector<float>(24, -7));
}

TEST(GraphApi, UpdatesACacheInItsMemory) {
  const Graph graph = load(kCache);
  std::vector<float> cache(3 * 8, 1), rows(8, 5), other(3 * 8, 9);
  const std::vector<int32_t> slots = {1};
  const std::vector<TensorView> inputs = {TensorView(cache.data(), {3, 2, 4}),
                                          TensorView(rows.data(), {1, 2, 4}),
                                          TensorView(slots.data(), {1})};
  std::vector<float> expected(3 * 8, 1);
  std::fill_n(expected.begin() + 8, 8, 5.0f);
  EXPECT_EQ(message(graph(inputs, std::vector{TensorView(other.data(), {3, 2, 4})})), "");
  EXPECT_EQ(other, expected);
  EXPECT_EQ(cache, std::vector<float>(3 * 8, 1)) << "in another memory the input stays";
  EXPECT_EQ(message(graph(inputs, std::vector{inputs[0]})), "");
  EXPECT_EQ(cache, expected);
  EXPECT_EQ(message(graph(inputs, std::vector{TensorView(rows.data(), {3, 2, 4})})),
            "output %y: its memory overlaps that of input %r; give it memory of its own");
}

TEST(GraphApi, RefusesWithoutAGraph) {
  const Graph none;
  EXPECT_TRUE(none.inputs().empty());
  EXPECT_TRUE(none.outputs().empty());
  EXPECT_EQ(message(none({}, {})), "this Graph is empty; load one with a Library");
  auto library = Library::open({.threads = 1, .store = "none"});
  ASSERT_TRUE(library.has_value());
  const auto broken = library->load_graph("graph g(%x: f32[2]) -> (%y) {\n  %y = nothing(%x)\n}");
  ASSERT_FALSE(broken.has_value());
  EXPECT_NE(broken.error().message.find("2:"), std::string::npos) << broken.error().message;
}

}  // namespace
}  // namespace lathe
