// attention_page_scores: how relevant each page of a cache is to new tokens, from bounds of its
// keys, or from learned codes.
//
// Quest (Tang et al., 2024) bounds the score of a page's best key by
// sum over d of max(q[d] · min[d], q[d] · max[d]), which is (min(q, 0) ++ max(q, 0)) · (min ++
// max): a product of one row, as codes make, too. The rows that share a head of k read one list, so
// that they get one number, the sum of theirs, as the heads of a group do in native sparse
// attention (Yuan et al., 2025): a bound still, of the sum of best scores, and what a page costs to
// score does not depend on how many rows there are, since the sum may be taken of the rows first.
#include <algorithm>

#include "compiler/kernels/attention/decode_family.h"
#include "compiler/kernels/attention/heads.h"
#include "compiler/kernels/attention/token_sparse.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels {
namespace attention {

PageScores::PageScores(const Problem& p)
    : tokens(p.bucket("tokens")),
      pages(p.bucket("pages")),
      heads(p.integer("heads")),
      kv_heads(p.integer("kv_heads")),
      dim(p.integer("dim")),
      rank(p.text("select") == "learned" ? p.integer("rank") : 0),
      type(p.type("type")),
      code_type(p.type("kv_type")),
      weight_type(p.type("weight_type")) {
  signature.push_back({"q", type, {"batch", "tokens", heads, dim}});
  if (is_learned()) signature.push_back({"w", weight_type, {heads, dim, rank}});
  signature.push_back(
      {is_learned() ? "codes" : "bounds", code_type, {"batch", "pages", kv_heads, width()}});
  signature.push_back(output({"scores", ir::Type::f32, {"batch", kv_heads, "pages"}}));
}

}  // namespace attention

namespace {

using attention::PageScores;
using ir::Target;
using ir::Type;
using ir::graph::Var;

Result<ir::graph::Graph> reference_of_page_scores(const Problem& p) {
  const PageScores s(p);
  ir::graph::GraphBuilder graph("attention_page_scores");
  const std::vector<Var> inputs = add_graph_inputs(graph, s.signature);
  const Var w = s.is_learned() ? inputs[1] : Var{};
  return graph.finish({graph.op("page_scores", {inputs[0], inputs.back(), w})});
}

Status validate_page_scores(const Problem& p) {
  const bool is_learned = p.text("select") == "learned";
  if (is_learned != (p.integer("rank") > 0)) {
    return fail(ErrorCode::invalid_argument, "rank: found {} with select={}, expected {}",
                p.integer("rank"), p.text("select"),
                is_learned ? "1 or more, the size of a code" : "0");
  }
  return attention::validate_decode_family(p);
}

SearchSpace space_of_page_scores(const Problem& p, const Target&) {
  const PageScores s(p);
  SearchSpace space;
  space.knob("key_rows", {1, 2, 4}, 1, "pages that a row of q meets at once");
  space.knob("split",
             s.pages.high > 64 ? std::vector<int64_t>{64, 256, 1024, 0} : std::vector<int64_t>{0},
             s.pages.high > 64 ? 64 : 0, "pages of a task; 0: all of a sequence");
  space.knob("ahead", {0, 8, 16}, 16, "pages that are asked for ahead of their use");
  return space;
}

Result<ir::plan::Plan> build_page_scores(const Problem& p, const Schedule& s,
                                         const Target& target) {
  LATHE_CHECK(space_of_page_scores(p, target).check(s));
  return page_scores_plan(PageScores(p), s, target);
}

Work work_of_page_scores(const Problem& p, const Sizes& sizes) {
  const PageScores s(p);
  const auto size = [&](const char* name) { return static_cast<double>(size_named(sizes, name)); };
  Work work = work_of(s.signature, sizes, 0);
  const double of_page = 2.0 * static_cast<double>(s.kv_heads * s.width());
  const double of_token = static_cast<double>(s.heads * s.dim) * (s.is_learned() ? 1.0 : 4.0);
  const double of_weights =
      s.is_learned() ? 2.0 * static_cast<double>(s.heads * s.dim * s.rank) : 0.0;
  work.flops = size("batch") * (size("pages") * of_page + size("tokens") * of_token + of_weights);
  return work;
}

// Two heads of k; two parts of the pages, the last short.
Result<Miniature> miniature_of_page_scores(const Problem& p, const Schedule& schedule,
                                           const Target&) {
  const PageScores s(p);
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  return Miniature{std::move(small),
                   {{"batch", 1},
                    {"tokens", std::min<int64_t>(s.tokens.high, 3)},
                    {"pages", schedule["split"] + 7}}};
}

}  // namespace

const Family& attention_page_scores() {
  static const Family family = [] {
    Family scores = attention::family_of_decode("attention_page_scores");
    scores.summary =
        "how relevant each page of a cache is: q against bounds of its keys, or q * w against "
        "codes";
    scores.example =
        "attention_page_scores tokens=1 pages=512..2047 heads=16 kv_heads=8 dim=128 kv_type=bf16";
    std::erase_if(scores.parameters, [](const ParameterSpec& parameter) {
      for (const char* name : {"tokens", "heads", "kv_heads", "dim", "type", "kv_type"})
        if (parameter.name == name) return false;
      return true;
    });
    scores.shared = nullptr;  // bounds and codes lie beside a cache
    for (ParameterSpec& parameter : scores.parameters)
      if (parameter.name == "kv_type") parameter.meaning = "element type of bounds or codes";
    ParameterSpec pages{"pages", Bucket{}, "bucket of the number of pages, a run-time size"};
    pages.required = true;
    scores.parameters.insert(scores.parameters.begin() + 1, std::move(pages));
    scores.parameters.push_back(
        choice_parameter("select", {"pages", "learned"},
                         "what pages are judged by: bounds of their keys, or learned codes"));
    scores.parameters.push_back(integer_parameter("rank", 0, 0, 1 << 14, "size of a learned code"));
    ParameterSpec weight_type = float_type_parameter("weight_type", "element type of w");
    weight_type.default_of = "type";
    scores.parameters.push_back(std::move(weight_type));
    scores.revision = 2;
    scores.limits = {{Type::f32, {1e-5, 1e-5}}};
    scores.smallest = "attention_page_scores pages=1 heads=1 dim=8";
    scores.validate = validate_page_scores;
    scores.signature = [](const Problem& p) { return PageScores(p).signature; };
    scores.form = CallForm::operands;
    scores.graph_ops = {"page_scores"};
    scores.reference = reference_of_page_scores;
    scores.space = space_of_page_scores;
    scores.build = build_page_scores;
    scores.work = work_of_page_scores;
    scores.miniature = miniature_of_page_scores;
    return scores;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
