// attention_low_rank: decode against factors of keys and values, with a window of whole ones.
#include "compiler/kernels/attention/low_rank.h"

#include <algorithm>

#include "compiler/kernels/attention/decode_family.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels {
namespace attention {

using ir::Type;

LowRank::LowRank(const Problem& p)
    : attention(p),
      factors(attention),
      recent(attention),
      window(p.integer("recent")),
      per_head(p.text("up") == "heads"),
      up_type(p.type("weight_type")) {
  factors.dim = p.integer("rank");
  factors.value_dim = p.integer("value_rank");
  if (window > 0) {
    factors.causal = Causal::none;
    recent.lengths = true;
  }
  const Attention& a = attention;
  Signature signature = {
      {"q", a.type, {"batch", "tokens", a.heads, a.dim}},
      {"c_k", a.kv_type, {"batch", "context", a.kv_heads, factors.dim}},
      {"c_v", a.kv_type, {"batch", "context", a.kv_heads, factors.value_dim}},
      {"u_k", up_type, {up_heads(), factors.dim, a.dim}},
      {"u_v", up_type, {up_heads(), factors.value_dim, a.value_dim}},
  };
  if (window > 0) {
    signature.push_back({"k", a.kv_type, {"batch", window, a.kv_heads, a.dim}});
    signature.push_back({"v", a.kv_type, {"batch", window, a.kv_heads, a.value_dim}});
  }
  if (a.lengths) signature.push_back({"lengths", Type::i32, {"batch"}});
  if (window > 0) signature.push_back({"recent_lengths", Type::i32, {"batch"}});
  // What follows the caches is as in other families: sinks, y, lse.
  for (const Port& port : a.signature)
    if (port.name == "sinks" || port.output) signature.push_back(port);
  attention.signature = std::move(signature);
}

}  // namespace attention

namespace {

using attention::LowRank;
using ir::Target;
using ir::Type;
using ir::graph::GraphBuilder;
using ir::graph::Var;

constexpr int64_t kShortVectors = 4;

// Rows [batch, context, kv_heads, rank] times matrices [up_heads, rank, width]: whole keys or
// values [batch, context, up_heads, width].
Var expand(GraphBuilder& graph, const LowRank& low_rank, Var rows, Var up, int64_t rank,
           int64_t width) {
  const int64_t kv_heads = low_rank.attention.kv_heads, all = low_rank.up_heads();
  const Var by_head = graph.op("transpose", {rows}, {{"perm", {0, 2, 1, 3}}});
  const Var left =
      graph.op("reshape", {by_head}, {{"shape", {"batch", kv_heads, 1, "context", rank}}});
  const Var right = graph.op("reshape", {up}, {{"shape", {kv_heads, all / kv_heads, rank, width}}});
  const Var product = graph.op("matmul", {left, right});
  const Var whole = graph.op("reshape", {product}, {{"shape", {"batch", all, "context", width}}});
  return graph.op("transpose", {whole}, {{"perm", {0, 2, 1, 3}}});
}

Result<ir::graph::Graph> reference_of_low_rank(const Problem& p) {
  const LowRank low_rank(p);
  const attention::Attention& a = low_rank.attention;
  GraphBuilder graph("attention_low_rank");
  const NamedInputs inputs(graph, a.signature);
  const Var q = inputs.wide("q");
  const auto attend = [&](Var keys, Var values, Var lengths, Var sinks, const std::string& causal) {
    return graph.op_results(
        "attention", {q, keys, values, Var{}, Var{}, Var{}, lengths, Var{}, sinks}, 2,
        {{"causal", causal}, {"softcap", a.softcap}, {"scale", p.number("scale")}});
  };
  const auto& factors = low_rank.factors;
  const Var keys =
      expand(graph, low_rank, inputs.wide("c_k"), inputs.wide("u_k"), factors.dim, a.dim);
  const Var values = expand(graph, low_rank, inputs.wide("c_v"), inputs.wide("u_v"),
                            factors.value_dim, a.value_dim);
  // Before a window every token sees them all.
  const std::string causal = p.text("causal");
  std::vector<Var> results = attend(keys, values, inputs["lengths"], inputs["sinks"],
                                    low_rank.window > 0 ? "none" : causal);
  if (low_rank.window > 0) {
    const std::vector<Var> recent =
        attend(inputs.wide("k"), inputs.wide("v"), inputs["recent_lengths"], Var{}, causal);
    results =
        graph.op_results("merge_attention", {results[0], results[1], recent[0], recent[1]}, 2);
  }
  return attention::finish_reference(graph, a, results);
}

SearchSpace space_of_low_rank(const Problem& p, const Target& target) {
  // Rows of a few vectors take less time than the sums and steps between them: several at once.
  const LowRank low_rank(p);
  const bool is_short = low_rank.factors.dim <= kShortVectors * target.lanes;
  return attention::decode_space(low_rank.factors, target, {.together = is_short ? 4 : 1});
}

Result<ir::plan::Plan> build_low_rank(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space_of_low_rank(p, target).check(s));
  return attention::low_rank_plan(LowRank(p), s, target);
}

