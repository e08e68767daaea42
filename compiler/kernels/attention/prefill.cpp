// attention_prefill: attention of many rows over keys and values in memory.
//
// FlashAttention-2's algorithm (Dao, 2023) on Goto's products: blocks of scores stay in the second
// cache, sums are f32, and memory beside a packed copy of keys and values does not grow with lengths.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/tile_shape.h"

namespace lathe::compiler::kernels {
namespace {

using attention::Attention;
using attention::Causal;
using attention::MaskKind;
using ir::Target;
using ir::Type;

constexpr int64_t kMostDim = 256;

Status validate(const Problem& p) {
  const int64_t heads = p.integer("heads"), kv_heads = p.integer("kv_heads");
  if (heads % kv_heads != 0) {
    return fail(ErrorCode::invalid_argument,
                "heads: found {} with kv_heads={}, expected a multiple of those", heads, kv_heads);
  }
  for (const char* name : {"softcap", "scale"}) {
    if (!(p.number(name) >= 0)) {
      return fail(ErrorCode::invalid_argument, "{}: found {}, expected 0 or more", name,
                  p.number(name));
    }
  }
  return {};
}

Result<ir::graph::Graph> reference(const Problem& p) {
  const Attention attention(p);
  ir::graph::GraphBuilder graph("attention");
  auto inputs = add_graph_inputs(graph, attention.signature);
  for (size_t i = 0; i < 3; ++i) inputs[i] = cast_to(graph, inputs[i], Type::f32);
  size_t next = 3;
  const ir::graph::Var none;
  const auto mask = attention.mask == MaskKind::none ? none : inputs[next++];
  const auto sinks = attention.sinks ? inputs[next++] : none;
  const auto results = graph.op_results(
      "attention", {inputs[0], inputs[1], inputs[2], mask, none, none, none, none, sinks},
      attention.lse ? 2 : 1,
      {{"causal", p.text("causal")},
       {"window", attention.window},
       {"softcap", attention.softcap},
       {"scale", attention.scale}});
  std::vector<ir::graph::Var> outputs = {cast_to(graph, results[0], attention.out)};
  if (attention.lse) {
    const ir::graph::Shape shape = attention.signature.back().shape;
    outputs.push_back(graph.op("reshape", {results[1]}, {{"shape", shape}}));
  }
  return graph.finish(outputs);
}

SearchSpace space(const Problem& p, const Target& target) {
  const Attention attention(p);
  SearchSpace space;
  const TileRegisters registers{target.vector_registers, target.fused};
  std::vector<int64_t> vectors;
  for (const int64_t v : {1, 2, 3, 4})
    if (registers.fit(1, v, 1, 1)) vectors.push_back(v);
  const int64_t most_rows = std::min(attention.tokens.high, most_tile_rows(target));
  const TileShape best = best_shape(registers, vectors, most_rows, 0, target.lanes);
  const TileShape best_value =
      best_shape(registers, vectors, most_rows, attention.value_dim, target.lanes);
  const auto rows = [&](const TileShape& shape) {
    std::vector<int64_t> tiles;
    for (const int64_t tile : tile_rows(registers, vectors.front(), shape, attention.tokens, target))
      if (4 * tile * vectors.back() > 3 * shape.sums()) tiles.push_back(tile);
    return tiles;
  };
  space.knob("mr", rows(best), best.tile, "rows of the register tile of scores");
  space.knob("nr", vectors, best.vectors, "vectors of its keys");
  space.knob("value_mr", rows(best_value), best_value.tile, "rows of the register tile of values");
  space.knob("value_nr", vectors, best_value.vectors, "vectors of its columns");
  space.knob("queries", attention.tokens.high > 32 ? std::vector<int64_t>{32, 64, 128}
                                                   : std::vector<int64_t>{32},
             attention.tokens.high > 32 ? 64 : 32, "tokens of a block, for each head of it");
  space.knob("keys", {64, 128, 256}, 128, "keys of a block");
  space.knob("prefetch", {0, 2048}, 0, "bytes of keys and values asked for ahead of their use");
  const auto shapes = [&](const char* tile, const char* wide, const TileShape& shape) {
    space.require(
        [=](const Schedule& s) { return registers.fit(s[tile], s[wide], 1, 1); },
        "a tile's sums and a step's operands must fit the vector registers");
    space.require([=](const Schedule& s) { return 4 * s[tile] * s[wide] > 3 * shape.sums(); },
                  "a tile of many rows must reuse what it loads");
  };
  shapes("mr", "nr", best);
  shapes("value_mr", "value_nr", best_value);
  return space;
}

Result<ir::plan::Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const Attention attention(p);
  return prefill_plan(attention, attention::Blocking(attention, s, target), target);
}

// Pairs of a token and a key that it sees, of one head.
double visible_pairs(const Attention& attention, int64_t tokens, int64_t context) {
  const int64_t shift = attention.causal == Causal::end ? context - tokens : 0;
  double pairs = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t end =
        attention.is_causal() ? std::clamp<int64_t>(t + shift + 1, 0, context) : context;
    const int64_t begin =
        attention.window > 0 ? std::max<int64_t>(t + shift + 1 - attention.window, 0) : 0;
    pairs += static_cast<double>(std::max<int64_t>(end - begin, 0));
  }
  return pairs;
}

