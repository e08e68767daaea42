// Checks of views that may hold anything: types and ranks are numbers that somebody gave.
#include "runtime/graph/graph_views.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "support/error.h"

namespace lathe::runtime {
namespace {

using ir::graph::Graph;
using ir::graph::ValueId;

int64_t graph_elements(const TensorView& view) {
  int64_t elements = 1;
  for (int k = 0; k < view.rank; ++k) elements *= view.shape[k];
  return elements;
}

}  // namespace

Result<std::vector<ir::graph::InputShape>> shapes_of(const Graph& graph,
                                                     std::span<const TensorView> inputs) {
  std::vector<ir::graph::InputShape> shapes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorView& view = inputs[i];
    const std::string name =
        i < graph.inputs.size() ? "%" + graph.value(graph.inputs[i]).name : std::to_string(i);
    if (view.rank < 0 || view.rank > TensorView::kMaxRank)
      return fail(ErrorCode::invalid_argument, "input {}: found rank {}, expected 0 to {}", name,
                  view.rank, TensorView::kMaxRank);
    if (static_cast<unsigned>(view.type) > static_cast<unsigned>(DataType::q4_K))
      return fail(ErrorCode::invalid_argument, "input {}: found the unknown type number {}", name,
                  static_cast<int>(view.type));
    shapes.push_back(
        {static_cast<ir::Type>(view.type), std::span(view.shape, static_cast<size_t>(view.rank))});
  }
  return shapes;
}

bool share_memory(const TensorView& a, const TensorView& b) {
  const auto bytes = [](const TensorView& view) {
    return static_cast<uintptr_t>(
        ir::bytes_of(static_cast<ir::Type>(view.type), graph_elements(view)));
  };
  const auto first = reinterpret_cast<uintptr_t>(a.data);
  const auto second = reinterpret_cast<uintptr_t>(b.data);
  return bytes(a) > 0 && bytes(b) > 0 && first < second + bytes(b) && second < first + bytes(a);
}

Status check_graph_view(std::string_view role, const Graph& graph, ValueId id,
                        const TensorView& view) {
  const ir::graph::Value& value = graph.value(id);
  const auto refuse = [&](std::string_view what) {
    return fail(ErrorCode::invalid_argument, "{} %{}: {}", role, value.name, what);
  };
  LATHE_TRY(const std::vector<int64_t> expected, ir::graph::numbers(value.type.shape));
  const auto type = static_cast<ir::Type>(view.type);
  const bool fits = view.rank == static_cast<int>(expected.size()) && type == value.type.element &&
                    std::equal(expected.begin(), expected.end(), view.shape);
  if (!fits) {
    if (view.rank < 0 || view.rank > TensorView::kMaxRank ||
        static_cast<unsigned>(view.type) > static_cast<unsigned>(DataType::q4_K))
      return refuse(fmt::format("found rank {} and type number {}, expected {}", view.rank,
                                static_cast<int>(view.type), ir::graph::to_string(value.type)));
    const ir::graph::TensorType found{type, ir::graph::Shape(view.shape, view.shape + view.rank)};
    return refuse(fmt::format("found {}, expected {}", ir::graph::to_string(found),
                              ir::graph::to_string(value.type)));
  }
  if (graph_elements(view) == 0) return {};
  if (view.data == nullptr) return refuse("the pointer is null");
  const ir::TypeInfo& info = ir::info(type);
  const auto alignment = static_cast<uintptr_t>(info.block_elements == 1 ? info.block_bytes : 1);
  if (reinterpret_cast<uintptr_t>(view.data) % alignment != 0)
    return refuse(fmt::format("the pointer is not aligned to {} bytes", alignment));
  int64_t dense = 1;
  for (int k = view.rank - 1; k >= 0; --k) {
    if (view.shape[k] > 1 && view.strides[k] != dense)
      return refuse(
          fmt::format("found stride {} of dimension {}, expected {}: graphs take dense "
                      "views",
                      view.strides[k], k, dense));
    dense *= view.shape[k];
  }
  return {};
}

}  // namespace lathe::runtime
