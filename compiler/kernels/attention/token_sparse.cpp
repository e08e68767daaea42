// attention_token_sparse: decode against the pages of a cache that are listed for each head of k.
#include "compiler/kernels/attention/token_sparse.h"

#include <algorithm>

#include "compiler/kernels/attention/decode_family.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels {
namespace attention {

TokenSparse::TokenSparse(const Problem& p)
    : attention(p), page(p.integer("page")), kept(p.bucket("kept")) {
  Signature& signature = attention.signature;
  signature.insert(signature.begin() + 3,
                   {"pages", ir::Type::i32, {"batch", attention.kv_heads, "kept"}});
}

SearchSpace TokenSparse::space(const ir::Target& target) const {
  const auto keys = [&](int64_t pages) {
    return pages > INT64_MAX / page ? INT64_MAX : pages * page;
  };
  Attention listed = attention;
  listed.context = {keys(kept.low), keys(kept.high)};
  return decode_space(listed, target, {.listed = true});
}

// Blocks and parts are of whole pages, a part of whole blocks.
DecodeBlocking TokenSparse::blocking(const Schedule& schedule) const {
  DecodeBlocking blocking(attention, schedule);
  blocking.listed_page = page;
  const int64_t entries = std::max<int64_t>(blocking.keys / page, 1);
  blocking.keys = entries * page;
  if (blocking.split > 0)
    blocking.split = std::max<int64_t>(blocking.split / blocking.keys, 1) * blocking.keys;
  blocking.rows = {blocking.keys, row_bytes(blocking.keys), row_bytes(attention.value_dim)};
  blocking.pair_up(attention);
  return blocking;
}

}  // namespace attention

namespace {

using attention::TokenSparse;
using ir::Target;
using ir::Type;
using ir::graph::Var;

Result<ir::graph::Graph> reference_of_token_sparse(const Problem& p) {
  const TokenSparse sparse(p);
  const attention::Attention& a = sparse.attention;
  ir::graph::GraphBuilder graph("attention_token_sparse");
  const NamedInputs inputs(graph, a.signature);
  const ir::graph::Shape keys = {"context"};
  const Var mask = graph.op("page_mask", {inputs["pages"]},
                            {{"page", sparse.page}, {"heads", a.heads}, {"keys", keys}});
  const auto results =
      graph.op_results("attention",
                       {inputs.wide("q"), inputs.wide("k"), inputs.wide("v"), mask, Var{}, Var{},
                        inputs["lengths"], Var{}, inputs["sinks"]},
                       a.lse ? 2 : 1, {{"causal", p.text("causal")}, {"scale", p.number("scale")}});
  return attention::finish_reference(graph, a, results);
}

SearchSpace space_of_token_sparse(const Problem& p, const Target& target) {
  return TokenSparse(p).space(target);
}

Result<ir::plan::Plan> build_token_sparse(const Problem& p, const Schedule& s,
                                          const Target& target) {
  LATHE_CHECK(space_of_token_sparse(p, target).check(s));
  const TokenSparse sparse(p);
  return token_sparse_plan(sparse, sparse.blocking(s), target);
}

// Of the caches what is listed.
Work work_of_token_sparse(const Problem& p, const Sizes& sizes) {
  const TokenSparse sparse(p);
  const attention::Attention& a = sparse.attention;
  const auto size = [&](const char* name) { return static_cast<double>(size_named(sizes, name)); };
  Signature listed = a.signature;
  for (Port& port : listed)
    if (port.name == "k" || port.name == "v") port.shape[1] = sparse.page * ir::graph::Dim("kept");
  Work work = work_of(listed, sizes, 0);
  const double of_pair = 2.0 * static_cast<double>(a.dim + a.value_dim) + 5;
  work.flops = size("kept") * static_cast<double>(sparse.page) * of_pair * size("batch") *
               size("tokens") * static_cast<double>(a.heads);
  return work;
}

// Two heads of k; two parts of the lists, with two blocks each, the last short; a page that the
// keys do not fill.
Result<Miniature> miniature_of_token_sparse(const Problem& p, const Schedule& s, const Target&) {
  const TokenSparse sparse(p);
  const attention::DecodeBlocking blocking = sparse.blocking(s);
  LATHE_TRY(Problem small, attention::with_few_heads(p));
  const int64_t kept = (std::max(blocking.split, blocking.keys) + blocking.keys) / sparse.page + 1;
  return Miniature{std::move(small),
                   {{"batch", 1},
                    {"tokens", std::min<int64_t>(sparse.attention.tokens.high, 3)},
                    {"context", 2 * kept * sparse.page + sparse.page / 2 + 1},
                    {"kept", kept}}};
}

Result<Sample> sample_of_token_sparse(const Problem& p, const Sizes& sizes) {
  const TokenSparse sparse(p);
  const attention::OuterHeads outer(p);
  return attention::sample_of_decode(p, sparse.attention, sizes, outer,
                                     {{"pages", 1, outer.kv_heads}});
}

}  // namespace

const Family& attention_token_sparse() {
  static const Family family = [] {
    Family sparse = attention::family_of_decode("attention_token_sparse");
    sparse.summary =
        "attention of up to 16 new tokens of each sequence against listed pages of a cache";
    sparse.example =
        "attention_token_sparse tokens=1 context=8192.. heads=16 kv_heads=8 dim=128 kept=32..127";
    // A capped score cannot say that its key is hidden.
    std::erase_if(sparse.parameters,
                  [](const ParameterSpec& parameter) { return parameter.name == "softcap"; });
    sparse.parameters.push_back(integer_parameter("page", 16, 1, 1 << 16, "keys of a page"));
    ParameterSpec kept{"kept", Bucket{}, "bucket of the number of pages listed, a run-time size"};
    kept.required = true;
    sparse.parameters.push_back(std::move(kept));
    sparse.revision = 2;
    sparse.smallest = "attention_token_sparse context=1 heads=1 dim=8 kept=1 page=1";
    sparse.signature = [](const Problem& p) { return TokenSparse(p).attention.signature; };
    sparse.form = CallForm::attention;
    sparse.graph_ops = {"attention"};
    sparse.reference = reference_of_token_sparse;
    sparse.space = space_of_token_sparse;
    sparse.build = build_token_sparse;
    sparse.work = work_of_token_sparse;
    sparse.miniature = miniature_of_token_sparse;
    sparse.sample = sample_of_token_sparse;
    return sparse;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
