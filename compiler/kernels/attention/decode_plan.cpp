// The plan of attention of a few new rows against a long cache: the threads share batches and parts
// of the context; the parts of each head are merged in order, so that results do not depend on the
// number of threads. Blocks of keys of a paged cache are those of its sequence: programs go over
// the pages that they lie in.
#include "compiler/kernels/attention/split_writer.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::plan::Plan;

class DecodeWriter : SplitWriter {
 public:
  DecodeWriter(const Attention& attention, const DecodeBlocking& blocking, const ir::Target& target)
      : SplitWriter("attention_decode", attention, blocking, target) {}

  Plan write() {
    add_parts(s_.split == 0 ? Expr(1) : ceil_div(context_, Expr(s_.split)));
    add_scratch();
    add_programs();
    over_parts(plan_.body);
    merge_parts(plan_.body);
    return std::move(plan_);
  }

 private:
  void add_scratch() {
    queries_ =
        plan_.add_scratch({"queries.packed", tokens_ * Expr(attention_.heads * s_.query_bytes())});
    scores_ = plan_.add_scratch({"scores", scratch_rows() * Expr(s_.rows.score_bytes)});
  }

  void add_programs() {
    pack_queries_ = plan_.add_program(decode_queries_program(attention_, s_, target_));
    Attention parts = attention_;
    parts.sinks = false;
    start_part_ = plan_.add_program(start_program(parts, s_.rows, target_));
    start_ = plan_.add_program(start_program(attention_, s_.rows, target_));
    multiply_keys_ = plan_.add_program(decode_scores_program(attention_, s_, target_));
    softmax_ = plan_.add_program(softmax_program(attention_, s_.rows, target_, /*edge=*/true));
    multiply_values_ = plan_.add_program(decode_values_program(attention_, s_, target_));
    merge_ = plan_.add_program(merge_program(attention_, s_.rows, target_));
    finish_ = plan_.add_program(finish_program(attention_, s_.rows, target_));
  }

  // A part of the context goes through all heads block by block: where heads lie side by side, a
  // block's keys of all of them are the same pages of memory.
  void over_parts(Body& body) {
    const Expr batch = loop_variable("part_batch"), part = loop_variable("part");
    Loop parts{plan_.find("part"), 0, splits_, 1, /*parallel=*/true};
    one_part(parts.body, batch, part);
    over_batches(body, "part_batch", std::move(parts));
  }

  Place queries_at(const Expr& head) const {
    return queries_ + head * rows_ * Expr(s_.query_bytes());
  }

  void one_part(Body& body, const Expr& batch, const Expr& part) {
    const Expr length =
        named(body, "length", attention_.lengths ? plan_.element("lengths", batch * 4) : context_);
    const bool from_end = attention_.causal == Causal::end;
    // The key at which the first token stands.
    const Expr position = named(body, "position", from_end ? length - tokens_ : Expr(0));
    Expr begin = 0, end = length;
    if (s_.split > 0) {
      begin = part * Expr(s_.split);
      end = min(begin + Expr(s_.split), length);
    }
    if (attention_.is_causal()) end = min(end, position + tokens_);
    if (attention_.window > 0) begin = max(begin, position + Expr(1 - attention_.window));
    begin = named(body, "begin", begin);
    end = named(body, "end", end);
    start_heads(body, batch, part);

    const Expr key = loop_variable("key"), head = loop_variable("key_head");
    Loop blocks{plan_.find("key"), begin, end, Expr(s_.keys)};
    const Expr columns = named(blocks.body, "columns", min(Expr(s_.keys), end - key));
    const PagePlace pages = pages_of(blocks.body, batch, key, columns, length);
    Loop heads{plan_.find("key_head"), 0, Expr(attention_.kv_heads)};
    const Expr row = named(heads.body, "first_row", first_row(batch, head, part));
    // What is asked for: the same keys of the next head, of the last head the next keys of the
    // first.
    const Expr is_last =
        named(heads.body, "is_last_head", max(head + Expr(2 - attention_.kv_heads), 0));
    const auto next = [&](const char* operand) {
      // Of pages that are shorter the table has the next.
      const int64_t rows = attention_.is_paged() && attention_.page <= s_.keys ? 0 : s_.keys;
      const Expr over =
          Expr(rows) * stride(operand, 1) - stride(operand, 2) * Expr(attention_.kv_heads);
      return stride(operand, 2) + is_last * over;
    };
    Bindings names;
    parts_.bind(names, row);
    names.set("rows", rows_).set("columns", columns);
    names.at("scores", scores_).at("q", queries_at(head));
    if (attention_.is_paged()) {
      names.at("pages", pages.entries);
      names.set("first", pages.first).set("page_count", pages.count);
      names.set("page_limit", pages.limit);
      names.set("pages_ahead", is_last * Expr(s_.keys / attention_.page));
    }
    for (const char* operand : {"k", "v"}) {
      if (attention_.is_paged()) {
        names.at(operand, plan_.operand(operand) + head * stride(operand, 2));
        names.set(fmt::format("{}.stride0", operand), stride(operand, 0));
      } else {
        names.at(operand, row_of(operand, batch, key, head));
      }
      names.set(fmt::format("{}.stride1", operand), stride(operand, 1));
      names.set(fmt::format("{}.next", operand), next(operand));
    }
    append(heads.body, bind(plan_, multiply_keys_, names));
    softmax(heads.body, names, batch, head, row, key, position);
    append(heads.body, bind(plan_, multiply_values_, names));
    append(blocks.body, std::move(heads));
    append(body, std::move(blocks));
  }

