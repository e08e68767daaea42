// The plan of page scores: the rows that share a head of k become one, which meets the bounds or
// codes of the pages as a row of decode meets keys; the threads share batches and parts of the
// pages.
#include "compiler/kernels/attention/plan_writer.h"
#include "compiler/kernels/attention/token_sparse.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::plan::Plan;
using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

Program clear_program(int64_t width, const ir::Target& target) {
  Builder b("attention_clear", target);
  const Pointer sums = b.buffer("sums", ir::Type::f32, BufferAccess::write);
  b.vectors(width, [&](const Span& at) { b.store(sums, at, b.constant(0)); });
  return b.finish();
}

// Adds rows of q up: as they are, or what is below 0 and, behind it, what is above.
Program add_rows_program(const PageScores& scores, const ir::Target& target) {
  Builder b("attention_add_rows", target);
  const Pointer q = b.buffer("q", scores.type, BufferAccess::read);
  const Pointer sums = b.buffer("sums", ir::Type::f32, BufferAccess::read_write);
  const Scalar rows = b.parameter("rows");
  const Scalar q_stride = b.parameter("q.stride1");
  const auto add = [&](const Span& at, Vec value) { b.store(sums, at, b.load(sums, at) + value); };
  b.loop(0, rows, 1, [&](Scalar) {
    b.vectors(scores.dim, [&](const Span& at) {
      const Vec value = b.load(q, at);
      if (scores.is_learned()) return add(at, value);
      const Vec zero = b.constant(0);
      const Vec below = b.min(value, zero), above = b.max(value, zero);
      add(at, below);
      Span behind = at;
      behind.offset += scores.dim;
      add(behind, above);
    });
    b.advance(q, q_stride);
  });
  return b.finish();
}

class PageScoresWriter {
 public:
  PageScoresWriter(const PageScores& scores, const Schedule& schedule, const ir::Target& target)
      : scores_(scores), target_(target), split_(schedule["split"]) {
    blocking_.key_rows = static_cast<int>(schedule["key_rows"]);
    blocking_.ahead = schedule["ahead"];
    plan_.name = "attention_page_scores";
    batch_ = input("batch");
    tokens_ = input("tokens");
    pages_ = input("pages");
    for (const Port& port : scores.signature)
      for (size_t k = 0; k + 1 < port.shape.size(); ++k) stride(port.name, static_cast<int>(k));
    plan_.input("threads");
    for (const Port& port : scores.signature) {
      plan_.add_operand(
          {port.name, port.type, port.output ? BufferAccess::write : BufferAccess::read});
    }
  }

  Plan write() {
    // One row for each head of k, and what is added up on the way to a learned one.
    queries_ =
        plan_.add_scratch({"queries", batch_ * Expr(scores_.kv_heads * row_bytes(scores_.width())),
                           /*per_worker=*/false});
    sums_ = plan_.add_scratch({"sums", row_bytes(scores_.dim)});
    Attention codes = attention_of(scores_.width(), scores_.code_type);
    clear_query_ = plan_.add_program(clear_program(scores_.width(), target_));
    add_rows_ = plan_.add_program(add_rows_program(scores_, target_));
    score_ = plan_.add_program(decode_scores_program(codes, blocking_, target_));
    if (scores_.is_learned()) {
      Attention weights = attention_of(scores_.rank, scores_.weight_type);
      clear_sums_ = plan_.add_program(clear_program(scores_.dim, target_));
      project_ = plan_.add_program(decode_values_program(weights, DecodeBlocking(), target_));
    }
    make_queries();
    score_pages();
    return std::move(plan_);
  }

 private:
  Expr input(const std::string& name) { return Expr::variable(plan_.input(name)); }
  Expr stride(const std::string& operand, int k) {
    return input(fmt::format("{}.stride{}", operand, k));
  }
  Expr loop_variable(const std::string& name) { return Expr::variable(plan_.loop_variable(name)); }