Work work(const Problem& p, const Sizes& sizes) {
  const Attention attention(p);
  const auto size = [&](const char* name) {
    const auto found = sizes.find(name);
    return found == sizes.end() ? int64_t{1} : found->second;
  };
  Work work = work_of(attention.signature, sizes, 0);
  // Two products; maximum, difference, exponential, sum and weighting of each score.
  const double of_pair = 2.0 * static_cast<double>(attention.dim + attention.value_dim) + 5;
  work.flops = visible_pairs(attention, size("tokens"), size("context")) * of_pair *
               static_cast<double>(size("batch") * attention.heads);
  return work;
}

// Two heads of k; two blocks of tokens, the last with rows that fill no tile; three blocks of keys,
// the last with keys that fill no panel.
Result<Miniature> miniature(const Problem& p, const Schedule& s, const Target& target) {
  const Attention attention(p);
  const attention::Blocking blocking(attention, s, target);
  ProblemBuilder builder(p.family());
  for (const ParameterSpec& spec : p.family().parameters) {
    if (spec.name != "heads" && spec.name != "kv_heads") builder.set(spec.name, p.value(spec.name));
  }
  const int64_t kv_heads = std::min<int64_t>(attention.kv_heads, 2);
  LATHE_TRY(Problem small, builder.set("heads", kv_heads * attention.group())
                               .set("kv_heads", kv_heads)
                               .build());
  const int64_t tokens =
      attention.tokens.high < blocking.queries ? attention.tokens.high
                                               : blocking.queries + 2 * blocking.score_tile.tile - 1;
  const int64_t context = 2 * blocking.keys + blocking.scores.panel + target.lanes / 2 + 1;
  return Miniature{std::move(small), {{"batch", 1}, {"tokens", tokens}, {"context", context}}};
}

}  // namespace

const Family& attention_prefill() {
  static const Family family = [] {
    Family attention;
    attention.name = "attention_prefill";
    attention.summary = "y = softmax(softcap(q * transpose(k) * scale) + mask) * v for each head";
    attention.example =
        "attention_prefill tokens=512..2047 heads=16 kv_heads=8 dim=128 causal=end";
    ParameterSpec tokens{"tokens", Bucket{}, "bucket of the number of rows of q, a run-time size"};
    tokens.required = true;
    ParameterSpec context{"context", Bucket{}, "bucket of the number of keys, a run-time size"};
    context.default_of = "tokens";
    ParameterSpec kv_heads =
        integer_parameter("kv_heads", 1, 1, 1 << 16, "heads of k and v, each for several of q");
    kv_heads.default_of = "heads";
    ParameterSpec value_dim =
        integer_parameter("value_dim", 1, 1, kMostDim, "size of a head of v and y");
    value_dim.default_of = "dim";
    ParameterSpec kv_type = float_type_parameter("kv_type", "element type of k and v");
    kv_type.default_of = "type";
    attention.parameters = {
        std::move(tokens),
        std::move(context),
        integer_parameter("heads", 1, 1, 1 << 16, "heads of q"),
        std::move(kv_heads),
        integer_parameter("dim", 1, 1, kMostDim, "size of a head of q and k"),
        std::move(value_dim),
        choice_parameter("causal", {"none", "start", "end"},
                         "whether tokens see later keys; the first token stands at the first key "
                         "(start), or the last at the last (end)"),
        integer_parameter("window", 0, 0, INT32_MAX, "keys that a token sees at most; 0: all"),
        flag_parameter("sinks", false, "a logit for each head joins its softmax"),
        {"softcap", 0.0, "c * tanh(score / c) for each score; 0: none"},
        {"scale", 0.0, "of scores; 0: 1 / sqrt(dim)"},
        choice_parameter("mask", {"none", "bool", "add"},
                         "[batch, heads, tokens, context]: false hides a key, numbers are added"),
        type_parameter(),
        std::move(kv_type),
        out_parameter(),
        flag_parameter("lse", false, "the logarithm of each row's denominator is a result, too"),
    };
    for (const size_t required : {2, 4}) attention.parameters[required].required = true;
    attention.limits = float_limits({1e-5, 2e-5});
    attention.form = CallForm::attention;
    attention.graph_ops = {"attention"};
    attention.smallest = "attention_prefill tokens=1 heads=1 dim=8";
    attention.validate = validate;
    attention.reference = reference;
    attention.space = space;
    attention.build = build;
    attention.work = work;
    attention.miniature = miniature;
    return attention;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
