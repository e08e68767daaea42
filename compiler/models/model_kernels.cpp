// Walks the model's forward pass and names each kernel's problem.
#include "compiler/models/model_kernels.h"

#include <algorithm>
#include <map>

#include "compiler/choose_layout.h"
#include "compiler/family.h"
#include "compiler/kernels/attention/decoded_tokens.h"
#include "compiler/sizes.h"
#include "ir/types.h"

namespace lathe::compiler::models {
namespace {

class Collector {
 public:
  /// With `part_of` only a part of a pass of that name, with another context.
  void begin_pass(std::string name, std::string part_of = {}) {
    pass_ = std::move(name);
    part_of_ = std::move(part_of);
    in_pass_.clear();
  }

  // The same problem at the same sizes is one kernel, launched more often.
  void add(std::string_view where, int64_t launches, const std::string& line, const Sizes& sizes,
           const char* cache = "warm") {
    if (!status_) return;
    auto problem = parse_problem(line);
    if (!problem) return fail_at(line, problem.error());
    auto at = complete_sizes(*problem, sizes);
    if (!at) return fail_at(line, at.error());
    const std::string key = problem->line() + " at " + print(*at);
    const auto [it, is_new] = index_.emplace(key, kernels_.size());
    if (is_new) {
      kernels_.push_back(
          {std::move(*problem), std::move(*at), cache, std::string(where), pass_, part_of_, 0});
    }
    int64_t& here = in_pass_[it->second];
    here += launches;
    ModelKernel& kernel = kernels_[it->second];
    kernel.launches = std::max(kernel.launches, here);
    if (kernel.launches_in.empty() || kernel.launches_in.back().first != pass_)
      kernel.launches_in.emplace_back(pass_, 0);
    kernel.launches_in.back().second = here;
  }

  Result<std::vector<ModelKernel>> finish() {
    if (!status_) return tl::unexpected(status_.error());
    return std::move(kernels_);
  }

 private:
  void fail_at(const std::string& line, const Error& error) {
    status_ = fail_with_context(line, error);
  }

  Status status_;
  std::string pass_, part_of_;
  std::map<size_t, int64_t> in_pass_;  // launches in the pass, by the kernel's place in kernels_
  std::map<std::string, size_t> index_;
  std::vector<ModelKernel> kernels_;
};

bool in_blocks(const std::string& weights) {
  return weights == "q8_0" || weights == "q4_0" || weights == "q4_K";
}

bool is_quantised(const std::string& weights) { return weights == "i8" || in_blocks(weights); }

// Linear layers with constant weights, laid out for one target. What they multiply is read from
// memory.
class Linears {
 public:
  Linears(Collector& kernels, const ir::Target& target)
      : kernels_(kernels), layouts_(default_layouts(target)) {}

  void add(std::string_view where, int64_t launches, int64_t rows, int64_t n, int64_t k,
           std::string_view weights, std::string_view parameters = {}, bool pair = false) {
    const WeightLayout layout = layouts_(*ir::parse_type(weights), n, k, pair);
    kernels_.add(where, launches,
                 fmt::format("linear rows={} {}{}", rows, layout_parameters(layout), parameters),
                 {{"rows", rows}}, "cold");
  }

