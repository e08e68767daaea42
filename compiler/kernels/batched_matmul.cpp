// batched_matmul: y[i] = epilogue(a[i] · b[i]), both sides variable, f32, f16 or bf16, either side
// transposed.
//
// Products and sums are f32; 16-bit operands widen exactly. Both sides are packed where they are
// used, then multiplied as linear multiplies. With blocks of k, y holds the partial sums between
// them, so results do not depend on batches, rows or threads.
#include <algorithm>

#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/product/problem.h"

namespace lathe::compiler::kernels {
namespace {

using ir::Target;
using ir::Type;
using ir::graph::Dim;
using ir::graph::GraphBuilder;
using ir::graph::Var;
using product::Batches;
using product::Blocking;
using product::Product;

// A panel of all k is addressed in 32 bits.
constexpr int64_t kMostDepth = int64_t{1} << 20;
// Of the panels of b that a thread keeps packed.
constexpr int64_t kPanelBytes = int64_t{1} << 20;

// y = epilogue(a · b) for each batch.
struct BatchedMatmul {
  explicit BatchedMatmul(const Problem& p) {
    product = {.name = "batched_matmul",
               .rows = p.bucket("rows"),
               .n = p.integer("n"),
               .k = p.integer("k"),
               .type = p.type("type"),
               .out = p.type("out"),
               .epilogue = *Fragment::parse(p.text("epilogue"))};
    product.signature = {matrix("a", product.type, product.k), {"b", Type::f32, {}}};
    product.part_bytes = {0};
    product.add_epilogue_operands();

    batches.group = p.integer("group");
    batches.transposed_x = p.flag("transpose_a");
    batches.transposed_w = p.flag("transpose_b");
    const Dim members = batches.group * Dim("batch");
    Port a{"a", product.type, {members, "rows", product.k}};
    Port b{"b", p.type("b_type"), {"batch", product.k, product.n}};
    if (batches.transposed_x) std::swap(a.shape[1], a.shape[2]);
    if (batches.transposed_w) std::swap(b.shape[1], b.shape[2]);
    batches.signature = {std::move(a), std::move(b)};
    for (size_t i = product.first_input(); i < product.signature.size(); ++i) {
      Port port = product.signature[i];
      if (port.row_dimension() >= 0) port.shape.insert(port.shape.begin(), members);
      batches.signature.push_back(std::move(port));
    }
  }

  /// Whether tiles cannot read a where it lies.
  bool must_pack() const { return batches.transposed_x || product.type != Type::f32; }

  /// The schedule's numbers; panels of b, as they are packed, become known.
  Blocking cut(const Schedule& s, const Target& target) {
    product.panel = s["nr"] * target.lanes;
    Blocking blocking = product::blocking_of(product, s, target);
    blocking.pack = blocking.pack || must_pack();
    blocking.prefetch_y = true;
    const int64_t columns = std::min(s["nc"], std::max<int64_t>(kPanelBytes / 4 / blocking.kc, 1));
    blocking.nc = std::max<int64_t>(columns / product.panel, 1);
    product.signature[1].shape = {product.panels(), blocking.kc, product.panel};
    // A line apart, so that panels that are written side by side do not compete for the same sets.
    product.part_bytes = {blocking.kc * product.panel * 4 + product::kLine};
    return blocking;
  }

