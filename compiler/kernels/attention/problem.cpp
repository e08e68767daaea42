// What attention computes, and what it costs: the reference graph, useful work, parameters.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/cache_layout.h"
#include "compiler/kernels/attention/heads.h"
#include "compiler/kernels/parameters.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::Type;
using ir::graph::Var;

constexpr int64_t kMostDim = 1 << 14;

// Pairs of a token and a key that it sees, of one head of a sequence.
double visible_pairs(const Attention& attention, int64_t tokens, int64_t context) {
  const int64_t shift = attention.causal == Causal::end ? context - tokens : 0;
  double pairs = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t position = t + shift;
    const int64_t end = attention.has_reach()
                            ? std::clamp<int64_t>(position + attention.reach() + 1, 0, context)
                            : context;
    const int64_t begin =
        attention.window > 0 ? std::max<int64_t>(position + 1 - attention.window, 0) : 0;
    const int64_t kept = std::min({attention.kept_keys, begin, end});
    pairs += static_cast<double>(std::max<int64_t>(end - begin, 0) + kept);
  }
  return pairs;
}

// Of these the share that listed blocks show, where lists are full and of any blocks: kernels are
// timed with such.
double listed_share(const Attention& attention, int64_t context, int64_t kept) {
  if (!attention.is_sparse()) return 1;
  const int64_t blocks = (context + attention.block - 1) / attention.block;
  return std::min(1.0,
                  static_cast<double>(kept) / static_cast<double>(std::max<int64_t>(blocks, 1)));
}

// Without the batch of 1 that packed items have.
ir::graph::Shape without_batch(const ir::graph::Shape& shape) {
  return {shape.begin() + 1, shape.end()};
}

Result<ir::graph::Graph> reference(const Problem& p) {
  const Attention attention(p);
  ir::graph::GraphBuilder graph("attention");
  const NamedInputs inputs(graph, attention.signature);
  const auto reshaped = [&](Var x, const ir::graph::Shape& shape) {
    return graph.op("reshape", {x}, {{"shape", shape}});
  };
  // To the op packed items have no batch.
  const auto operand = [&](const char* name, bool is_packed) {
    const Var x = inputs[name];
    const bool has_batch = x.id != ir::graph::kNoValue && is_packed;
    return has_batch ? reshaped(x, without_batch(graph.type(x).shape)) : x;
  };
  const bool packs_tokens = attention.packs_tokens();
  const auto cached = [&](const char* name) {
    Var rows = operand(name, attention.packs_keys());
    if (attention.is_paged())
      rows = graph.op("gather_pages", {rows, inputs["block_table"], inputs["lengths"]});
    // Reading pages of blocks gives f32.
    if (graph.type(rows).element == Type::q8_0) return graph.op("dequantize", {rows});
    return cast_to(graph, rows, Type::f32);
  };
  const Var q = cast_to(graph, operand("q", packs_tokens), Type::f32);
  const Var k = cached("k"), v = cached("v");
  const Var mask =
      attention.is_sparse()
          ? graph.op("block_mask", {inputs["q"], inputs["k"], inputs["counts"], inputs["blocks"]},
                     {{"block", attention.block}})
          : operand("mask", packs_tokens);
  std::vector<Var> outputs =
      graph.op_results("attention",
                       {q, k, v, mask, inputs["cu_seqlens"], inputs["cu_seqlens_k"],
                        inputs["lengths"], Var{}, inputs["sinks"]},
                       attention.lse ? 2 : 1,
                       {{"causal", p.text("causal")},
                        {"window", attention.window},
                        {"lookahead", attention.lookahead},
                        {"kept_keys", attention.kept_keys},
                        {"softcap", attention.softcap},
                        {"scale", attention.scale}});
  const size_t first = attention.signature.size() - outputs.size();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i > 0 || packs_tokens)
      outputs[i] = reshaped(outputs[i], attention.signature[first + i].shape);
  }
  outputs[0] = cast_to(graph, outputs[0], attention.out);
  return graph.finish(outputs);
}

