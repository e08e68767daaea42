// linear: y[r,:] = epilogue(x[r,:] · wᵀ), w a constant weight in panels.
//
// Products and sums are f32; 16-bit operands widen exactly. With blocks of k, y holds the partial
// sums between them, so results do not depend on rows, threads or the rows' blocks.
#include <algorithm>

#include "compiler/choose_layout.h"
#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/product/problem.h"
#include "compiler/weight_packing.h"

namespace lathe::compiler::kernels {
namespace {

using ir::Target;
using ir::Type;
using product::Blocking;
using product::Elements;
using product::Product;

Product product_of(const Problem& p) {
  Product linear{.name = p.family().name,
                 .rows = p.bucket("rows"),
                 .n = p.integer("n"),
                 .k = p.integer("k"),
                 .panel = p.integer("panel"),
                 .pair = p.flag("pair"),
                 .type = p.type("type"),
                 .out = p.type("out"),
                 .weight = p.type("weight"),
                 .epilogue = *Fragment::parse(p.text("epilogue"))};
  linear.signature.push_back(matrix("x", linear.type, linear.k));
  for (const PackedPart& part : packed_parts(layout_of(p))) {
    Port port{part.name, part.type, {}};
    for (const int64_t size : part.shape) port.shape.emplace_back(size);
    linear.part_bytes.push_back(port.row_bytes() / linear.panels());
    linear.signature.push_back(std::move(port));
  }
  linear.add_epilogue_operands();
  return linear;
}

Status validate(const Problem& p) {
  const bool pair = p.flag("pair");
  LATHE_CHECK(product::check_epilogue(p, pair, {"x", "w", "w_scales", "w_factors"}));
  if (p.type("type") == Type::q8_0 && ir::info(p.type("weight")).block_elements == 1) {
    return fail(ErrorCode::invalid_argument,
                "type: found q8_0 beside weight={}, expected a weight of q8_0, q4_0 or q4_K, whose "
                "blocks of 32 it meets",
                ir::name(p.type("weight")));
  }
  if (p.integer("panel") % 8 != 0) {
    return fail(ErrorCode::invalid_argument, "panel: found {}, expected a multiple of 8",
                p.integer("panel"));
  }
  LATHE_CHECK(check_out_blocks(p, "n"));
  const int64_t columns = p.integer("panel") / (pair ? 2 : 1);
  const int64_t block = ir::info(p.type("out")).block_elements;
  if (block > 1 && block % columns != 0 && columns % block != 0) {
    return fail(ErrorCode::invalid_argument,
                "panel: found {} columns of y in each, expected a divisor or a multiple of the "
                "block of {} of out={}",
                columns, block, ir::name(p.type("out")));
  }
  return check_layout(layout_of(p));
}

Result<ir::graph::Graph> reference(const Problem& p) {
  const Product linear = product_of(p);
  ir::graph::GraphBuilder graph("linear");
  const auto inputs = add_graph_inputs(graph, linear.signature);
  const size_t parts = linear.part_bytes.size();
  const auto w =
      unpacked(graph, layout_of(p),
               {inputs.begin() + 1, inputs.begin() + 1 + static_cast<std::ptrdiff_t>(parts)});
  auto x = linear.type == Type::q8_0 ? graph.op("dequantize", {inputs[0]})
                                     : cast_to(graph, inputs[0], Type::f32);
  if (linear.elements() == Elements::channels) {
    const auto rows = graph.op_results("quantize_rows", {x}, 2);
    x = graph.op("mul", {cast_to(graph, rows[0], Type::f32), rows[1]});
  } else if (linear.elements() == Elements::blocks && linear.type != Type::q8_0) {
    const auto blocks = graph.op("quantize", {x}, {{"type", Type::q8_0}});
    x = graph.op("dequantize", {blocks});
  }
  const auto sums = graph.op("linear", {x, w});
  ir::graph::Var y = sums, z;
  if (linear.pair) {
    y = graph.op("slice", {sums}, {{"axis", -1}, {"end", linear.n}});
    z = graph.op("slice", {sums}, {{"axis", -1}, {"begin", linear.n}});
  }
  return graph.finish({product::epilogue_graph(graph, linear.epilogue, linear.signature, inputs,
                                               linear.first_input(), y, z, linear.out)});
}

SearchSpace space(const Problem& p, const Target& target) {
  return product::packed_space(product_of(p), target);
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const Product linear = product_of(p);
  if (linear.panel % target.lanes != 0) {
    return fail(ErrorCode::rejected,
                "a panel of {} columns is no multiple of the target's {} lanes", linear.panel,
                target.lanes);
  }
  return product::packed_plan(linear, product::blocking_of(linear, s, target), target);
}

Work work(const Problem& p, const Sizes& sizes) {
  Product linear = product_of(p);
  // Without padding, and blocks as GGUF has them.
  linear.signature[1].type = linear.weight;
  linear.signature[1].shape = {linear.n * (linear.pair ? 2 : 1), linear.k};
  linear.signature.erase(
      linear.signature.begin() + 2,
      linear.signature.begin() + static_cast<std::ptrdiff_t>(linear.first_input()));
  const auto n = static_cast<double>(linear.n);
  const double products = 2.0 * n * static_cast<double>(linear.k) * (linear.pair ? 2 : 1);
  const double of_each =
      linear.epilogue.flops() + (linear.quantises_y() ? BlockQuantizer::kFlops : 0);
  return work_of(linear.signature, sizes, products + of_each * n);
}

// Some panels in each direction of a group of streams and the partial one; two blocks of k, the
// last short, with the steps that fill no trip; two blocks of rows, the last with rows that fill no
// tile.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  const Product linear = product_of(p);
  const Blocking blocking = product::blocking_of(linear, s, target);
  const int64_t step = linear.panel_columns();
  int64_t n = (2 * blocking.streams + 1) * step + linear.n % step;
  const int64_t block = ir::info(linear.out).block_elements;
  n = std::min(linear.n, (n + block - 1) / block * block);
  int64_t k = linear.k;
  const int64_t trips = 2 * blocking.unroll;
  if (!blocking.has_blocks(linear)) {
    k = trips + linear.k % blocking.unroll;
  } else if (blocking.kc_inside) {
    k = 2 * blocking.kc;
  } else {
    k = blocking.kc + trips + linear.k % blocking.unroll;
  }
  if (linear.elements() == Elements::channels) {
    k = 3 * kInt8Unit + linear.k % kInt8Unit;
  } else if (linear.elements() == Elements::blocks) {
    k = 3 * ir::info(linear.weight).block_elements;
  }
  LATHE_TRY(Problem small, with_numbers(p, {{"n", n}, {"k", std::min(k, linear.k)}}));
  constexpr int64_t kMostRows = 64;  // larger blocks of rows differ in their number of tiles alone
  const int64_t rows =
      linear.rows.high == 1
          ? 1
          : std::min(blocking.mc, kMostRows / blocking.mr * blocking.mr) + 2 * blocking.mr - 1;
  return Miniature{std::move(small), {{"rows", rows}}};
}

// The first, a middle and the last panel, or as many as make a block of y.
Result<Sample> sample(const Problem& p, const Sizes&) {
  const Product linear = product_of(p);
  const int64_t together = linear.panels_in_blocks();
  const int64_t groups = linear.panels() / together;
  std::vector<int64_t> panels;
  for (const int64_t group : {int64_t{0}, groups / 2, groups - 1}) {
    if (!panels.empty() && group * together <= panels.back()) continue;
    for (int64_t i = 0; i < together; ++i) panels.push_back(group * together + i);
  }
  const int64_t step = linear.panel_columns();
  std::vector<int64_t> columns;
  for (const int64_t panel : panels) {
    for (int64_t c = panel * step; c < std::min((panel + 1) * step, linear.n); ++c)
      columns.push_back(c);
  }
  Sample sample;
  LATHE_TRY(sample.problem, with_numbers(p, {{"n", static_cast<int64_t>(columns.size())}}));
  for (size_t i = 1; i < linear.signature.size(); ++i) {
    const Port& port = linear.signature[i];
    const auto last = static_cast<int>(port.shape.size()) - 1;
    if (i < linear.first_input()) {
      sample.takes.push_back({static_cast<int>(i), 0, panels});
    } else if (port.shape.back() == ir::graph::Dim(linear.n)) {
      sample.takes.push_back({static_cast<int>(i), last, columns});
    }
  }
  return sample;
}

}  // namespace

