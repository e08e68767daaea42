// The plan of attention against factors of low rank: q meets u_k once; the threads share batches
// and parts of the factors' rows, then of the recent keys; for each head the parts are merged, in
// order, and the sums of rows of c_v meet u_v.
#include "compiler/kernels/attention/low_rank.h"
#include "compiler/kernels/attention/plan_writer.h"
#include "compiler/kernels/attention/row_state.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::plan::Plan;

// Keys and values that the rows go over part by part: the factors, or the window.
struct Cache {
  std::string name;          // in names of variables and scratch
  std::string keys, values;  // operands
  std::string lengths;       // operand; empty: all rows of the cache count
  const Attention& attention;
  const DecodeBlocking& blocking;
  Expr context;  // rows of the cache
  Expr splits{};
  RowState parts{};
  Place queries{};
  int start = -1, multiply_keys = -1, softmax = -1, multiply_values = -1, merge = -1;
};

class LowRankWriter : PlanWriter {
 public:
  LowRankWriter(const LowRank& low_rank, const Schedule& s, const ir::Target& target)
      : PlanWriter("attention_low_rank", low_rank.attention, target),
        low_rank_(low_rank),
        factors_blocking_(low_rank.factors, s),
        recent_blocking_(low_rank.recent, s),
        factors_{"factors",
                 "c_k",
                 "c_v",
                 low_rank.attention.lengths ? "lengths" : "",
                 low_rank.factors,
                 factors_blocking_,
                 context_},
        recent_{"recent",
                "k",
                "v",
                "recent_lengths",
                low_rank.recent,
                recent_blocking_,
                Expr(low_rank.window)} {
    if (low_rank.window > 0) {
      plan_.operands[static_cast<size_t>(plan_.operand("recent_lengths").index)].elements =
          ir::plan::ElementRule{.below = low_rank.window + 1};
    }
  }

  Plan write() {
    rows_ = named(plan_.body, "rows", tokens_ * Expr(attention_.group()));
    add_shared();
    add_cache(factors_);
    if (low_rank_.window > 0) add_cache(recent_);
    make_queries(plan_.body);
    over_parts(plan_.body, factors_);
    if (low_rank_.window > 0) over_parts(plan_.body, recent_);
    finish_heads(plan_.body);
    return std::move(plan_);
  }

 private:
  // Sizes of scratch are of inputs alone.
  Expr scratch_rows() const { return tokens_ * Expr(attention_.group()); }

  void add_shared() {
    // What meets u_k is packed q, what comes of it the packed q of the factors; what meets u_v are
    // the sums of the factors, what comes of it the values of y.
    absorbing_.rows.score_bytes = factors_blocking_.query_bytes();
    absorbing_.ahead = 0;
    expanding_.rows.score_bytes = factors_blocking_.rows.value_bytes;
    expanding_.ahead = 0;
    Attention up = attention_;
    up.kv_type = low_rank_.up_type;

    const Expr all_rows = batch_ * tokens_ * Expr(attention_.heads);
    recent_.queries =
        plan_.add_scratch({"queries.packed", all_rows * Expr(recent_blocking_.query_bytes()),
                           /*per_worker=*/false});
    factors_.queries =
        plan_.add_scratch({"queries.absorbed", all_rows * Expr(factors_blocking_.query_bytes()),
                           /*per_worker=*/false});
    scores_ =
        plan_.add_scratch({"scores", scratch_rows() * Expr(factors_blocking_.rows.score_bytes)});
    sums_ = add_row_state(plan_, "whole.", scratch_rows(), factors_blocking_.rows.value_bytes,
                          /*per_worker=*/true);
    values_ =
        plan_.add_scratch({"whole.y", scratch_rows() * Expr(recent_blocking_.rows.value_bytes)});

    pack_queries_ = plan_.add_program(
        product::pack_rows_program(recent_blocking_.queries, recent_blocking_.packed, target_));
    absorb_ = plan_.add_program(decode_scores_program(up, absorbing_, target_));
    expand_ = plan_.add_program(decode_values_program(up, expanding_, target_));
    start_sums_ =
        plan_.add_program(start_program(low_rank_.factors, factors_blocking_.rows, target_));
    start_values_ = plan_.add_program(start_program(attention_, recent_blocking_.rows, target_));
    finish_ = plan_.add_program(finish_program(attention_, recent_blocking_.rows, target_));
  }