 private:
  Collector& kernels_;
  LayoutRule layouts_;
};

// The type in which the weights of matrices with rows of k are kept: blocks need whole ones.
std::string stored_type(const std::string& weights, int64_t k) {
  const auto type = ir::parse_type(weights);
  return type && k % ir::info(*type).block_elements != 0 ? "bf16" : weights;
}

// What a kernel whose result matrices with rows of k multiply is asked to write: the blocks that
// quantised ones read.
const char* out_for(const std::string& weights, int64_t k) {
  return in_blocks(stored_type(weights, k)) ? " out=q8_0" : "";
}

void add_text_linears(Linears kernels, const ModelConfig& model, const std::string& weights,
                      int64_t tokens) {
  const TextConfig& text = model.text;
  const int64_t hidden = text.hidden_size, inner = text.intermediate_size;
  const int64_t queries = text.attention_heads * text.head_dim;
  const int64_t keys = text.key_value_heads * text.head_dim;
  // What multiplies blocks is quantised by the kernel that makes it.
  const auto add = [&](std::string_view where, int64_t launches, int64_t rows, int64_t n, int64_t k,
                       const std::string& parameters = {}, bool pair = false) {
    const std::string type = stored_type(weights, k);
    kernels.add(where, launches, rows, n, k, type,
                (in_blocks(type) ? " type=q8_0" : "") + parameters, pair);
  };
  add("text: q, k and v", text.layers, tokens, queries + 2 * keys, hidden);
  add("text: attention output", text.layers, tokens, hidden, queries);
  add("text: gate and up, SwiGLU", text.layers, tokens, inner, hidden,
      std::string(" epilogue=mul(silu(y),z)") + out_for(weights, inner), /*pair=*/true);
  add("text: down", text.layers, tokens, hidden, inner);
  // Only the last token's logits are asked for.
  add("text: logits", 1, 1, text.vocabulary, hidden);
}

void add_vision_linears(Linears kernels, const ModelConfig& model, const std::string& weights,
                        int64_t patches) {
  const VisionConfig& vision = model.vision;
  const int64_t width = vision.hidden_size, inner = vision.intermediate_size;
  const int64_t pixels = 3 * vision.temporal_patch_size * vision.patch_size * vision.patch_size;
  const int64_t group = vision.spatial_merge_size * vision.spatial_merge_size;
  // Vision towers are published in 16 bits beside quantised text.
  const std::string type = is_quantised(weights) ? "bf16" : weights;
  const std::string bias = " epilogue=add(y,vec(b))";
  kernels.add("vision: patch embedding", 1, patches, width, pixels, type, bias);
  kernels.add("vision: q, k and v", vision.depth, patches, 3 * width, width, type, bias);
  kernels.add("vision: attention output", vision.depth, patches, width, width, type, bias);
  kernels.add("vision: fc1, GELU", vision.depth, patches, inner, width, type,
              " epilogue=gelu_tanh(add(y,vec(b)))");
  kernels.add("vision: fc2", vision.depth, patches, width, inner, type, bias);
  const int64_t merged = patches / group;
  if (merged == 0) return;
  const auto mergers = static_cast<int64_t>(1 + vision.deepstack_layers.size());
  kernels.add("vision: merger fc1, GELU", mergers, merged, group * width, group * width, type,
              " epilogue=gelu_erf(add(y,vec(b)))");
  kernels.add("vision: merger fc2", mergers, merged, vision.out_hidden_size, group * width, type,
              bias);
}

void add_text(Collector& kernels, const ModelConfig& model, const Workload& workload,
              int64_t tokens) {
  const TextConfig& text = model.text;
  const Sizes rows = {{"rows", tokens}};
  int64_t positions = 1;
  for (int64_t context : workload.context) positions = std::max(positions, context);
  const Sizes rotary = {{"rows", tokens}, {"positions", positions}};
  const std::string stored = is_quantised(workload.weights) ? "bf16" : workload.weights;
  const char* quantised = out_for(workload.weights, text.hidden_size);

  kernels.add(
      "text: token embedding", 1,
      fmt::format("embedding rows={} width={} type={} out=f32", tokens, text.hidden_size, stored),
      {{"rows", tokens}, {"vocabulary", text.vocabulary}}, "cold");
  kernels.add("text: first input norm", 1,
              fmt::format("rms_norm rows={} width={} eps={}{}", tokens, text.hidden_size,
                          text.rms_norm_eps, quantised),
              rows);
  kernels.add("text: residual + norm", 2 * text.layers,
              fmt::format("rms_norm rows={} width={} eps={} prologue=add(x,r) keep=true{}", tokens,
                          text.hidden_size, text.rms_norm_eps, quantised),
              rows);
  // The keys as rows. How a cache lies that they could be written into (`slots`) and of which type
  // it is, whoever serves the model decides, and its config.json does not say: such a kernel is
  // another problem, and a guess here would tune what few fetch.
  for (const auto& [where, heads] : {std::pair{"text: q norm + M-RoPE", text.attention_heads},
                                     std::pair{"text: k norm + M-RoPE", text.key_value_heads}}) {
    kernels.add(
        where, text.layers,
        fmt::format("rope rows={} kind=mrope heads={} dim={} section={}:{}:{} norm=true eps={}",
                    tokens, heads, text.head_dim, text.mrope_section[0], text.mrope_section[1],
                    text.mrope_section[2], text.rms_norm_eps),
        rotary);
  }
  kernels.add("text: SwiGLU", text.layers,
              fmt::format("swiglu rows={} width={}", tokens, text.intermediate_size), rows);
  const int64_t attended = text.attention_heads * text.head_dim;
  if (in_blocks(stored_type(workload.weights, attended))) {
    kernels.add("text: quantise attention output", text.layers,
                fmt::format("quantize rows={} width={}", tokens, attended), rows);
  }
}

std::string pass_name(int64_t tokens) {
  return fmt::format("{} token{}", tokens, tokens == 1 ? "" : "s");
}

// Of many tokens among themselves, of a few against what is cached: over the longest context as a
// part of the pass, over the others as passes of their own.
void add_text_attention(Collector& kernels, const ModelConfig& model, const Workload& workload,
                        int64_t tokens) {
  const TextConfig& text = model.text;
  const auto add = [&](std::string_view family, int64_t context) {
    kernels.add(
        fmt::format("text: attention over {} keys", context), text.layers,
        fmt::format("{} tokens={} context={} heads={} kv_heads={} dim={} causal=end", family,
                    tokens, context, text.attention_heads, text.key_value_heads, text.head_dim),
        {{"batch", 1}, {"tokens", tokens}, {"context", context}}, "cold");
  };
  if (tokens > kernels::attention::kMostDecodedTokens) return add("attention_prefill", tokens);
  std::vector<int64_t> contexts;
  for (const int64_t context : workload.context) contexts.push_back(std::max(context, tokens));
  std::sort(contexts.rbegin(), contexts.rend());
  contexts.erase(std::unique(contexts.begin(), contexts.end()), contexts.end());
  if (contexts.empty()) contexts.push_back(tokens);
  for (const int64_t context : contexts) {
    if (context != contexts.front()) {
      kernels.begin_pass(fmt::format("attention of {} over {} keys", pass_name(tokens), context),
                         pass_name(tokens));
    }
    add("attention_decode", context);
  }
}

void add_vision(Collector& kernels, const ModelConfig& model, int64_t patches) {
  const VisionConfig& vision = model.vision;
  const Sizes rows = {{"rows", patches}};
  const int64_t group = vision.spatial_merge_size * vision.spatial_merge_size;
  const int64_t merged = patches / group;
  const auto deepstack = static_cast<int64_t>(vision.deepstack_layers.size());
  const int64_t width = vision.hidden_size;
  const int64_t side = std::max<int64_t>(1, patches);  // no row or column has a higher number

  kernels.add("vision: add position embedding", 1,
              fmt::format("elementwise rows={} width={} expr=add(x,p)", patches, width), rows);
  kernels.add("vision: first norm", 2,
              fmt::format("layer_norm rows={} width={} eps=1e-06", patches, width), rows);
  kernels.add("vision: residual + norm", 2 * vision.depth - 1,
              fmt::format("layer_norm rows={} width={} eps=1e-06 prologue=add(x,r) keep=true",
                          patches, width),
              rows);
  kernels.add("vision: last residual", 1,
              fmt::format("elementwise rows={} width={} expr=add(x,r)", patches, width), rows);
  kernels.add("vision: 2-D RoPE of q and k", 2 * vision.depth,
              fmt::format("rope rows={} kind=vision heads={} dim={}", patches, vision.heads,
                          width / vision.heads),
              {{"rows", patches}, {"positions", side}});
  kernels.add("vision: attention", vision.depth,
              fmt::format("attention_prefill tokens={} heads={} dim={}", patches, vision.heads,
                          width / vision.heads),
              {{"batch", 1}, {"tokens", patches}, {"context", patches}});
  kernels.add("vision: GELU", vision.depth,
              fmt::format("gelu rows={} width={}", patches, vision.intermediate_size), rows);
  if (merged == 0) return;
  const Sizes merged_rows = {{"rows", merged}};
  kernels.add("vision: merger GELU", 1 + deepstack,
              fmt::format("gelu rows={} width={} approximate=none", merged, group * width),
              merged_rows);
  if (deepstack > 0) {
    kernels.add("vision: deepstack norm", deepstack,
                fmt::format("layer_norm rows={} width={} eps=1e-06", merged, group * width),
                merged_rows);
    kernels.add(
        "text: add deepstack features", deepstack,
        fmt::format("elementwise rows={} width={} expr=add(x,r)", merged, model.text.hidden_size),
        merged_rows);
  }
}

}  // namespace

Result<std::vector<ModelKernel>> model_kernels(const ModelConfig& model, const Workload& workload) {
  const auto weights = ir::parse_type(workload.weights);
  if (!weights) return fail_with_context("weights", weights.error());
  if (!ir::info(*weights).is_float && !is_quantised(workload.weights)) {
    return fail(ErrorCode::invalid_argument,
                "weights '{}': expected f32, f16, bf16, i8, q8_0, q4_0 or q4_K", workload.weights);
  }
  const int64_t unit = model.vision.patch_size * model.vision.spatial_merge_size;
  if (workload.image_height < 0 || workload.image_width < 0 || workload.image_height % unit != 0 ||
      workload.image_width % unit != 0) {
    return fail(ErrorCode::invalid_argument,
                "image {}x{}: both sides must be multiples of {} (patch size times merge size)",
                workload.image_width, workload.image_height, unit);
  }
  Collector kernels;
  for (int64_t tokens : workload.tokens) {
    if (tokens < 1)
      return fail(ErrorCode::invalid_argument, "tokens {}: expected at least 1", tokens);
    kernels.begin_pass(pass_name(tokens));
    add_text(kernels, model, workload, tokens);
    add_text_linears({kernels, workload.target}, model, workload.weights, tokens);
    add_text_attention(kernels, model, workload, tokens);
  }
  const int64_t patches = workload.image_height / model.vision.patch_size *
                          (workload.image_width / model.vision.patch_size);
  if (patches > 0) {
    kernels.begin_pass("image");
    add_vision(kernels, model, patches);
    add_vision_linears({kernels, workload.target}, model, workload.weights, patches);
  }
  return kernels.finish();
}

}  // namespace lathe::compiler::models