const Family& linear() {
  static const Family family = [] {
    Family linear;
    linear.name = "linear";
    linear.summary = "y = epilogue(x * transpose(w)), w a packed constant weight";
    linear.example = "linear rows=512..2047 n=6144 k=2048 weight=bf16";
    linear.revision = 4;
    linear.parameters = {
        rows_parameter(),
        integer_parameter("n", 1, 1, kMaxWidth, "columns of y"),
        integer_parameter("k", 1, 1, kMaxWidth, "columns of x"),
        [] {
          ParameterSpec spec = float_type_parameter(
              "type", "element type of x and the epilogue's matrices, f32 those beside q8_0");
          spec.choices.emplace_back("q8_0");
          return spec;
        }(),
        quantisable_out_parameter(),
        [] {
          ParameterSpec spec = float_type_parameter("weight", "element type of w");
          for (const char* codes : {"i8", "q8_0", "q4_0", "q4_K"}) spec.choices.emplace_back(codes);
          return spec;
        }(),
        integer_parameter("panel", 16, 8, 64, "columns of w that are packed side by side"),
        flag_parameter("pair", false,
                       "two weights in one: the epilogue has both products, y and z"),
        fragment_parameter("epilogue", "y", "what becomes of the product y"),
    };
    for (const size_t required : {1, 2}) linear.parameters[required].required = true;
    linear.limits = float_and_block_limits({4e-6, 4e-6});
    linear.form = CallForm::linear;
    linear.graph_ops = {"linear", "matmul"};
    linear.smallest = "linear rows=2 n=8 k=5 panel=8 epilogue=add(y,vec(b))";
    linear.validate = validate;
    linear.signature = [](const Problem& p) { return product_of(p).signature; };
    linear.reference = reference;
    linear.space = space;
    linear.build = build;
    linear.work = work;
    linear.miniature = miniature;
    linear.sample = sample;
    linear.shared = &weight_operand();
    return linear;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