  Product product;  ///< of one matrix by another: rows of a by panels of b
  Batches batches;
};

Status validate(const Problem& p) { return product::check_epilogue(p, /*pair=*/false, {"a", "b"}); }

Result<ir::graph::Graph> reference(const Problem& p) {
  const BatchedMatmul matmul(p);
  const int64_t n = matmul.product.n, k = matmul.product.k, group = matmul.batches.group;
  GraphBuilder graph("batched_matmul");
  const auto inputs = add_graph_inputs(graph, matmul.batches.signature);
  const auto matrices = [&](Var x, bool transpose) {
    x = cast_to(graph, x, Type::f32);
    return transpose ? graph.op("transpose", {x}, {{"perm", {0, 2, 1}}}) : x;
  };
  Var a = matrices(inputs[0], matmul.batches.transposed_x);
  Var b = matrices(inputs[1], matmul.batches.transposed_w);
  if (group > 1) {
    const ir::graph::Shape members = {Dim("batch"), group, Dim("rows"), k};
    const ir::graph::Shape shared = {Dim("batch"), 1, k, n};
    a = graph.op("reshape", {a}, {{"shape", members}});
    b = graph.op("reshape", {b}, {{"shape", shared}});
  }
  Var y = graph.op("matmul", {a, b});
  if (group > 1) {
    const ir::graph::Shape all = {group * Dim("batch"), Dim("rows"), n};
    y = graph.op("reshape", {y}, {{"shape", all}});
  }
  return graph.finish(
      {product::epilogue_graph(graph, matmul.product.epilogue, matmul.batches.signature, inputs, 2,
                               y, {}, matmul.product.out)});
}

SearchSpace space(const Problem& p, const Target& target) {
  const BatchedMatmul matmul(p);
  return product::packing_space(matmul.product, target, matmul.must_pack());
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  BatchedMatmul matmul(p);
  const Blocking blocking = matmul.cut(s, target);
  return product::packing_plan(matmul.product, blocking, matmul.batches, target);
}

Work work(const Problem& p, const Sizes& sizes) {
  const BatchedMatmul matmul(p);
  const Product& of_one = matmul.product;
  const auto batch = sizes.find("batch");
  const auto batches =
      static_cast<double>(matmul.batches.group * (batch == sizes.end() ? 1 : batch->second));
  const double per_element = 2.0 * static_cast<double>(of_one.k) + of_one.epilogue.flops();
  return work_of(matmul.batches.signature, sizes,
                 batches * static_cast<double>(of_one.n) * per_element);
}

// Two blocks of columns, the last with a panel that is not full; two blocks of k, the last short;
// rows that fill no tile. Blocks of rows differ in the number of their tiles alone.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  BatchedMatmul matmul(p);
  const Blocking blocking = matmul.cut(s, target);
  const Product& of_one = matmul.product;
  const int64_t panel = of_one.panel;
  const int64_t n = std::min(of_one.n, (blocking.nc + 1) * panel + of_one.n % panel);
  const int64_t steps = 2 * target.lanes + of_one.k % (4 * target.lanes);
  const int64_t k = blocking.has_blocks(of_one) ? blocking.kc + steps : steps;
  LATHE_TRY(Problem small, with_numbers(p, {{"n", n}, {"k", std::min(k, of_one.k)}}));
  const int64_t rows = of_one.rows.high == 1 ? 1 : 3 * blocking.mr - 1;
  return Miniature{std::move(small), {{"batch", 2}, {"rows", rows}}};
}

// The first and the last batch that every size of the bucket has; some columns at the ends and in
// the middle.
Result<Sample> sample(const Problem& p, const Sizes&) {
  const BatchedMatmul matmul(p);
  const int64_t n = matmul.product.n, group = matmul.batches.group;
  const int64_t fewest = p.bucket("batch").low;
  std::vector<int64_t> batches = {0}, members, columns;
  if (fewest > 1) batches.push_back(fewest - 1);
  for (const int64_t batch : batches)
    for (int64_t member = 0; member < group; ++member) members.push_back(batch * group + member);
  constexpr int64_t kRun = 16;
  for (const int64_t start : {int64_t{0}, n / 2, n - kRun}) {
    for (int64_t c = std::max<int64_t>(start, 0); c < std::min(start + kRun, n); ++c)
      if (columns.empty() || c > columns.back()) columns.push_back(c);
  }
  Sample sample;
  LATHE_TRY(sample.problem, with_numbers(p, {{"n", static_cast<int64_t>(columns.size())}}));
  for (size_t i = 0; i < matmul.batches.signature.size(); ++i) {
    const Port& port = matmul.batches.signature[i];
    const auto operand = static_cast<int>(i);
    if (port.shape.size() == 3) sample.takes.push_back({operand, 0, i == 1 ? batches : members});
    for (size_t axis = 0; axis < port.shape.size(); ++axis) {
      const bool of_columns =
          i == 1 ? axis == (matmul.batches.transposed_w ? 1U : 2U)
                 : i > 1 && axis + 1 == port.shape.size() && port.shape.back() == Dim(n);
      if (of_columns) sample.takes.push_back({operand, static_cast<int>(axis), columns});
    }
  }
  return sample;
}

}  // namespace

const Family& batched_matmul() {
  static const Family family = [] {
    Family matmul;
    matmul.name = "batched_matmul";
    matmul.summary = "y[i] = epilogue(a[i] * b[i]), both sides variable";
    matmul.example = "batched_matmul batch=16 rows=512..2047 n=512 k=128 transpose_b=true";
    ParameterSpec b_type = float_type_parameter("b_type", "element type of b");
    b_type.default_of = "type";
    ParameterSpec batch{"batch", Bucket{}, "bucket of the number of matrices b, a run-time size"};
    batch.required = true;
    matmul.parameters = {
        std::move(batch),
        rows_parameter(),
        integer_parameter("n", 1, 1, kMaxWidth, "columns of y"),
        integer_parameter("k", 1, 1, kMostDepth, "what is summed over: columns of a, rows of b"),
        integer_parameter("group", 1, 1, 1 << 16,
                          "consecutive matrices of a and y that share one of b"),
        flag_parameter("transpose_a", false, "a lies as [k, rows]"),
        flag_parameter("transpose_b", false, "b lies as [n, k]"),
        type_parameter(),
        std::move(b_type),
        out_parameter(),
        fragment_parameter("epilogue", "y", "what becomes of the product y"),
    };
    for (const size_t required : {2, 3}) matmul.parameters[required].required = true;
    matmul.limits = float_limits({1e-5, 4e-6});
    matmul.form = CallForm::batched_matmul;
    matmul.graph_ops = {"matmul"};
    matmul.smallest = "batched_matmul batch=1 rows=1 n=8 k=3 epilogue=mul(y,0.125)";
    matmul.validate = validate;
    matmul.signature = [](const Problem& p) { return BatchedMatmul(p).batches.signature; };
    matmul.reference = reference;
    matmul.space = space;
    matmul.build = build;
    matmul.work = work;
    matmul.miniature = miniature;
    matmul.sample = sample;
    return matmul;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