  // Which pages a block's keys lie in: entries of the block table, how many, how many the sequence
  // has from there on, and where in the first of them the first key is.
  struct PagePlace {
    Place entries;
    Expr first, count, limit;
  };
  PagePlace pages_of(Body& body, const Expr& batch, const Expr& key, const Expr& columns,
                     const Expr& length) {
    if (!attention_.is_paged()) return {};
    const Expr page = attention_.page;
    const Expr number = named(body, "first_page", ceil_div(key + 1, page) - 1);
    const Expr first = named(body, "first_in_page", key - number * page);
    const Place table = plan_.operand("block_table");
    return {table + (batch * stride("block_table", 0) + number * 4), first,
            named(body, "page_count", ceil_div(first + columns, page)),
            ceil_div(length, page) - number};
  }

  void start_heads(Body& body, const Expr& batch, const Expr& part) {
    const Expr head = loop_variable("start_head");
    Loop heads{plan_.find("start_head"), 0, Expr(attention_.kv_heads)};
    pack_queries(heads.body, pack_queries_, batch, head, queries_at(head), s_.query_bytes());
    Bindings names;
    parts_.bind(names, first_row(batch, head, part));
    names.set("rows", rows_);
    append(heads.body, bind(plan_, start_part_, names));
    append(body, std::move(heads));
  }

  // Rows of one token see the same keys; of several, each head's rows begin again.
  void softmax(Body& body, Bindings names, const Expr& batch, const Expr& head, const Expr& row,
               const Expr& key, const Expr& position) {
    const bool is_uniform =
        !attention_.is_causal() && attention_.window == 0 && attention_.mask == MaskKind::none;
    if (is_uniform) {
      append(body, bind(plan_, softmax_, names));
      return;
    }
    over_members(body, "softmax", [&](Body& inner, const Expr& member) {
      parts_.bind(names, row + member * tokens_);
      names.set("rows", tokens_);
      names.at("scores", scores_ + member * tokens_ * Expr(s_.rows.score_bytes));
      names.set("end", position + 1 - key);
      names.set("begin", position + Expr(1 - attention_.window) - key);
      if (attention_.mask != MaskKind::none) {
        names.at("mask", mask_of(batch, query_head(head, member)) + key * Expr(mask_bytes()));
        names.set("mask.stride2", stride("mask", 2));
      }
      append(inner, bind(plan_, softmax_, names));
    });
  }

  Place queries_, scores_;
  int pack_queries_ = -1, start_part_ = -1, multiply_keys_ = -1, softmax_ = -1;
  int multiply_values_ = -1;
};

}  // namespace

Plan decode_plan(const Attention& attention, const DecodeBlocking& blocking,
                 const ir::Target& target) {
  return DecodeWriter(attention, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::attention
