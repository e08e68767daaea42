// Attributes of nodes as the options of select_blocks and select_pages.
#include "runtime/graph/functions.h"

#include <algorithm>
#include <cmath>

#include <lathe/routing.h>
#include <lathe/token_sparse.h>

#include "ir/graph/op.h"
#include "support/error.h"

namespace lathe::runtime {
namespace {

using ir::graph::Attributes;

Attention::Causal causal_named(const std::string& word) {
  return word == "start" ? Attention::Causal::start
         : word == "end" ? Attention::Causal::end
                         : Attention::Causal::none;
}

// Both functions have a place for NaN in their order, so that a caller may read what is damaged; a
// graph is told.
Status check_numbers(const TensorView& scores, int64_t first, int64_t count) {
  const auto* const values = static_cast<const float*>(scores.data);
  for (int64_t i = first; i < first + count; ++i) {
    if (!std::isnan(values[i])) continue;
    std::string place;
    int64_t rest = i;
    for (int k = scores.rank - 1; k >= 0; --k) {
      place = std::to_string(rest % scores.shape[k]) + (place.empty() ? "" : ", ") + place;
      rest /= scores.shape[k];
    }
    return fail(ErrorCode::invalid_argument, "scores[{}]: found NaN, expected numbers to choose by",
                place);
  }
  return {};
}

Status run_select_blocks(const Attributes& attributes, const TensorView& scores,
                         std::span<const TensorView> outputs) {
  LATHE_CHECK(check_numbers(scores, 0,
                            scores.shape[0] * scores.shape[1] * scores.shape[2] * scores.shape[3]));
  return select_blocks(scores,
                       {.block = attributes.integer("block"),
                        .tokens = attributes.dims("tokens").front().number(),
                        .context = attributes.dims("keys").front().number(),
                        .causal = causal_named(attributes.word("causal")),
                        .kept = attributes.integer("kept"),
                        .threshold = attributes.real("threshold"),
                        .sinks = attributes.integer("sinks"),
                        .local = attributes.integer("local")},
                       outputs[0], outputs[1]);
}

// Scores of pages that are read whatever they are, and of those behind the keys, may be anything.
Status check_judged(const Attributes& attributes, const TensorView& scores,
                    const TensorView& lengths) {
  const int64_t page = attributes.integer("page"), kept = attributes.integer("kept");
  const int64_t sinks = attributes.integer("sinks"), local = attributes.integer("local");
  const int64_t heads = scores.shape[1], all = scores.shape[2];
  for (int64_t row = 0; row < scores.shape[0] * heads; ++row) {
    int64_t pages = all;
    if (lengths.data != nullptr) {
      const int64_t length = static_cast<const int32_t*>(lengths.data)[row / heads];
      // What is out of range select_pages says.
      pages = std::min(all, length / page + (length % page > 0 ? 1 : 0));
    }
    if (pages > kept) LATHE_CHECK(check_numbers(scores, row * all + sinks, pages - sinks - local));
  }
  return {};
}

Status run_select_pages(const Attributes& attributes, std::span<const TensorView> inputs,
                        const TensorView& list) {
  const TensorView lengths = inputs.size() > 1 ? inputs[1] : TensorView{};
  LATHE_CHECK(check_judged(attributes, inputs[0], lengths));
  const AlwaysRead always{.sinks = attributes.integer("sinks"),
                          .local = attributes.integer("local")};
  return select_pages(inputs[0], lengths, attributes.integer("page"), always, list);
}

}  // namespace

Status run_function(const ir::graph::Node& node, std::span<const TensorView> inputs,
                    std::span<const TensorView> outputs) {
  if (node.op->name == "select_blocks")
    return run_select_blocks(node.attributes, inputs[0], outputs);
  if (node.op->name == "select_pages") return run_select_pages(node.attributes, inputs, outputs[0]);
  return fail(ErrorCode::internal, "no function computes '{}'", node.op->name);
}

}  // namespace lathe::runtime