Work work_of_low_rank(const Problem& p, const Sizes& sizes) {
  const LowRank low_rank(p);
  const attention::Attention& a = low_rank.attention;
  const auto size = [&](const char* name) { return static_cast<double>(size_named(sizes, name)); };
  // Two products, and five steps of the softmax, for each pair of a token and a row that it may
  // see; q and the sums of the factors by their matrices.
  const auto of_pair = [](const attention::Attention& of) {
    return 2.0 * static_cast<double>(of.dim + of.value_dim) + 5;
  };
  const double absorbing = 2.0 * static_cast<double>(low_rank.factors.dim * a.dim +
                                                     low_rank.factors.value_dim * a.value_dim);
  Work work = work_of(a.signature, sizes, 0);
  work.flops = (size("context") * of_pair(low_rank.factors) +
                static_cast<double>(low_rank.window) * of_pair(a) + absorbing) *
               size("batch") * size("tokens") * static_cast<double>(a.heads);
  return work;
}

// Two heads of k; two parts of the context, with two blocks of rows each, the last short.
Result<Miniature> miniature_of_low_rank(const Problem& p, const Schedule& s, const Target&) {
  const LowRank low_rank(p);
  const attention::DecodeBlocking blocking(low_rank.factors, s);
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  const int64_t context = std::max(blocking.split, blocking.keys) + blocking.keys + 7;
  return Miniature{std::move(small),
                   {{"batch", 1},
                    {"tokens", std::min<int64_t>(low_rank.attention.tokens.high, 3)},
                    {"context", context}}};
}

Result<Sample> sample_of_low_rank(const Problem& p, const Sizes& sizes) {
  const LowRank low_rank(p);
  const attention::OuterHeads outer(p);
  const auto& of_up = low_rank.per_head ? outer.heads : outer.kv_heads;
  return attention::sample_of_decode(p, low_rank.attention, sizes, outer,
                                     {{"u_k", 0, of_up}, {"u_v", 0, of_up}});
}

}  // namespace

const Family& attention_low_rank() {
  static const Family family = [] {
    Family low_rank = attention::family_of_decode("attention_low_rank");
    low_rank.summary =
        "attention of up to 16 new tokens of each sequence against keys c_k * u_k and values "
        "c_v * u_v, which are never made";
    low_rank.example =
        "attention_low_rank tokens=1 context=2048..8191 heads=16 kv_heads=8 dim=128 rank=32 "
        "recent=64";
    ParameterSpec rank = integer_parameter("rank", 1, 1, 1 << 14, "size of a head's row of c_k");
    rank.required = true;
    ParameterSpec value_rank =
        integer_parameter("value_rank", 1, 1, 1 << 14, "size of a head's row of c_v");
    value_rank.default_of = "rank";
    low_rank.parameters.push_back(std::move(rank));
    low_rank.parameters.push_back(std::move(value_rank));
    low_rank.parameters.push_back(choice_parameter(
        "up", {"kv_heads", "heads"},
        "which heads have matrices u_k and u_v of their own: those of k, or those of q"));
    low_rank.parameters.push_back(integer_parameter(
        "recent", 0, 0, 1 << 20, "rows of k and v, kept whole, that follow those of c_k and c_v"));
    ParameterSpec weight_type = float_type_parameter("weight_type", "element type of u_k and u_v");
    weight_type.default_of = "type";
    low_rank.parameters.push_back(std::move(weight_type));
    low_rank.revision = 2;
    low_rank.smallest = "attention_low_rank context=1 heads=1 dim=8 rank=8";
    low_rank.signature = [](const Problem& p) { return LowRank(p).attention.signature; };
    low_rank.form = CallForm::low_rank;
    low_rank.graph_ops = {"attention", "merge_attention"};
    low_rank.reference = reference_of_low_rank;
    low_rank.space = space_of_low_rank;
    low_rank.build = build_low_rank;
    low_rank.work = work_of_low_rank;
    low_rank.miniature = miniature_of_low_rank;
    low_rank.sample = sample_of_low_rank;
    return low_rank;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