Work work(const Problem& p, const Sizes& sizes) {
  const Attention attention(p);
  const auto size = [&](const char* name) { return size_named(sizes, name); };
  Sizes read = sizes;
  int64_t context = size("context");
  if (attention.is_paged()) {  // of the pool the pages that are named
    context = size("most") * attention.page;
    read["pages"] = std::min(size("pages"), size("batch") * size("most"));
  }
  Work work = work_of(attention.signature, read, 0);
  // Two products; maximum, difference, exponential, sum and weighting of each score.
  const double of_pair = 2.0 * static_cast<double>(attention.dim + attention.value_dim) + 5;
  // Packed sequences count as if all were alike.
  const int64_t sequences =
      attention.packs_tokens() ? std::max<int64_t>(size("bounds") - 1, 1) : size("batch");
  const int64_t tokens = attention.packs_tokens() ? size("tokens") / sequences : size("tokens");
  if (attention.packed == Packing::shared) context = tokens;
  if (attention.packed == Packing::separate) context /= sequences;
  work.flops = visible_pairs(attention, tokens, context) *
               listed_share(attention, context, size("kept")) * of_pair *
               static_cast<double>(sequences * attention.heads);
  return work;
}

Result<Sample> sample(const Problem& p, const Sizes& sizes) {
  const Attention attention(p);
  constexpr int64_t kTokens = 8;
  const OuterHeads outer(p);
  std::vector<int64_t> tokens;
  const int64_t all = sizes.find("tokens")->second;
  // Where blocks are listed, tokens of one block, the first or the last.
  const int64_t of_last = attention.is_sparse() ? (all - 1) % attention.block + 1 : all;
  const bool counts_from_first = attention.causal == Causal::start ||
                                 (attention.causal == Causal::none && attention.is_ragged());
  const int64_t first = counts_from_first ? 0 : all - std::min(of_last, kTokens);
  for (int64_t t = first; t < std::min(all, first + kTokens); ++t) tokens.push_back(t);
  Sample sample;
  LATHE_TRY(sample.problem, outer.problem(p));
  for (size_t i = 0; i < attention.signature.size(); ++i) {
    const Port& port = attention.signature[i];
    const bool is_key = port.name == "k" || port.name == "v";
    const auto cut = [&](int axis, const std::vector<int64_t>& indices) {
      sample.takes.push_back({static_cast<int>(i), axis, indices});
    };
    const bool is_list = port.name == "counts" || port.name == "blocks";
    // Bounds of packed sequences are of all tokens.
    for (size_t axis = 0; axis < port.shape.size() && !attention.packs_tokens(); ++axis)
      if (port.shape[axis] == ir::graph::Dim("tokens")) cut(static_cast<int>(axis), tokens);
    if (port.name == "sinks") cut(0, outer.heads);
    if (port.name == "mask") cut(1, outer.heads);
    if (is_list) {
      cut(1, outer.kv_heads);
      cut(2, {tokens.empty() ? 0 : tokens.front() / attention.block});
    } else if (port.shape.size() == 4 && port.name != "mask") {
      cut(2, is_key ? outer.kv_heads : outer.heads);
    }
  }
  return sample;
}

template <typename Found, typename Expected>
tl::unexpected<Error> wrong(std::string_view name, const Found& found, const std::string& with,
                            const Expected& expected) {
  return fail(ErrorCode::invalid_argument, "{}: found {} with {}, expected {}", name, found, with,
              expected);
}

}  // namespace

Status validate(const Problem& p) {
  const int64_t heads = p.integer("heads"), kv_heads = p.integer("kv_heads");
  if (heads % kv_heads != 0) {
    return fail(ErrorCode::invalid_argument,
                "heads: found {} with kv_heads={}, expected a multiple of those", heads, kv_heads);
  }
  for (const char* name : {"softcap", "scale"}) {
    if (p.has(name) && !(p.number(name) >= 0)) {
      return fail(ErrorCode::invalid_argument, "{}: found {}, expected 0 or more", name,
                  p.number(name));
    }
  }
  if (!p.has("mask")) return {};
  if (p.flag("mask_of_rows") && p.text("mask") == "none")
    return wrong("mask_of_rows", true, "mask=none", false);
  if (p.type("mask_type") != Type::f32 && p.text("mask") != "add") {
    return wrong("mask_type", ir::name(p.type("mask_type")), "mask=" + p.text("mask"),
                 "f32, as only numbers have another type");
  }
  return {};
}

