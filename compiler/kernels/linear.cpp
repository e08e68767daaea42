// linear: y[r,:] = epilogue(x[r,:] · wᵀ), w a constant weight in panels.
//
// Products and sums are f32; 16-bit operands widen exactly. With blocks of k, y holds the partial
// sums between them, so results do not depend on rows, threads or the rows' blocks.
#include "compiler/kernels/linear.h"

#include <algorithm>

#include "compiler/choose_layout.h"
#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/linear_int8.h"
#include "compiler/kernels/linear_quantised.h"
#include "compiler/kernels/tile_shape.h"
#include "compiler/weight_packing.h"

namespace lathe::compiler::kernels {
namespace {

using ir::Target;
using ir::Type;

Status validate(const Problem& p) {
  const Fragment epilogue = *Fragment::parse(p.text("epilogue"));
  const int64_t n = p.integer("n");
  const bool pair = p.flag("pair");
  LATHE_CHECK(check_inputs({matrix("y", Type::f32, n)}, epilogue, n, "epilogue",
                           {"x", "w", "w_scales", "w_factors"}));
  if (pair) LATHE_CHECK(check_inputs({matrix("z", Type::f32, n)}, epilogue, n, "epilogue", {}));
  const auto uses = [&](std::string_view name) {
    return std::any_of(epilogue.inputs().begin(), epilogue.inputs().end(),
                       [&](const FragmentInput& input) { return input.name == name; });
  };
  if (!uses("y")) {
    return fail(ErrorCode::invalid_argument, "epilogue: found '{}', expected an expression of y",
                epilogue.text());
  }
  if (pair && !uses("z")) {
    return fail(ErrorCode::invalid_argument,
                "epilogue: found '{}', expected an expression of y and z, the products with the "
                "weight's two halves",
                epilogue.text());
  }
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
  const Linear linear(p);
  ir::graph::GraphBuilder graph("linear");
  const auto inputs = add_graph_inputs(graph, linear.signature);
  const size_t parts = linear.part_bytes.size();
  const auto w =
      unpacked(graph, layout_of(p),
               {inputs.begin() + 1, inputs.begin() + 1 + static_cast<std::ptrdiff_t>(parts)});
  auto x = linear.type == Type::q8_0 ? graph.op("dequantize", {inputs[0]})
                                     : cast_to(graph, inputs[0], Type::f32);
  if (linear.by_channel()) {
    const auto rows = graph.op_results("quantize_rows", {x}, 2);
    x = graph.op("mul", {cast_to(graph, rows[0], Type::f32), rows[1]});
  } else if (linear.quantised() && linear.type != Type::q8_0) {
    const auto blocks = graph.op("quantize", {x}, {{"type", Type::q8_0}});
    x = graph.op("dequantize", {blocks});
  }
  const auto product = graph.op("linear", {x, w});
  ir::graph::Var y = product, z;
  if (linear.pair) {
    y = graph.op("slice", {product}, {{"axis", -1}, {"end", linear.n}});
    z = graph.op("slice", {product}, {{"axis", -1}, {"begin", linear.n}});
  }
  std::vector<ir::graph::Var> operands;
  for (const FragmentInput& input : linear.epilogue.inputs()) {
    if (input.name == "y") {
      operands.push_back(y);
    } else if (linear.pair && input.name == "z") {
      operands.push_back(z);
    } else {
      for (size_t i = linear.first_input(); i < inputs.size(); ++i)
        if (linear.signature[i].name == input.name) operands.push_back(inputs[i]);
    }
  }
  return graph.finish({fragment_graph(graph, linear.epilogue, operands, linear.out)});
}

TileRegisters float_registers(const Linear& linear, const Target& target) {
  // Without hardware for f16 its conversions need registers too.
  const bool converts = linear.weight == Type::f16 && !target.f16c;
  return {target.vector_registers - (converts ? 3 : 0), target.fused};
}

// Whether the registers hold `rows` rows of a tile of the blocking's, `vectors` wide.
bool tile_fits(const Linear& linear, const LinearBlocking& blocking, const Target& target,
               int64_t rows, int64_t vectors) {
  if (linear.by_channel())
    return int8_tile_fits(target, rows, vectors, blocking.streams, blocking.expand);
  if (linear.quantised()) return quantised_tile_fits(target, rows, vectors, blocking.streams);
  return float_registers(linear, target).fit(rows, vectors, blocking.streams, blocking.chains);
}

SearchSpace space(const Problem& p, const Target& target) {
  const Linear linear(p);
  if (linear.by_channel()) return int8_linear_space(linear, target);
  if (linear.quantised()) return quantised_linear_space(linear, target);
  SearchSpace space;
  const bool blocked = linear.rows.low >= kLeastBlockedRows;
  const TileRegisters registers = float_registers(linear, target);
  const int64_t panel_vectors = std::max<int64_t>(linear.panel / target.lanes, 1);
  std::vector<int64_t> vectors;
  for (int64_t v = 1; v <= panel_vectors; ++v)
    if (panel_vectors % v == 0 && registers.fit(1, v, 1, 1)) vectors.push_back(v);
  const int64_t most_rows = std::min(linear.rows.high, most_tile_rows(target));
  const TileShape best = best_shape(registers, vectors, most_rows, /*columns=*/0, target.lanes);
  const bool few = linear.rows.low < 8;
  const auto tiles = tile_rows(registers, vectors.front(), best, linear.rows, target);
  const int64_t tile = best.tile;
  space.knob("tile", tiles, tile, "rows of the register tile");
  space.knob("vectors", vectors, best.vectors, "vectors of a panel that a tile multiplies at once");

  // As many sums as keep the multipliers busy.
  constexpr int64_t kEnoughSums = 8;
  std::vector<int64_t> streams = {1}, chains = {1};
  for (const int64_t more : {2, 4}) {
    if (!few) break;  // larger tiles have sums enough
    if (!linear.pair && registers.fit(1, panel_vectors, more, 1)) streams.push_back(more);
    if (registers.fit(1, vectors.front(), 1, more)) chains.push_back(more);
  }
  // Panels one after the other, by measurement: far ahead of a single stream, prefetching finds the
  // memory's whole bandwidth.
  constexpr int64_t usual_streams = 1;
  int64_t usual_chains = 1;
  for (const int64_t more : chains)
    if (tile * best.vectors * usual_streams * usual_chains < kEnoughSums &&
        registers.fit(tile, best.vectors, usual_streams, more))
      usual_chains = more;
  space.knob("streams", streams, usual_streams, "panels of w that a tile reads side by side");
  space.knob("chains", chains, usual_chains,
             "parts of each sum, so that it does not wait for itself");
  space.knob("unroll", linear.rows.high > 1 ? std::vector<int64_t>{4} : std::vector<int64_t>{4, 8},
             4, "steps of k in one trip");

  std::vector<int64_t> depths;
  // Many rows: y keeps the sums between blocks. A few rows go through each panel block by block, so
  // that w comes at an even pace.
  const bool keeps_partial = linear.out == Type::f32 && !linear.pair;
  const auto candidates =
      blocked ? std::vector<int64_t>{512, 1024, 2048} : std::vector<int64_t>{64, 512};
  for (const int64_t depth : candidates) {
    const bool possible = blocked ? keeps_partial : !few && linear.k % depth == 0;
    if (possible && depth < linear.k) depths.push_back(depth);
  }
  // 16-bit weights gain nothing by the even pace, on any kind of machine that was searched, but for
  // pairs with AVX2, whose tiles hold few sums.
  const bool gains = linear.weight == Type::f32 || (linear.pair && target.lanes < 16);
  const bool paced = !blocked && !few && gains && !depths.empty() && depths.front() == 64;
  depths.push_back(0);
  space.knob("depth", depths, paced ? 64 : 0, "steps of k in a block; 0: all of k");
  if (blocked) {
    space.knob("rows", {48, 96, 192}, linear.k > 4096 ? 96 : 192, "rows of x in a block");
    space.knob("columns", {128, 512}, 128, "columns of w in a block, for all rows and all of k");
  }
  // Many rows are always packed, and panels widened for all of them; few gain nothing by it.
  if (linear.weight != Type::f32 && !blocked && !few) {
    space.choice("expand", {"off", "on"}, "off",
                 "whether a panel is widened once for all rows of the block");
    space.require([](const Schedule& s) { return s["expand"] == 0 || s["depth"] == 0; },
                  "a panel is widened for all of k at once");
  }
  if (linear.type == Type::f32 && !blocked && !few) {
    space.choice(
        "pack", {"off", "on"}, "on",
        "whether rows of x are first copied to where they do not compete for the same sets "
        "of the first cache");
  }
  if (!few) {
    space.choice("next", {"off", "on"}, "on",
                 "whether the tiles of a panel ask for the next panel, into the second cache");
  }
  if (blocked) {
    space.knob("prefetch", {0, 2048}, 0,
               "bytes of w that are asked for ahead of their use, from the second cache");
  } else {
    space.knob("prefetch", {0, 2048, 4096, 8192}, 8192,
               "bytes of w that are asked for ahead of their use");
  }
  space.require(
      [=](const Schedule& s) {
        return registers.fit(s["tile"], s["vectors"], s["streams"], s["chains"]);
      },
      "the tile's sums and a step's operands must fit the vector registers");
  space.require(
      [=](const Schedule& s) { return s["streams"] == 1 || s["vectors"] == panel_vectors; },
      "panels are read side by side only as a whole");
  if (!few) {
    space.require([=](const Schedule& s) { return 2 * s["tile"] * s["vectors"] > best.sums(); },
                  "a tile of many rows must reuse what it loads");
  }
  return space;
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const Linear linear(p);
  if (linear.panel % target.lanes != 0) {
    return fail(ErrorCode::rejected,
                "a panel of {} columns is no multiple of the target's {} lanes", linear.panel,
                target.lanes);
  }
  return linear_plan(linear, LinearBlocking(linear, s, target), target);
}

Work work(const Problem& p, const Sizes& sizes) {
  Linear linear(p);
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

// The same problem with other numbers of columns.
Result<Problem> resized(const Problem& p, int64_t n, int64_t k) {
  ProblemBuilder builder(p.family());
  for (const ParameterSpec& spec : p.family().parameters) {
    if (spec.name != "n" && spec.name != "k") builder.set(spec.name, p.value(spec.name));
  }
  return builder.set("n", n).set("k", k).build();
}

// Some panels in each direction of a group of streams and the partial one; two blocks of k, the
// last short, with the steps that fill no trip; two blocks of rows, the last with rows that fill no
// tile.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  const Linear linear(p);
  const LinearBlocking blocking(linear, s, target);
  const int64_t step = linear.panel_columns();
  int64_t n = (2 * blocking.streams + 1) * step + linear.n % step;
  const int64_t block = ir::info(linear.out).block_elements;
  n = std::min(linear.n, (n + block - 1) / block * block);
  int64_t k = linear.k;
  const int64_t trips = 2 * blocking.unroll;
  if (!blocking.has_blocks(linear)) {
    k = trips + linear.k % blocking.unroll;
  } else if (blocking.depth_inside) {
    k = 2 * blocking.depth;
  } else {
    k = blocking.depth + trips + linear.k % blocking.unroll;
  }
  if (linear.by_channel()) {
    k = 3 * kInt8Unit + linear.k % kInt8Unit;
  } else if (linear.quantised()) {
    k = 3 * ir::info(linear.weight).block_elements;
  }
  LATHE_TRY(Problem small, resized(p, n, std::min(k, linear.k)));
  constexpr int64_t kMostRows = 64;  // larger blocks of rows differ in their number of tiles alone
  const int64_t rows = linear.rows.high == 1
                           ? 1
                           : std::min(blocking.rows, kMostRows / blocking.tile * blocking.tile) +
                                 2 * blocking.tile - 1;
  return Miniature{std::move(small), {{"rows", rows}}};
}

// The first, a middle and the last panel, or as many as make a block of y.
Result<Sample> sample(const Problem& p, const Sizes&) {
  const Linear linear(p);
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
  LATHE_TRY(sample.problem, resized(p, static_cast<int64_t>(columns.size()), linear.k));
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

Linear::Linear(const Problem& p)
    : name(p.family().name),
      rows(p.bucket("rows")),
      n(p.integer("n")),
      k(p.integer("k")),
      panel(p.integer("panel")),
      pair(p.flag("pair")),
      type(p.type("type")),
      out(p.type("out")),
      weight(p.type("weight")),
      epilogue(*Fragment::parse(p.text("epilogue"))) {
  signature.push_back(matrix("x", type, k));
  for (const PackedPart& part : packed_parts(layout_of(p))) {
    Port port{part.name, part.type, {}};
    for (const int64_t size : part.shape) port.shape.emplace_back(size);
    part_bytes.push_back(port.row_bytes() / panels());
    signature.push_back(std::move(port));
  }
  Signature inputs;
  add_inputs(inputs, epilogue, type == Type::q8_0 ? Type::f32 : type, Type::f32, n, "y");
  for (Port& port : inputs)
    if (!(pair && port.name == "z")) signature.push_back(std::move(port));
  signature.push_back(output(matrix("y", out, n)));
}

bool Linear::widens(const Target& target) const {
  if (by_channel()) return !target.vnni;
  return weight != Type::f32 && !quantised();
}

bool Linear::has_plain_epilogue() const {
  if (tile_out() != Type::f32 || pair) return false;
  return epilogue.is_leaf() || !plain_bias().empty();
}

std::string Linear::plain_bias() const {
  const auto& inputs = epilogue.inputs();
  if (inputs.size() != 2 || inputs[1].kind != LeafKind::vector) return {};
  return epilogue.text() == fmt::format("add(y,vec({}))", inputs[1].name) ? inputs[1].name
                                                                          : std::string();
}

LinearBlocking::LinearBlocking(const Linear& linear, const Schedule& s, const Target& target)
    : tile(static_cast<int>(s["tile"])),
      vectors(static_cast<int>(s["vectors"])),
      parts(static_cast<int>(linear.panel / target.lanes / vectors)),
      streams(static_cast<int>(s["streams"])),
      chains(s.has("chains") ? static_cast<int>(s["chains"]) : 1),
      unroll(s.has("unroll")       ? static_cast<int>(s["unroll"])
             : linear.by_channel() ? static_cast<int>(kInt8Unit)
                                   : 32),
      depth(!s.has("depth") || s["depth"] == 0 ? linear.k : s["depth"]),
      depth_inside(!s.has("rows")),
      rows(s.has("rows") ? std::max<int64_t>(s["rows"] / tile, 1) * tile : INT32_MAX / tile * tile),
      panels(s.has("columns") ? (s["columns"] + linear.panel - 1) / linear.panel : 0),
      pack(s.has("pack") ? s["pack"] == 1
                         : linear.quantised() || linear.type != Type::f32 ||
                               linear.rows.low >= kLeastBlockedRows),
      expand(s.has("expand") ? s["expand"] == 1
                             : linear.rows.low >= kLeastBlockedRows && linear.widens(target)),
      prefetch(s.has("prefetch") ? s["prefetch"] : 0),
      next_panel(s.has("next") && s["next"] == 1),
      prefetch_y(pack),
      shares_scales(linear.weight == Type::q4_K && linear.rows.low >= kLeastBlockedRows) {
  const int panel_vectors = vectors * parts;
  for (int count = 1; count < tile; ++count) {
    int most = vectors;
    for (int wider = vectors + 1; wider <= panel_vectors; ++wider)
      if (panel_vectors % wider == 0 && tile_fits(linear, *this, target, count, wider))
        most = wider;
    vectors_of_fewer.push_back(most);
  }
}

LinearBlocking LinearBlocking::of_rows(int count) const {
  LinearBlocking fewer = *this;
  if (count - 1 < static_cast<int>(vectors_of_fewer.size())) {
    fewer.vectors = vectors_of_fewer[static_cast<size_t>(count) - 1];
    fewer.parts = vectors * parts / fewer.vectors;
  }
  return fewer;
}

int64_t LinearBlocking::expanded_bytes(const Linear& linear) const {
  if (linear.by_channel()) return expand ? int8_padded(linear.k) * linear.panel * 2 : 0;
  if (expand) return depth * linear.panel * 4;
  if (linear.weight != Type::q4_K) return 0;
  constexpr int64_t kFactors = 16;  // of the eight parts of a block of 256
  return kFactors * linear.panel * (shares_scales ? linear.k / 256 : streams) * 4;
}

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
    linear.reference = reference;
    linear.space = space;
    linear.build = build;
    linear.work = work;
    linear.miniature = miniature;
    linear.sample = sample;
    return linear;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
