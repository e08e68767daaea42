// batched_matmul: y[i] = epilogue(a[i] · b[i]), both sides variable, f32, f16 or bf16, either side
// transposed.
//
// Products and sums are f32; 16-bit operands widen exactly. Both sides are packed where they are
// used, then linear's block program multiplies them. With blocks of k, y holds the partial sums
// between them, so results do not depend on batches, rows or threads.
#include "compiler/kernels/batched_matmul.h"

#include <algorithm>

#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/tile_shape.h"

namespace lathe::compiler::kernels {
namespace {

using ir::Target;
using ir::Type;
using ir::graph::Dim;
using ir::graph::GraphBuilder;
using ir::graph::Var;

// A panel of all k is addressed in 32 bits.
constexpr int64_t kMostDepth = int64_t{1} << 20;
// Of the rows of a that a thread keeps packed.
constexpr int64_t kPackedBytes = int64_t{3} << 19;
// Of the panels of b that it keeps packed.
constexpr int64_t kPanelBytes = int64_t{1} << 20;

Status validate(const Problem& p) {
  const Fragment epilogue = *Fragment::parse(p.text("epilogue"));
  const int64_t n = p.integer("n");
  LATHE_CHECK(check_inputs({matrix("y", Type::f32, n)}, epilogue, n, "epilogue", {"a", "b"}));
  const auto& inputs = epilogue.inputs();
  if (std::none_of(inputs.begin(), inputs.end(),
                   [](const FragmentInput& input) { return input.name == "y"; })) {
    return fail(ErrorCode::invalid_argument, "epilogue: found '{}', expected an expression of y",
                epilogue.text());
  }
  return {};
}

Result<ir::graph::Graph> reference(const Problem& p) {
  const BatchedMatmul matmul(p);
  GraphBuilder graph("batched_matmul");
  const auto inputs = add_graph_inputs(graph, matmul.signature);
  const auto matrices = [&](Var x, bool transpose) {
    x = cast_to(graph, x, Type::f32);
    return transpose ? graph.op("transpose", {x}, {{"perm", {0, 2, 1}}}) : x;
  };
  Var a = matrices(inputs[0], matmul.transpose_a);
  Var b = matrices(inputs[1], matmul.transpose_b);
  if (matmul.group > 1) {
    const ir::graph::Shape members = {Dim("batch"), matmul.group, Dim("rows"), matmul.k};
    const ir::graph::Shape shared = {Dim("batch"), 1, matmul.k, matmul.n};
    a = graph.op("reshape", {a}, {{"shape", members}});
    b = graph.op("reshape", {b}, {{"shape", shared}});
  }
  Var y = graph.op("matmul", {a, b});
  if (matmul.group > 1) {
    const ir::graph::Shape all = {matmul.group * Dim("batch"), Dim("rows"), matmul.n};
    y = graph.op("reshape", {y}, {{"shape", all}});
  }
  std::vector<Var> operands;
  for (const FragmentInput& input : matmul.epilogue.inputs()) {
    if (input.name == "y") operands.push_back(y);
    for (size_t i = 2; i < inputs.size(); ++i)
      if (matmul.signature[i].name == input.name) operands.push_back(inputs[i]);
  }
  return graph.finish({fragment_graph(graph, matmul.epilogue, operands, matmul.out)});
}

SearchSpace space(const Problem& p, const Target& target) {
  const BatchedMatmul matmul(p);
  SearchSpace space;
  const TileRegisters registers{target.vector_registers, target.fused};
  // A panel is as wide as a tile. More than four vectors are for a single row, whose sums would
  // otherwise wait for each other.
  std::vector<int64_t> vectors;
  for (const int64_t v : {1, 2, 3, 4, 6}) {
    const bool reaches_y = v == 1 || (v - 1) * target.lanes < matmul.n;
    if (reaches_y && (v <= 4 || matmul.rows.high == 1) && registers.fit(1, v, 1, 1))
      vectors.push_back(v);
  }
  const int64_t most_rows = std::min(matmul.rows.high, most_tile_rows(target));
  const TileShape best = best_shape(registers, vectors, most_rows, matmul.n, target.lanes);
  const bool few = matmul.rows.low < 8;
  const bool narrow = vectors.size() == 1;
  const auto fits = [=](int64_t tile, int64_t v) { return registers.fit(tile, v, 1, 1); };
  const auto reuses = [=](int64_t tile, int64_t v) {
    return few || (4 * tile * v > 3 * best.sums() && (narrow || tile + v <= tile * v));
  };
  std::vector<int64_t> tiles = tile_rows(registers, vectors.front(), best, matmul.rows, target);
  const auto is_tile = [&](int64_t tile, int64_t v) { return fits(tile, v) && reuses(tile, v); };
  std::erase_if(tiles, [&](int64_t tile) {
    return std::none_of(vectors.begin(), vectors.end(),
                        [&](int64_t v) { return is_tile(tile, v); });
  });
  std::erase_if(vectors, [&](int64_t v) {
    return std::none_of(tiles.begin(), tiles.end(), [&](int64_t tile) { return is_tile(tile, v); });
  });
  space.knob("tile", tiles, best.tile, "rows of the register tile");
  space.knob("vectors", vectors, best.vectors,
             "vectors of the register tile's columns, which are a panel of b");
  // y keeps the sums between blocks. All of a large k took a fifth longer.
  constexpr int64_t kDepth = 512;
  const bool deep = !few && kDepth < matmul.k;
  std::vector<int64_t> depths;
  for (const int64_t depth : {kDepth / 2, kDepth})
    if (!few && matmul.out == Type::f32 && depth < matmul.k) depths.push_back(depth);
  if (depths.size() < 2) depths.push_back(0);
  space.knob("depth", depths, deep ? depths.back() : 0, "steps of k in a block; 0: all of k");
  space.knob("rows",
             matmul.rows.high > 96 ? std::vector<int64_t>{96, 192} : std::vector<int64_t>{96}, 96,
             "rows of a in a block");
  space.knob("columns", matmul.n > 128 ? std::vector<int64_t>{128, 512} : std::vector<int64_t>{512},
             512, "columns of b in a block, which are packed together");
  if (!matmul.must_pack_rows()) {
    // A few rows gain nothing by it.
    space.choice("pack", {"off", "on"}, matmul.rows.low >= kLeastBlockedRows ? "on" : "off",
                 "whether the rows of a are first copied to one place");
  }
  space.require([=](const Schedule& s) { return fits(s["tile"], s["vectors"]); },
                "the tile's sums and a step's operands must fit the vector registers");
  space.require(
      [=](const Schedule& s) { return reuses(s["tile"], s["vectors"]); },
      "a tile of many rows must reuse what it loads, and load no more than it multiplies");
  return space;
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const BatchedMatmul matmul(p);
  return batched_matmul_plan(matmul, BatchedMatmulBlocking(matmul, s, target), target);
}

Work work(const Problem& p, const Sizes& sizes) {
  const BatchedMatmul matmul(p);
  const auto batch = sizes.find("batch");
  const auto batches =
      static_cast<double>(matmul.group * (batch == sizes.end() ? 1 : batch->second));
  const double per_element = 2.0 * static_cast<double>(matmul.k) + matmul.epilogue.flops();
  return work_of(matmul.signature, sizes, batches * static_cast<double>(matmul.n) * per_element);
}

// The same problem with other columns and another depth.
Result<Problem> resized(const Problem& p, int64_t n, int64_t k) {
  ProblemBuilder builder(p.family());
  for (const ParameterSpec& spec : p.family().parameters) {
    if (spec.name != "n" && spec.name != "k") builder.set(spec.name, p.value(spec.name));
  }
  return builder.set("n", n).set("k", k).build();
}

// Two blocks of columns, the last with a panel that is not full; two blocks of k, the last short;
// rows that fill no tile. Blocks of rows differ in the number of their tiles alone.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  const BatchedMatmul matmul(p);
  const BatchedMatmulBlocking blocking(matmul, s, target);
  const int64_t panel = blocking.product.panel;
  const int64_t n = std::min(matmul.n, (blocking.block.panels + 1) * panel + matmul.n % panel);
  const int64_t steps = 2 * target.lanes + matmul.k % (4 * target.lanes);
  const int64_t k =
      blocking.block.has_blocks(blocking.product) ? blocking.block.depth + steps : steps;
  LATHE_TRY(Problem small, resized(p, n, std::min(k, matmul.k)));
  const int64_t rows = matmul.rows.high == 1 ? 1 : 3 * blocking.block.tile - 1;
  return Miniature{std::move(small), {{"batch", 2}, {"rows", rows}}};
}

// The first and the last batch that every size of the bucket has; some columns at the ends and in
// the middle.
Result<Sample> sample(const Problem& p, const Sizes&) {
  const BatchedMatmul matmul(p);
  std::vector<int64_t> batches = {0}, members, columns;
  if (matmul.batch.low > 1) batches.push_back(matmul.batch.low - 1);
  for (const int64_t batch : batches)
    for (int64_t member = 0; member < matmul.group; ++member)
      members.push_back(batch * matmul.group + member);
  constexpr int64_t kRun = 16;
  for (const int64_t start : {int64_t{0}, matmul.n / 2, matmul.n - kRun}) {
    for (int64_t c = std::max<int64_t>(start, 0); c < std::min(start + kRun, matmul.n); ++c)
      if (columns.empty() || c > columns.back()) columns.push_back(c);
  }
  Sample sample;
  LATHE_TRY(sample.problem, resized(p, static_cast<int64_t>(columns.size()), matmul.k));
  for (size_t i = 0; i < matmul.signature.size(); ++i) {
    const Port& port = matmul.signature[i];
    const auto operand = static_cast<int>(i);
    if (port.shape.size() == 3) sample.takes.push_back({operand, 0, i == 1 ? batches : members});
    for (size_t axis = 0; axis < port.shape.size(); ++axis) {
      const bool of_columns =
          i == 1 ? axis == (matmul.transpose_b ? 1U : 2U)
                 : i > 1 && axis + 1 == port.shape.size() && port.shape.back() == Dim(matmul.n);
      if (of_columns) sample.takes.push_back({operand, static_cast<int>(axis), columns});
    }
  }
  return sample;
}

}  // namespace

