// The plan of attention over listed pages: the threads share batches, heads of k and parts of their
// lists; the parts of each head are merged in order, so that results do not depend on the number of
// threads. Every page takes as many columns of scores as it may have keys; those of keys that are
// not there are -inf.
#include <limits>

#include "compiler/kernels/attention/listed_pages.h"
#include "compiler/kernels/attention/split_writer.h"
#include "compiler/kernels/attention/token_sparse.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::plan::Plan;
using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;

class TokenSparseWriter : SplitWriter {
 public:
  TokenSparseWriter(const TokenSparse& sparse, const DecodeBlocking& blocking,
                    const ir::Target& target)
      : SplitWriter("attention_token_sparse", sparse.attention, blocking, target),
        kept_(Expr::variable(plan_.input("kept"))) {
    plan_.operands[static_cast<size_t>(plan_.operand("pages").index)].elements =
        ir::plan::ElementRule{.below = ceil_div(context_, Expr(s_.listed_page)), .ascending = true};
  }

  Plan write() {
    add_parts(s_.split == 0 ? Expr(1) : ceil_div(kept_, Expr(s_.split / s_.listed_page)));
    queries_ = plan_.add_scratch({"queries.packed", scratch_rows() * Expr(s_.query_bytes())});
    scores_ = plan_.add_scratch({"scores", scratch_rows() * Expr(s_.rows.score_bytes)});
    add_programs();
    over_parts(plan_.body);
    merge_parts(plan_.body);
    return std::move(plan_);
  }

 private:
  void add_programs() {
    // A part's rows begin without sinks; and what a row does not see is hidden already.
    Attention part = attention_;
    part.sinks = false;
    part.causal = Causal::none;
    pack_queries_ = plan_.add_program(decode_queries_program(attention_, s_, target_));
    start_part_ = plan_.add_program(start_program(part, s_.rows, target_));
    start_ = plan_.add_program(start_program(attention_, s_.rows, target_));
    multiply_keys_ = plan_.add_program(decode_scores_program(attention_, s_, target_));
    hide_ = plan_.add_program(hide_keys_program(attention_, s_, target_));
    softmax_ = plan_.add_program(softmax_program(part, s_.rows, target_, /*edge=*/true));
    multiply_values_ = plan_.add_program(decode_values_program(attention_, s_, target_));
    merge_ = plan_.add_program(merge_program(attention_, s_.rows, target_));
    finish_ = plan_.add_program(finish_program(attention_, s_.rows, target_));
  }

  void over_parts(Body& body) {
    const Expr batch = loop_variable("part_batch"), head = loop_variable("part_head");
    const Expr part = loop_variable("part");
    Loop parts{plan_.find("part"), 0, splits_, 1, /*parallel=*/true};
    one_part(parts.body, batch, head, part);
    Body each;
    append(each, std::move(parts));
    over_heads(body, "part_batch", "part_head", std::move(each));
  }

  void one_part(Body& body, const Expr& batch, const Expr& head, const Expr& part) {
    const Expr length =
        named(body, "length", attention_.lengths ? plan_.element("lengths", batch * 4) : context_);
    Expr begin = 0, end = kept_;
    if (s_.split > 0) {
      begin = part * Expr(s_.split / s_.listed_page);
      end = named(body, "end", min(begin + Expr(s_.split / s_.listed_page), kept_));
    }
    const Expr row = named(body, "first_row", first_row(batch, head, part));
    pack_queries(body, pack_queries_, batch, head, queries_, s_.query_bytes());
    Bindings names;
    parts_.bind(names, row);
    names.set("rows", rows_).set("length", length);
    append(body, bind(plan_, start_part_, names));

    const Expr entry = loop_variable("entry");
    Loop blocks{plan_.find("entry"), begin, end, Expr(s_.keys / s_.listed_page)};
    const Expr entries =
        named(blocks.body, "entries", min(Expr(s_.keys / s_.listed_page), end - entry));
    names.set("first", entry)
        .set("entries", entries)
        .set("columns", entries * Expr(s_.listed_page));
    names.at("list",
             plan_.operand("pages") + (batch * stride("pages", 0) + head * stride("pages", 1)));
    names.at("scores", scores_).at("q", queries_);
    for (const char* operand : {"k", "v"}) {
      names.at(operand, row_of(operand, batch, 0, head));
      names.set(fmt::format("{}.stride1", operand), stride(operand, 1));
    }
    append(blocks.body, bind(plan_, multiply_keys_, names));
    hide(blocks.body, names, length);
    append(blocks.body, bind(plan_, softmax_, names));
    append(blocks.body, bind(plan_, multiply_values_, names));
    append(body, std::move(blocks));
  }

  // Rows of one token see the same keys; of several, each head's rows begin again.
  void hide(Body& body, Bindings names, const Expr& length) {
    if (!attention_.is_causal()) return append(body, bind(plan_, hide_, names));
    over_members(body, "hide", [&](Body& inner, const Expr& member) {
      names.set("rows", tokens_).set("position", length - tokens_);
      names.at("scores", scores_ + member * tokens_ * Expr(s_.rows.score_bytes));
      append(inner, bind(plan_, hide_, names));
    });
  }

  Expr kept_;
  Place queries_, scores_;
  int pack_queries_ = -1, start_part_ = -1, multiply_keys_ = -1, hide_ = -1;
  int softmax_ = -1, multiply_values_ = -1;
};

}  // namespace

ir::program::Program hide_keys_program(const Attention& attention, const DecodeBlocking& blocking,
                                       const ir::Target& target) {
  Builder b("attention_hide_keys", target);
  const Pointer scores = b.buffer("scores", ir::Type::f32, BufferAccess::write);
  const ListedPages pages(b, blocking.listed_page);
  const Scalar rows = b.parameter("rows");
  Scalar position;
  if (attention.is_causal()) position = b.parameter("position");
  const auto hidden = b.constant(-std::numeric_limits<float>::infinity());
  b.loop(0, rows, 1, [&](Scalar row) {
    const Pointer columns = b.copy(scores);
    pages.visit([&](const ListedPages::Page& page) {
      Scalar seen = page.count;
      if (attention.is_causal()) {
        const Scalar after = b.sub(b.add(b.add(position, row), 1), page.begin);
        seen = b.max(b.min(after, seen), 0);
      }
      b.loop(seen, blocking.listed_page, 1,
             [&](Scalar column) { b.store(columns, Span{0, column, 1, b.lanes() == 1}, hidden); });
      b.advance(columns, blocking.listed_page * 4);
    });
    b.advance(scores, blocking.rows.score_bytes);
  });
  return b.finish();
}

ir::plan::Plan token_sparse_plan(const TokenSparse& sparse, const DecodeBlocking& blocking,
                                 const ir::Target& target) {
  return TokenSparseWriter(sparse, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::attention