  // Of one row and rows of so many elements: what the programs of decode ask of an attention.
  static Attention attention_of(int64_t width, ir::Type type) {
    Attention attention;
    attention.dim = width;
    attention.value_dim = width;
    attention.kv_type = type;
    return attention;
  }

  Place query_of(const Expr& batch, const Expr& head) const {
    return queries_ + (batch * Expr(scores_.kv_heads) + head) * Expr(row_bytes(scores_.width()));
  }

  void make_queries() {
    const Expr batch = loop_variable("query_batch"), head = loop_variable("query_head");
    const Expr member = loop_variable("member");
    Loop batches{plan_.find("query_batch"), 0, batch_, 1, /*parallel=*/true};
    Loop heads{plan_.find("query_head"), 0, Expr(scores_.kv_heads), 1, /*parallel=*/true};
    Loop members{plan_.find("member"), 0, Expr(scores_.group())};
    const Place query = query_of(batch, head);
    const Expr of_query = head * Expr(scores_.group()) + member;
    Bindings names;
    names.at("sums", query);
    append(heads.body, bind(plan_, clear_query_, names));
    names.at("q", plan_.operand("q") + (batch * stride("q", 0) + of_query * stride("q", 2)));
    names.set("q.stride1", stride("q", 1)).set("rows", tokens_);
    if (scores_.is_learned()) {
      names.at("sums", sums_);
      append(members.body, bind(plan_, clear_sums_, names));
    }
    append(members.body, bind(plan_, add_rows_, names));
    if (scores_.is_learned()) {
      Bindings product;
      product.at("scores", sums_).at("values", query).set("rows", 1).set("columns", scores_.dim);
      product.at("v", plan_.operand("w") + of_query * stride("w", 0));
      product.set("v.stride1", stride("w", 1));
      append(members.body, bind(plan_, project_, product));
    }
    append(heads.body, std::move(members));
    append(batches.body, std::move(heads));
    append(plan_.body, std::move(batches));
  }

  // A part goes through all heads: where heads lie side by side, so do a part's rows of them.
  void score_pages() {
    const Expr batch = loop_variable("page_batch"), first = loop_variable("first_page");
    const Expr head = loop_variable("kv_head");
    const Expr block = split_ == 0 ? pages_ : Expr(split_);
    Loop batches{plan_.find("page_batch"), 0, batch_, 1, /*parallel=*/true};
    Loop parts{plan_.find("first_page"), 0, pages_, block, /*parallel=*/true};
    Loop heads{plan_.find("kv_head"), 0, Expr(scores_.kv_heads)};
    const std::string codes = scores_.is_learned() ? "codes" : "bounds";
    Bindings names;
    names.set("rows", 1).set("columns", min(block, pages_ - first));
    names.at("q", query_of(batch, head));
    names.at("k", plan_.operand(codes) + (batch * stride(codes, 0) + first * stride(codes, 1) +
                                          head * stride(codes, 2)));
    names.set("k.stride1", stride(codes, 1));
    names.at("scores", plan_.operand("scores") +
                           (batch * stride("scores", 0) + head * stride("scores", 1) + first * 4));
    append(heads.body, bind(plan_, score_, names));
    append(parts.body, std::move(heads));
    append(batches.body, std::move(parts));
    append(plan_.body, std::move(batches));
  }

  const PageScores& scores_;
  const ir::Target& target_;
  int64_t split_;
  DecodeBlocking blocking_;
  Plan plan_;
  Expr batch_, tokens_, pages_;
  Place queries_, sums_;
  int clear_query_ = -1, clear_sums_ = -1, add_rows_ = -1, project_ = -1, score_ = -1;
};

}  // namespace

Plan page_scores_plan(const PageScores& scores, const Schedule& schedule,
                      const ir::Target& target) {
  return PageScoresWriter(scores, schedule, target).write();
}

}  // namespace lathe::compiler::kernels::attention