BatchedMatmul::BatchedMatmul(const Problem& p)
    : batch(p.bucket("batch")),
      rows(p.bucket("rows")),
      n(p.integer("n")),
      k(p.integer("k")),
      group(p.integer("group")),
      transpose_a(p.flag("transpose_a")),
      transpose_b(p.flag("transpose_b")),
      type(p.type("type")),
      b_type(p.type("b_type")),
      out(p.type("out")),
      epilogue(*Fragment::parse(p.text("epilogue"))) {
  const Dim members = group * Dim("batch");
  signature.push_back({"a", type, {members, "rows", k}});
  signature.push_back({"b", b_type, {"batch", k, n}});
  if (transpose_a) std::swap(signature[0].shape[1], signature[0].shape[2]);
  if (transpose_b) std::swap(signature[1].shape[1], signature[1].shape[2]);
  Signature inputs;
  add_inputs(inputs, epilogue, type, Type::f32, n, "y");
  inputs.push_back(output(matrix("y", out, n)));
  for (Port& port : inputs) {
    if (port.row_dimension() >= 0) port.shape.insert(port.shape.begin(), members);
    signature.push_back(std::move(port));
  }
}

BatchedMatmulBlocking::BatchedMatmulBlocking(const BatchedMatmul& matmul, const Schedule& s,
                                             const Target& target) {
  block.tile = static_cast<int>(s["tile"]);
  block.vectors = static_cast<int>(s["vectors"]);
  block.depth = s["depth"] == 0 ? matmul.k : s["depth"];
  block.pack = matmul.must_pack_rows() || s["pack"] == 1;
  block.rows = std::max<int64_t>(s["rows"] / block.tile, 1) * block.tile;
  product.name = "batched_matmul";
  product.rows = matmul.rows;
  product.n = matmul.n;
  product.k = matmul.k;
  product.panel = s["vectors"] * target.lanes;
  product.type = matmul.type;
  product.out = matmul.out;
  product.epilogue = matmul.epilogue;
  // A line apart, so that panels that are written side by side do not compete for the same sets.
  constexpr int64_t kLine = 64;
  product.part_bytes = {block.depth * product.panel * 4 + kLine};
  product.signature.push_back(matrix("a", matmul.type, matmul.k));
  product.signature.push_back({"b", Type::f32, {product.panels(), block.depth, product.panel}});
  add_inputs(product.signature, matmul.epilogue, matmul.type, Type::f32, matmul.n, "y");
  product.signature.push_back(output(matrix("y", matmul.out, matmul.n)));
  const int64_t columns =
      std::min(s["columns"], std::max<int64_t>(kPanelBytes / 4 / block.depth, 1));
  block.panels = std::max<int64_t>(columns / product.panel, 1);
  const int64_t row_bytes = block.packed_stride(product) * 4 * matmul.group;
  unit_rows = !block.pack
                  ? INT32_MAX / block.tile * block.tile
                  : std::max(kPackedBytes / row_bytes / block.tile * block.tile, block.rows);
}

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
