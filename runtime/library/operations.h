// The operations of <lathe/ops.h>, each described once: its family and its fields. What a fetch
// looks up, the problem that it stands for and Library::fetch itself follow from this.
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include <fmt/format.h>

#include <lathe/ops.h>

#include "compiler/kernels/attention/decoded_tokens.h"
#include "compiler/problem.h"

namespace lathe::runtime {

/// A specialisation for each operation has
///   kFamily             the family of its problems; or kFamilies, of which family(op) chooses one,
///   fields(op, visit)   a call of visit for every member: visit(name, member) where the problem
///                       has a parameter of that name, visit(name, member, spell) where it has
///                       not. spell(ProblemBuilder&) then says what the member makes of the
///                       problem; it returns nothing, or a Status.
template <typename Op>
struct Description;

/// The family of the operation's problem.
template <typename Op>
constexpr std::string_view family_name(const Op& op) {
  if constexpr (requires { Description<Op>::family(op); }) {
    return Description<Op>::family(op);
  } else {
    return Description<Op>::kFamily;
  }
}

/// What every operation on rows of some width has; all that some of them have.
template <typename Op>
struct RowDescription {
  static constexpr void fields(const Op& op, auto&& visit) {
    visit("rows", op.rows);
    visit("type", op.type);
    visit("width", op.width);
  }
};

/// Of the norms whose y may be q8_0.
template <typename Op>
constexpr void visit_quantised(const Op& op, auto&& visit) {
  visit("quantised", op.quantised, [&](compiler::ProblemBuilder& problem) {
    if (op.quantised) problem.set("out", ir::Type::q8_0);
  });
}

template <>
struct Description<RmsNorm> {
  static constexpr std::string_view kFamily = "rms_norm";
  static constexpr void fields(const RmsNorm& op, auto&& visit) {
    RowDescription<RmsNorm>::fields(op, visit);
    visit("eps", op.eps);
    visit("residual", op.residual, [&](compiler::ProblemBuilder& problem) {
      if (op.residual) problem.set_text("prologue", "add(x,r)").set("keep", true);
    });
    visit_quantised(op, visit);
  }
};

template <>
struct Description<LayerNorm> {
  static constexpr std::string_view kFamily = "layer_norm";
  static constexpr void fields(const LayerNorm& op, auto&& visit) {
    RowDescription<LayerNorm>::fields(op, visit);
    visit("eps", op.eps);
    visit_quantised(op, visit);
  }
};

template <>
struct Description<Normalize> {
  static constexpr std::string_view kFamily = "normalize";
  static constexpr void fields(const Normalize& op, auto&& visit) {
    RowDescription<Normalize>::fields(op, visit);
    visit("eps", op.eps);
  }
};

template <>
struct Description<Softmax> : RowDescription<Softmax> {
  static constexpr std::string_view kFamily = "softmax";
};
template <>
struct Description<LogSoftmax> : RowDescription<LogSoftmax> {
  static constexpr std::string_view kFamily = "log_softmax";
};
template <>
struct Description<Silu> : RowDescription<Silu> {
  static constexpr std::string_view kFamily = "silu";
};
template <>
struct Description<Relu> : RowDescription<Relu> {
  static constexpr std::string_view kFamily = "relu";
};
template <>
struct Description<Swiglu> : RowDescription<Swiglu> {
  static constexpr std::string_view kFamily = "swiglu";
};
template <>
struct Description<Embedding> : RowDescription<Embedding> {
  static constexpr std::string_view kFamily = "embedding";
};
template <>
struct Description<Quantize> : RowDescription<Quantize> {
  static constexpr std::string_view kFamily = "quantize";
};

template <>
struct Description<Gelu> {
  static constexpr std::string_view kFamily = "gelu";
  static constexpr void fields(const Gelu& op, auto&& visit) {
    RowDescription<Gelu>::fields(op, visit);
    visit("tanh_approximation", op.tanh_approximation, [&](compiler::ProblemBuilder& problem) {
      problem.set_text("approximate", op.tanh_approximation ? "tanh" : "none");
    });
  }
};

/// What operations that write into caches say of these.
template <typename Op>
constexpr void visit_cache(const Op& op, auto&& visit) {
  visit("slots", op.slots, [&](compiler::ProblemBuilder& problem) -> Status {
    constexpr std::array<std::string_view, 4> kNames = {"off", "flat", "paged", "batched"};
    const auto chosen = static_cast<size_t>(op.slots);
    if (chosen >= kNames.size())
      return fail(ErrorCode::invalid_argument, "{}: slots number {} is unknown", family_name(op),
                  chosen);
    problem.set_text("slots", kNames[chosen]);
    if (op.slots != CacheSlots::off && static_cast<ir::Type>(op.cache_type) <= ir::Type::q4_K)
      problem.set("out", static_cast<ir::Type>(op.cache_type));
    return {};
  });
  visit("page", op.page);
  visit("cache_type", op.cache_type, [&](compiler::ProblemBuilder&) -> Status {
    if (static_cast<ir::Type>(op.cache_type) <= ir::Type::q4_K) return {};
    return fail(ErrorCode::invalid_argument, "{}: cache_type number {} is unknown", family_name(op),
                static_cast<int>(op.cache_type));
  });
}

template <>
struct Description<WriteCache> {
  static constexpr std::string_view kFamily = "write_cache";
  static constexpr void fields(const WriteCache& op, auto&& visit) {
    visit("rows", op.rows);
    visit("type", op.type);
    visit("heads", op.heads);
    visit("dim", op.dim);
    visit_cache(op, visit);
  }
};

template <>
struct Description<Rope> {
  static constexpr std::string_view kFamily = "rope";
  static constexpr void fields(const Rope& op, auto&& visit) {
    visit("rows", op.rows);
    visit("type", op.type);
    visit("heads", op.heads);
    visit("dim", op.dim);
    visit("kind", op.kind, [&](compiler::ProblemBuilder& problem) -> Status {
      switch (op.kind) {
        case Rope::Kind::plain: problem.set_text("kind", "rope"); return {};
        case Rope::Kind::vision: problem.set_text("kind", "vision"); return {};
        case Rope::Kind::multi_axis:
          problem.set_text("kind", "mrope");
          problem.set_text("section",
                           fmt::format("{}:{}:{}", op.section_t, op.section_h, op.section_w));
          return {};
      }
      return fail(ErrorCode::invalid_argument, "rope: kind number {} is unknown",
                  static_cast<int>(op.kind));
    });
    const auto with_the_kind = [](compiler::ProblemBuilder&) {};
    visit("section_t", op.section_t, with_the_kind);
    visit("section_h", op.section_h, with_the_kind);
    visit("section_w", op.section_w, with_the_kind);
    visit("norm", op.norm);
    visit("eps", op.eps, [&](compiler::ProblemBuilder& problem) {
      if (op.norm) problem.set("eps", op.eps);
    });
    visit_cache(op, visit);
  }
};

template <>
struct Description<Linear> {
  static constexpr std::string_view kFamily = "linear";
  static constexpr void fields(const Linear& op, auto&& visit) {
    visit("rows", op.rows);
    visit("type", op.type);
    visit("out", op.out);
    visit("weight", op.weight);
    visit("n", op.n);
    visit("k", op.k);
    visit("panel", op.panel);
    visit("pair", op.pair);
    visit("epilogue", op.epilogue);
  }
};

template <>
struct Description<BatchedMatmul> {
  static constexpr std::string_view kFamily = "batched_matmul";
  static constexpr void fields(const BatchedMatmul& op, auto&& visit) {
    visit("rows", op.rows);
    visit("type", op.type);
    visit("batch", op.batch);
    visit("out", op.out);
    visit("b_type", op.b_type);
    visit("n", op.n);
    visit("k", op.k);
    visit("group", op.group);
    visit("transpose_a", op.transpose_a);
    visit("transpose_b", op.transpose_b);
    visit("epilogue", op.epilogue);
  }
};

/// A number that follows from another where it is 0.
constexpr void visit_unless_zero(const char* name, const int64_t& value, auto&& visit) {
  visit(name, value, [name, &value](compiler::ProblemBuilder& problem) {
    if (value != 0) problem.set(name, value);
  });
}

/// A text parameter by the number of its choice; invalid_argument where there is none.
inline Status set_choice(compiler::ProblemBuilder& problem, const char* name,
                         std::initializer_list<const char*> choices, size_t chosen) {
  if (chosen < choices.size()) {
    problem.set_text(name, choices.begin()[chosen]);
    return {};
  }
  return fail(ErrorCode::invalid_argument, "attention: {} number {} is unknown", name, chosen);
}

/// What attention has, whatever its keys are and whoever sees them, beside its context.
template <typename Op>
constexpr void visit_heads(const Op& op, auto&& visit) {
  visit("tokens", op.tokens);
  visit("heads", op.heads);
  visit_unless_zero("kv_heads", op.kv_heads, visit);
  visit("dim", op.dim);
  visit_unless_zero("value_dim", op.value_dim, visit);
  visit("scale", op.scale);
  visit("sinks", op.sinks);
  visit("lse", op.lse);
  visit("type", op.type);
  visit("kv_type", op.kv_type);
  visit("kv_layout", op.kv_layout, [&](compiler::ProblemBuilder& problem) {
    return set_choice(problem, "kv_layout", {"nhd", "hnd"}, static_cast<size_t>(op.kv_layout));
  });
  visit("out", op.out);
}

/// What every operation of attention to whole keys has, beside its context.
template <typename Op>
struct AttentionDescription {
  static constexpr void fields(const Op& op, auto&& visit) {
    visit_heads(op, visit);
    visit("window", op.window);
    visit("softcap", op.softcap);
    visit("causal", op.causal, [&](compiler::ProblemBuilder& problem) {
      return set_choice(problem, "causal", {"none", "start", "end"},
                        static_cast<size_t>(op.causal));
    });
  }
};

template <>
struct Description<Attention> : AttentionDescription<Attention> {
  static constexpr std::array<std::string_view, 2> kFamilies = {"attention_prefill",
                                                                "attention_decode"};
  static constexpr std::string_view family(const Attention& op) {
    using compiler::kernels::attention::kMostDecodedTokens;
    const bool is_of_prefill = op.packed != Attention::Packed::none || op.lookahead >= 0 ||
                               op.kept_keys > 0 || op.memory > 0;
    return kFamilies[op.tokens <= kMostDecodedTokens && !is_of_prefill ? 1 : 0];
  }
  static constexpr void fields(const Attention& op, auto&& visit) {
    AttentionDescription<Attention>::fields(op, visit);
    if (op.packed == Attention::Packed::shared) {
      visit("context", op.context, [](compiler::ProblemBuilder&) {});  // as many as tokens
    } else {
      visit("context", op.context);
    }
    visit("packed", op.packed, [&](compiler::ProblemBuilder& problem) -> Status {
      if (op.packed == Attention::Packed::none) return {};
      return set_choice(problem, "packed", {"none", "shared", "separate", "queries"},
                        static_cast<size_t>(op.packed));
    });
    visit("lookahead", op.lookahead, [&](compiler::ProblemBuilder& problem) {
      if (op.lookahead != -1) problem.set("lookahead", op.lookahead);
    });
    visit_unless_zero("kept_keys", op.kept_keys, visit);
    visit_unless_zero("memory", op.memory, visit);
    visit("mask_of_rows", op.mask_of_rows);
    visit("mask_type", op.mask_type);
    visit("mask", op.mask, [&](compiler::ProblemBuilder& problem) {
      return set_choice(problem, "mask", {"none", "bool", "add"}, static_cast<size_t>(op.mask));
    });
    visit("lengths", op.lengths, [&](compiler::ProblemBuilder& problem) {
      if (op.lengths) problem.set("lengths", true);
    });
    visit("cache", op.cache, [&](compiler::ProblemBuilder& problem) -> Status {
      if (op.cache == Attention::Cache::contiguous) return {};
      return set_choice(problem, "cache", {"contiguous", "paged"}, static_cast<size_t>(op.cache));
    });
    visit_unless_zero("page", op.page, visit);
  }
};

template <>
struct Description<BlockSparseAttention> : AttentionDescription<BlockSparseAttention> {
  static constexpr std::string_view kFamily = "attention_block_sparse";
  static constexpr void fields(const BlockSparseAttention& op, auto&& visit) {
    AttentionDescription<BlockSparseAttention>::fields(op, visit);
    visit("context", op.context);
    visit("block", op.block);
    visit("kept", op.kept);
  }
};

template <>
struct Description<AttentionRouter> {
  static constexpr std::string_view kFamily = "attention_router";
  static constexpr void fields(const AttentionRouter& op, auto&& visit) {
    visit("tokens", op.tokens);
    visit("context", op.context);
    visit("heads", op.heads);
    visit_unless_zero("kv_heads", op.kv_heads, visit);
    visit("dim", op.dim);
    visit("block", op.block);
    visit("rank", op.rank);
    visit("type", op.type);
  }
};

/// What operations of a few tokens against a cache have in common.
template <typename Op>
struct DecodeDescription {
  static constexpr void fields(const Op& op, auto&& visit) {
    visit_heads(op, visit);
    visit("context", op.context);
    visit("causal", op.causal, [&](compiler::ProblemBuilder& problem) {
      problem.set_text("causal", op.causal ? "end" : "none");
    });
    visit("lengths", op.lengths);
  }
};

template <>
struct Description<AttentionLowRank> {
  static constexpr std::string_view kFamily = "attention_low_rank";
  static constexpr void fields(const AttentionLowRank& op, auto&& visit) {
    DecodeDescription<AttentionLowRank>::fields(op, visit);
    visit("rank", op.rank);
    visit_unless_zero("value_rank", op.value_rank, visit);
    visit("recent", op.recent);
    visit("softcap", op.softcap);
    visit("weight_type", op.weight_type);
    visit("per_head", op.per_head, [&](compiler::ProblemBuilder& problem) {
      problem.set_text("up", op.per_head ? "heads" : "kv_heads");
    });
  }
};

template <>
struct Description<AttentionTokenSparse> {
  static constexpr std::string_view kFamily = "attention_token_sparse";
  static constexpr void fields(const AttentionTokenSparse& op, auto&& visit) {
    DecodeDescription<AttentionTokenSparse>::fields(op, visit);
    visit("page", op.page);
    visit("kept", op.kept);
  }
};

template <>
struct Description<AttentionPageBounds> {
  static constexpr std::string_view kFamily = "attention_page_bounds";
  static constexpr void fields(const AttentionPageBounds& op, auto&& visit) {
    visit("pages", op.pages);
    visit("kv_heads", op.kv_heads);
    visit("dim", op.dim);
    visit("page", op.page);
    visit("type", op.type);
    visit("out", op.out);
  }
};

template <>
struct Description<AttentionPageScores> {
  static constexpr std::string_view kFamily = "attention_page_scores";
  static constexpr void fields(const AttentionPageScores& op, auto&& visit) {
    visit("tokens", op.tokens);
    visit("pages", op.pages);
    visit("heads", op.heads);
    visit_unless_zero("kv_heads", op.kv_heads, visit);
    visit("dim", op.dim);
    visit("select", op.select, [&](compiler::ProblemBuilder& problem) -> Status {
      switch (op.select) {
        case AttentionPageScores::Select::pages: problem.set_text("select", "pages"); return {};
        case AttentionPageScores::Select::learned: problem.set_text("select", "learned"); return {};
      }
      return fail(ErrorCode::invalid_argument, "attention_page_scores: select number {} is unknown",
                  static_cast<int>(op.select));
    });
    visit("rank", op.rank);
    visit("type", op.type);
    visit("kv_type", op.kv_type);
    visit("weight_type", op.weight_type);
  }
};

template <>
struct Description<Elementwise> {
  static constexpr std::string_view kFamily = "elementwise";
  static constexpr void fields(const Elementwise& op, auto&& visit) {
    RowDescription<Elementwise>::fields(op, visit);
    visit("out", op.out);
    visit("expression", op.expression,
          [&](compiler::ProblemBuilder& problem) { problem.set_text("expr", op.expression); });
  }
};

}  // namespace lathe::runtime
