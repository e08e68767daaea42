// attention_router: scores by which attention_block_sparse's lists are chosen.
//
// Blocks are pooled to their means and go through learned projections, as in SeerAttention (Gao et
// al., 2024); without these it is the mean pooling of MoBA (Lu et al., 2025).
#include "compiler/kernels/attention/router.h"

#include <algorithm>
#include <cmath>

#include "compiler/kernels/attention/heads.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels {

namespace attention {

Router::Router(const Problem& p)
    : heads(p.integer("heads")),
      kv_heads(p.integer("kv_heads")),
      dim(p.integer("dim")),
      block(p.integer("block")),
      rank(p.integer("rank")),
      scale(1 / std::sqrt(static_cast<double>(dim))),
      type(p.type("type")) {
  signature.push_back({"q", type, {"batch", "tokens", heads, dim}});
  signature.push_back({"k", type, {"batch", "context", kv_heads, dim}});
  if (has_weights()) {
    signature.push_back({"wq", ir::Type::f32, {heads, dim, rank}});
    signature.push_back({"wk", ir::Type::f32, {kv_heads, dim, rank}});
  }
  signature.push_back(
      output({"scores", ir::Type::f32, {"batch", kv_heads, "query_blocks", "key_blocks"}}));
}

RouterBlocking::RouterBlocking(const Schedule& s)
    : rows(static_cast<int>(s["rows"])), keys(static_cast<int>(s["keys"])) {}

}  // namespace attention

namespace {

using attention::Router;
using attention::RouterBlocking;
using ir::Target;

constexpr int64_t kMostRank = 256;

Status validate_router(const Problem& p) {
  const int64_t heads = p.integer("heads"), kv_heads = p.integer("kv_heads");
  if (heads % kv_heads == 0) return {};
  return fail(ErrorCode::invalid_argument,
              "heads: found {} with kv_heads={}, expected a multiple of those", heads, kv_heads);
}

Sizes sizes_of_blocks(const Problem& p, const Sizes& sizes) {
  const int64_t block = p.integer("block");
  Sizes blocks;
  const auto add = [&](const char* name, const char* of) {
    if (const auto found = sizes.find(of); found != sizes.end())
      blocks[name] = (found->second + block - 1) / block;
  };
  add("query_blocks", "tokens");
  add("key_blocks", "context");
  return blocks;
}

Result<ir::graph::Graph> router_reference(const Problem& p) {
  const Router router(p);
  ir::graph::GraphBuilder graph("attention_router");
  const auto inputs = add_graph_inputs(graph, router.signature);
  const ir::graph::Shape query_blocks = {"query_blocks"}, key_blocks = {"key_blocks"};
  return graph.finish({graph.op(
      "block_scores", inputs,
      {{"block", router.block}, {"query_blocks", query_blocks}, {"key_blocks", key_blocks}})});
}

SearchSpace router_space(const Problem&, const Target&) {
  SearchSpace space;
  space.knob("rows", {1, 2, 4}, 4, "tokens that are added up at once");
  space.knob("keys", {1, 2, 4}, 4, "blocks of keys that meet a block of tokens at once");
  return space;
}

Result<ir::plan::Plan> build_router(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(router_space(p, target).check(s));
  return router_plan(Router(p), RouterBlocking(s), target);
}

Work router_work(const Problem& p, const Sizes& sizes) {
  const Router router(p);
  const auto size = [&](const char* name) { return static_cast<double>(size_named(sizes, name)); };
  const auto head = static_cast<double>(router.dim);
  const double queries = size("query_blocks") * static_cast<double>(router.heads) * head;
  const double keys = size("key_blocks") * static_cast<double>(router.kv_heads) * head;
  Work work = work_of(router.signature, sizes, 0);
  // Sums, means times weights, and a product of every two blocks.
  work.flops = size("tokens") * static_cast<double>(router.heads) * head +
               size("context") * static_cast<double>(router.kv_heads) * head +
               (queries + keys) * static_cast<double>(2 * router.rank + 1) +
               size("query_blocks") * size("key_blocks") *
                   static_cast<double>(router.kv_heads * (2 * router.width() + 1));
  work.flops *= size("batch");
  return work;
}

// Two heads of k; three blocks of tokens and four of keys, the last of each short.
Result<Miniature> router_miniature(const Problem& p, const Schedule& s, const Target&) {
  const Router router(p);
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  Sizes sizes = {{"batch", 1},
                 {"tokens", 2 * router.block + 2 * s["rows"] - 1},
                 {"context", 3 * router.block + 5}};
  sizes.merge(sizes_of_blocks(p, sizes));
  return Miniature{std::move(small), std::move(sizes)};
}

// The first and the last head of k.
Result<Sample> router_sample(const Problem& p, const Sizes&) {
  const Router router(p);
  const attention::OuterHeads outer(p);
  Sample sample;
  LATHE_TRY(sample.problem, outer.problem(p));
  for (size_t i = 0; i < router.signature.size(); ++i) {
    const std::string& name = router.signature[i].name;
    const int axis = name == "scores" ? 1 : name.starts_with("w") ? 0 : 2;
    sample.takes.push_back(
        {static_cast<int>(i), axis, name == "q" || name == "wq" ? outer.heads : outer.kv_heads});
  }
  return sample;
}

}  // namespace

const Family& attention_router() {
  static const Family family = [] {
    ParameterSpec heads = integer_parameter("heads", 1, 1, 1 << 16, "heads of q");
    heads.required = true;
    ParameterSpec kv_heads =
        integer_parameter("kv_heads", 1, 1, 1 << 16, "heads of k, each for several of q");
    kv_heads.default_of = "heads";
    ParameterSpec dim = integer_parameter("dim", 1, 1, 1 << 14, "size of a head");
    dim.required = true;
    Family router;
    router.name = "attention_router";
    router.summary = "scores of blocks: (mean(q) * wq) * transpose(mean(k) * wk) / sqrt(dim)";
    router.example = "attention_router tokens=8192 heads=16 kv_heads=8 dim=128 rank=16";
    router.parameters = {
        {"tokens", Bucket{}, "bucket of the number of rows of q, a run-time size"},
        {"context", Bucket{}, "bucket of the number of keys, a run-time size"},
        std::move(heads),
        std::move(kv_heads),
        std::move(dim),
        integer_parameter("block", 64, 1, 1 << 16, "tokens of a block, and keys of one"),
        integer_parameter("rank", 0, 0, kMostRank,
                          "columns of wq [heads, dim, rank] and wk [kv_heads, dim, rank]; 0: no "
                          "weights, the query heads' means are added up"),
        type_parameter(),
    };
    router.parameters[0].required = true;
    router.parameters[1].default_of = "tokens";
    router.limits = {{ir::Type::f32, {1e-5, 1e-5}}};
    router.smallest = "attention_router tokens=1 heads=1 dim=8 block=16";
    router.validate = validate_router;
    router.signature = [](const Problem& p) { return Router(p).signature; };
    router.form = CallForm::operands;
    router.graph_ops = {"block_scores"};
    router.reference = router_reference;
    router.space = router_space;
    router.build = build_router;
    router.work = router_work;
    router.miniature = router_miniature;
    router.sample = router_sample;
    router.dependent_sizes = sizes_of_blocks;
    return router;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
