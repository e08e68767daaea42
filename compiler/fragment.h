// Elementwise fragments: expressions that compose into chains, prologues and epilogues.
//
//   mul(silu(gate),up)   fma(y,vec(scale),col(shift))   where(lt(x,0),mul(x,0.01),x) round_bf16(x)
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/math/math.h"
#include "ir/graph/builder.h"
#include "ir/program/builder.h"
#include "support/error.h"

namespace lathe::compiler {

/// What an input of a fragment is for each element [row, column] of the result.
enum class LeafKind : uint8_t {
  full,    ///< `x`: [rows, width]
  vector,  ///< `vec(x)`: [width], the same for every row
  column,  ///< `col(x)`: [rows, 1], the same for every column
};

struct FragmentInput {
  std::string name;
  LeafKind kind = LeafKind::full;
  bool operator==(const FragmentInput&) const = default;
};

/// An expression over inputs, a plain value. Equal subexpressions are one node.
class Fragment {
 public:
  /// One function of the language. Comparisons give conditions, which only `where` takes.
  enum class Op : uint8_t {
    input,
    number,
    add,
    sub,
    mul,
    div,
    neg,
    abs,
    min,
    max,
    fma,
    exp,
    tanh,
    erf,
    sqrt,
    rsqrt,
    recip,
    sigmoid,
    silu,
    relu,
    gelu_tanh,
    gelu_erf,
    round_bf16,
    round_f16,
    where,
    lt,
    le,
    gt,
    ge,
    eq,
    ne,
  };
  struct Node {
    Op op{};
    std::vector<int> arguments{};  ///< earlier nodes
    int input = -1;                ///< of an input
    float number = 0;              ///< of a number
    bool per_element = false;      ///< depends on the column; otherwise one value a row
    bool operator==(const Node&) const = default;
  };

  static constexpr int kMaxDepth = 32;
  static constexpr int kMaxNodes = 256;

  /// Blanks are not allowed, names are [a-z][a-z0-9_]*. parse_error "column n: found …, expected
  /// …".
  static Result<Fragment> parse(std::string_view text);

  /// The canonical text: parses to an equal fragment.
  std::string text() const;

  /// In the order of their first appearance in the text.
  const std::vector<FragmentInput>& inputs() const { return inputs_; }
  /// Arguments before their users; the last is the result.
  const std::vector<Node>& nodes() const { return nodes_; }
  /// Whether the fragment is one input and nothing else.
  bool is_leaf() const { return nodes_.size() == 1 && nodes_[0].op == Op::input; }
  /// Operations for each element: one for each function, as Work counts them.
  double flops() const;

  bool operator==(const Fragment&) const = default;

 private:
  friend class FragmentParser;
  std::vector<FragmentInput> inputs_;
  std::vector<Node> nodes_;
};

/// The name of a fragment's function or leaf.
std::string_view name(Fragment::Op op);

/// Appends the fragment's meaning to a graph; `inputs` are its inputs in order, all f32 and of
/// shapes that broadcast to the result's.
ir::graph::Var to_graph(const Fragment& fragment, ir::graph::GraphBuilder& graph,
                        const std::vector<ir::graph::Var>& inputs);

/// Evaluates a fragment in kernel code. What does not depend on the column is computed once a row.
class FragmentCode {
 public:
  using Leaf = std::function<ir::program::Vec(const FragmentInput&)>;

  FragmentCode(const Fragment& fragment, ir::program::Builder& b, math::Options options)
      : fragment_(fragment), b_(b), options_(options) {}

  /// At the start of a row: computes its per-row values; `leaf` loads columns as splats.
  void begin_row(const Leaf& leaf);
  /// At each place in the row; `leaf` loads full and vector inputs there, each once.
  ir::program::Vec at(const Leaf& leaf);

 private:
  ir::program::Vec evaluate(const Fragment::Node& node, const Leaf& leaf);
  void run(const Leaf& leaf, bool per_element);

  const Fragment& fragment_;
  ir::program::Builder& b_;
  math::Options options_;
  std::vector<ir::program::Vec> values_;
};

}  // namespace lathe::compiler