  void add_cache(Cache& cache) {
    const DecodeBlocking& s = cache.blocking;
    const Attention& attention = cache.attention;
    const auto splits = [&] {
      return s.split == 0 ? Expr(1) : ceil_div(cache.context, Expr(s.split));
    };
    cache.splits = named(plan_.body, cache.name + "_splits", splits());
    const Expr parts = batch_ * Expr(attention_.kv_heads) * splits() * scratch_rows();
    cache.parts =
        add_row_state(plan_, cache.name + ".", parts, s.rows.value_bytes, /*per_worker=*/false);
    Attention without_sinks = attention;
    without_sinks.sinks = false;
    cache.start = plan_.add_program(start_program(without_sinks, s.rows, target_));
    cache.multiply_keys = plan_.add_program(decode_scores_program(attention, s, target_));
    cache.softmax = plan_.add_program(softmax_program(attention, s.rows, target_, /*edge=*/true));
    cache.multiply_values = plan_.add_program(decode_values_program(attention, s, target_));
    cache.merge = plan_.add_program(merge_program(attention, s.rows, target_));
  }

  // Of a batch and a head, where its rows of q lie.
  Place queries_at(const Cache& cache, const Expr& batch, const Expr& head) const {
    return cache.queries +
           (batch * Expr(attention_.kv_heads) + head) * rows_ * Expr(cache.blocking.query_bytes());
  }
  Expr first_row(const Cache& cache, const Expr& batch, const Expr& head, const Expr& part) const {
    return ((batch * Expr(attention_.kv_heads) + head) * cache.splits + part) * rows_;
  }
  Place up_of(const std::string& operand, const Expr& head) {
    return plan_.operand(operand) + head * stride(operand, 0);
  }

  // Visits the rows of a head of k that share matrices u: all, or those of each head of q.
  void over_matrices(Body& body, const std::string& name, const Expr& head,
                     const std::function<void(Body&, const Expr& matrix, const Expr& row,
                                              const Expr& rows)>& visit) {
    if (!low_rank_.per_head) return visit(body, head, 0, rows_);
    over_members(body, name, [&](Body& inner, const Expr& member) {
      visit(inner, query_head(head, member), member * tokens_, tokens_);
    });
  }

  void make_queries(Body& body) {
    const Expr batch = loop_variable("query_batch"), head = loop_variable("query_head");
    Body each;
    pack_queries(each, pack_queries_, batch, head, queries_at(recent_, batch, head),
                 recent_blocking_.query_bytes());
    over_matrices(each, "absorb", head,
                  [&](Body& inner, const Expr& matrix, const Expr& row, const Expr& rows) {
                    Bindings names;
                    names.set("rows", rows).set("columns", low_rank_.factors.dim);
                    names.set("k.stride1", stride("u_k", 1)).at("k", up_of("u_k", matrix));
                    names.at("q", queries_at(recent_, batch, head) +
                                      row * Expr(recent_blocking_.query_bytes()));
                    names.at("scores", queries_at(factors_, batch, head) +
                                           row * Expr(factors_blocking_.query_bytes()));
                    append(inner, bind(plan_, absorb_, names));
                  });
    over_heads(body, "query_batch", "query_head", std::move(each));
  }

  void over_parts(Body& body, const Cache& cache) {
    const Expr batch = loop_variable(cache.name + "_batch");
    const Expr part = loop_variable(cache.name + "_part");
    Loop parts{plan_.find(cache.name + "_part"), 0, cache.splits, 1, /*parallel=*/true};
    one_part(parts.body, cache, batch, part);
    over_batches(body, cache.name + "_batch", std::move(parts));
  }

  // As attention_decode does, a part goes through all heads block by block.
  void one_part(Body& body, const Cache& cache, const Expr& batch, const Expr& part) {
    const DecodeBlocking& s = cache.blocking;
    const auto name = [&](const char* suffix) { return cache.name + suffix; };
    const Expr length =
        named(body, name("_length"),
              cache.lengths.empty() ? cache.context : plan_.element(cache.lengths, batch * 4));
    const bool is_causal = cache.attention.is_causal();
    // The key at which the first token stands.
    const Expr position = is_causal ? named(body, name("_position"), length - tokens_) : Expr(0);
    Expr begin = 0, end = length;
    if (s.split > 0) {
      begin = part * Expr(s.split);
      end = min(begin + Expr(s.split), length);
    }
    if (is_causal) end = min(end, position + tokens_);
    end = named(body, name("_end"), end);
    start_parts(body, cache, batch, part);

    const Expr key = loop_variable(name("_key")), head = loop_variable(name("_head"));
    Loop blocks{plan_.find(name("_key")), begin, end, Expr(s.keys)};
    const Expr columns = named(blocks.body, name("_columns"), min(Expr(s.keys), end - key));
    Loop heads{plan_.find(name("_head")), 0, Expr(attention_.kv_heads)};
    const Expr row = named(heads.body, name("_first_row"), first_row(cache, batch, head, part));
    // What is asked for ahead: the same rows of the next head, of the last the first's next rows.
    const Expr is_last =
        named(heads.body, name("_is_last"), max(head + Expr(2 - attention_.kv_heads), 0));
    Bindings names;
    cache.parts.bind(names, row);
    names.set("rows", rows_).set("columns", columns);
    names.at("scores", scores_).at("q", queries_at(cache, batch, head));
    const auto bind_operand = [&](const std::string& buffer, const std::string& operand) {
      const Expr over =
          Expr(s.keys) * stride(operand, 1) - stride(operand, 2) * Expr(attention_.kv_heads);
      names.at(buffer, row_of(operand, batch, key, head));
      names.set(buffer + ".stride1", stride(operand, 1));
      names.set(buffer + ".next", stride(operand, 2) + is_last * over);
    };
    bind_operand("k", cache.keys);
    bind_operand("v", cache.values);
    append(heads.body, bind(plan_, cache.multiply_keys, names));
    softmax(heads.body, cache, names, row, position + 1 - key);
    append(heads.body, bind(plan_, cache.multiply_values, names));
    append(blocks.body, std::move(heads));
    append(body, std::move(blocks));
  }