Status validate_prefill(const Problem& p) {
  const std::string with = "packed=" + p.text("packed");
  const bool packs_keys = p.text("packed") == "shared" || p.text("packed") == "separate";
  if (p.text("packed") == "shared" && p.bucket("context") != p.bucket("tokens")) {
    return wrong("context", print(p.bucket("context")), with,
                 "that of tokens, " + print(p.bucket("tokens")));
  }
  if (packs_keys && p.flag("lengths"))
    return wrong("lengths", true, with, "false: bounds say how many keys each sequence has");
  if (p.integer("lookahead") >= 0 && p.text("causal") != "none") {
    return wrong("lookahead", p.integer("lookahead"), "causal=" + p.text("causal"),
                 "-1: no key after a token's own is seen");
  }
  if (p.integer("kept_keys") > 0 && p.integer("window") == 0)
    return wrong("kept_keys", p.integer("kept_keys"), "window=0", "0: no window would hide them");
  return validate(p);
}

std::vector<ParameterSpec> prefill_parameters() {
  return {
      choice_parameter("packed", {"none", "shared", "separate", "queries"},
                       "sequences lie side by side in the tokens of a batch of 1, between "
                       "cu_seqlens [bounds]: in as many keys, too; in keys between cu_seqlens_k; "
                       "in tokens alone, k and v being [batch, context, ...]"),
      flag_parameter("lengths", false, "[batch] i32: how many keys each sequence has"),
      integer_parameter("lookahead", -1, -1, INT32_MAX,
                        "keys after its own that a token sees, if not causal; -1: all"),
      integer_parameter("kept_keys", 0, 0, INT32_MAX,
                        "first keys of a sequence that the window does not hide"),
      integer_parameter("memory", 0, 0, INT64_MAX,
                        "bytes of working memory that all threads together may take; 0: any"),
  };
}

Family family_of_attention(std::string name) {
  ParameterSpec heads = integer_parameter("heads", 1, 1, 1 << 16, "heads of q");
  heads.required = true;
  ParameterSpec kv_heads =
      integer_parameter("kv_heads", 1, 1, 1 << 16, "heads of k and v, each for several of q");
  kv_heads.default_of = "heads";
  ParameterSpec dim = integer_parameter("dim", 1, 1, kMostDim, "size of a head of q and k");
  dim.required = true;
  ParameterSpec value_dim =
      integer_parameter("value_dim", 1, 1, kMostDim, "size of a head of v and y");
  value_dim.default_of = "dim";
  ParameterSpec kv_type = float_type_parameter("kv_type", "element type of k and v");
  kv_type.default_of = "type";
  Family family;
  family.name = std::move(name);
  family.parameters = {
      {"tokens", Bucket{}, "bucket of the number of rows of q, a run-time size"},
      {"context", Bucket{}, "bucket of the number of keys, a run-time size"},
      std::move(heads),
      std::move(kv_heads),
      std::move(dim),
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
      flag_parameter("mask_of_rows", false, "the mask is [batch, heads, tokens, 1], for all keys"),
      float_type_parameter("mask_type", "element type of a mask of numbers"),
      type_parameter(),
      std::move(kv_type),
      kv_layout_parameter(),
      out_parameter(),
      flag_parameter("lse", false, "the logarithm of each row's denominator is a result, too"),
  };
  family.limits = float_limits({1e-5, 2e-5});
  family.form = CallForm::attention;
  family.graph_ops = {"attention"};
  family.validate = validate;
  family.signature = [](const Problem& p) { return Attention(p).signature; };
  family.reference = reference;
  family.work = work;
  family.sample = sample;
  family.shared = &cache_operand();
  return family;
}

}  // namespace lathe::compiler::kernels::attention