  void start_parts(Body& body, const Cache& cache, const Expr& batch, const Expr& part) {
    const Expr head = loop_variable(cache.name + "_start");
    Loop heads{plan_.find(cache.name + "_start"), 0, Expr(attention_.kv_heads)};
    Bindings names;
    cache.parts.bind(names, first_row(cache, batch, head, part));
    names.set("rows", rows_);
    append(heads.body, bind(plan_, cache.start, names));
    append(body, std::move(heads));
  }

  // Rows of one token see the same keys; of several, each head's rows begin again.
  void softmax(Body& body, const Cache& cache, Bindings names, const Expr& row, const Expr& end) {
    if (!cache.attention.is_causal()) return append(body, bind(plan_, cache.softmax, names));
    over_members(body, cache.name + "_softmax", [&](Body& inner, const Expr& member) {
      cache.parts.bind(names, row + member * tokens_);
      names.set("rows", tokens_).set("end", end);
      names.at("scores", scores_ + member * tokens_ * Expr(cache.blocking.rows.score_bytes));
      append(inner, bind(plan_, cache.softmax, names));
    });
  }

  // The state of y: largest score and sum are those of the factors.
  RowState y_state() const {
    return {sums_.maximum, sums_.sum, values_, recent_blocking_.rows.value_bytes};
  }

  void finish_heads(Body& body) {
    const Expr batch = loop_variable("batch_index"), head = loop_variable("kv_head");
    const auto rows_of = [&](const RowState& state, const Expr& member) {
      Bindings names;
      state.bind(names, member * tokens_);
      return names.set("rows", tokens_);
    };
    Body each;
    over_members(each, "start", [&](Body& inner, const Expr& member) {
      const Expr of_query = query_head(head, member);
      start_rows(inner, rows_of(y_state(), member), start_values_, of_query);
      start_rows(inner, rows_of(sums_, member), start_sums_, of_query);
    });
    merge_parts(each, factors_, sums_, batch, head);
    over_matrices(each, "expand", head,
                  [&](Body& inner, const Expr& matrix, const Expr& row, const Expr& rows) {
                    Bindings names;
                    names.set("rows", rows).set("columns", low_rank_.factors.value_dim);
                    names.set("v.stride1", stride("u_v", 1)).at("v", up_of("u_v", matrix));
                    names.at("scores", sums_.values + row * Expr(sums_.value_bytes));
                    names.at("values", values_ + row * Expr(y_state().value_bytes));
                    append(inner, bind(plan_, expand_, names));
                  });
    if (low_rank_.window > 0) merge_parts(each, recent_, y_state(), batch, head);
    over_members(each, "finish", [&](Body& inner, const Expr& member) {
      finish_rows(inner, rows_of(y_state(), member), finish_, batch, 0, query_head(head, member));
    });
    over_heads(body, "batch_index", "kv_head", std::move(each));
  }

  void merge_parts(Body& body, const Cache& cache, const RowState& state, const Expr& batch,
                   const Expr& head) {
    const Expr part = loop_variable(cache.name + "_merged");
    Loop parts{plan_.find(cache.name + "_merged"), 0, cache.splits};
    Bindings names;
    state.bind(names, 0);
    cache.parts.bind(names, first_row(cache, batch, head, part), "other_");
    names.set("rows", rows_);
    append(parts.body, bind(plan_, cache.merge, names));
    append(body, std::move(parts));
  }

  const LowRank& low_rank_;
  DecodeBlocking factors_blocking_, recent_blocking_;
  DecodeBlocking absorbing_ = recent_blocking_, expanding_ = recent_blocking_;
  Cache factors_, recent_;
  Expr rows_;
  Place scores_, values_;
  RowState sums_;
  int pack_queries_ = -1, absorb_ = -1, expand_ = -1, start_sums_ = -1, start_values_ = -1;
  int finish_ = -1;
};

}  // namespace

Plan low_rank_plan(const LowRank& low_rank, const Schedule& schedule, const ir::Target& target) {
  return LowRankWriter(low_rank, schedule, target).write();
}

}  // namespace lathe::compiler::kernels::attention
