// Packing, blocks of tokens, and one block of keys, whole or at an edge.
#include "compiler/kernels/attention/prefill_writer.h"

namespace lathe::compiler::kernels::attention {

using ir::plan::Plan;

Plan PrefillWriter::write() {
  add_scratch();
  add_programs();
  if (packs_all()) {
    blocks_ = named(plan_.body, "key_blocks", blocks_of_a_head());
    pack(plan_.body);
  }
  attend(plan_.body);
  plan_.most_scratch = attention_.memory;
  return std::move(plan_);
}

// Of keys packed side by side each sequence begins a block of its own: at most one more for each
// than whole ones.
Expr PrefillWriter::blocks_of_a_head() const {
  return attention_.packs_keys() ? floor_div(context_, s_.keys) + batch_
                                 : ceil_div(context_, Expr(s_.keys));
}

void PrefillWriter::add_scratch() {
  const Expr heads = attention_.kv_heads;
  const Expr blocks = !packs_all()              ? Expr(1)
                      : attention_.packs_keys() ? heads * blocks_of_a_head()
                                                : batch_ * heads * blocks_of_a_head();
  const int64_t rows = attention_.group() * s_.queries;
  packed_keys_ = plan_.add_scratch(
      {"keys.packed", blocks * Expr(s_.key_block_bytes()), /*per_worker=*/!packs_all()});
  packed_values_ = plan_.add_scratch(
      {"values.packed", blocks * Expr(s_.value_block_bytes()), /*per_worker=*/!packs_all()});
  packed_queries_ = plan_.add_scratch({"queries.packed", rows * s_.query_bytes()});
  scores_ = plan_.add_scratch({"scores", s_.queries * s_.weight_bytes()});
  maximum_ = plan_.add_scratch({"maximum", rows * 4});
  sum_ = plan_.add_scratch({"sum", rows * 4});
  sums_ = plan_.add_scratch({"values.sums", rows * s_.sum_bytes()});
}

void PrefillWriter::add_programs() {
  pack_keys_ = plan_.add_program(pack_keys_program(attention_, s_, target_));
  pack_values_ = plan_.add_program(pack_values_program(attention_, s_, target_));
  product::Product queries = s_.scores;
  queries.type = attention_.type;
  pack_queries_ = plan_.add_program(product::pack_rows_program(queries, s_.score_tile, target_));
  start_ = plan_.add_program(start_program(attention_, s_.rows(), target_));
  multiply_keys_ =
      plan_.add_program(product::block_program(s_.scores, s_.score_tile, target_, s_.scores.panel));
  softmax_ = plan_.add_program(softmax_program(attention_, s_.rows(), target_, /*edge=*/false));
  softmax_edge_ = plan_.add_program(softmax_program(attention_, s_.rows(), target_, /*edge=*/true));
  const int64_t whole = s_.values.n / s_.values.panel, rest = s_.values.n % s_.values.panel;
  if (whole > 0) multiply_values_.push_back(add_values_program(0, whole, s_.values.panel));
  if (rest > 0) multiply_values_.push_back(add_values_program(whole, 1, rest));
  finish_ = plan_.add_program(finish_program(attention_, s_.rows(), target_));
}

PrefillWriter::ValuePanels PrefillWriter::add_values_program(int64_t first, int64_t count,
                                                             int64_t columns) {
  return {plan_.add_program(product::block_program(s_.values, s_.value_tile, target_, columns)),
          first, count};
}

// The first of a head's blocks of keys and values, all heads one after the other. Blocks of a
// sequence among packed ones begin where as many whole ones as there are keys before it, and one
// more for each sequence, end.
Expr PrefillWriter::first_block(const Expr& number, const Sequence& sequence,
                                const Expr& head) const {
  if (!attention_.packs_keys()) return (number * Expr(attention_.kv_heads) + head) * blocks_;
  return head * blocks_ + (floor_div(sequence.first_key, s_.keys) + number);
}

void PrefillWriter::pack(Body& body) {
  const Expr number = loop_variable("packed_batch");
  const Expr head = loop_variable("packed_head");
  const Expr block = loop_variable("packed_block");
  Loop blocks{plan_.find("packed_block"), 0,
              has_all_keys() ? blocks_ : ceil_div(sequence(number).keys, Expr(s_.keys)), 1,
              /*parallel=*/true};
  const Sequence of = named(blocks.body, "packed_", sequence(number));
  pack_block(blocks.body, of, head, block, first_block(number, of, head) + block);
  Body each;
  append(each, std::move(blocks));
  over_heads(body, "packed_batch", "packed_head", std::move(each));
}

void PrefillWriter::pack_block(Body& body, const Sequence& of, const Expr& head, const Expr& block,
                               const Expr& place) {
  const Expr first = block * Expr(s_.keys);
  Bindings names;
  names.set("rows", min(Expr(s_.keys), of.keys - first));
  names.set("k.stride1", stride("k", 1)).set("v.stride1", stride("v", 1));
  names.at("k", row_of("k", of.k_batch, of.first_key + first, head));
  names.at("packed", packed_keys_ + place * Expr(s_.key_block_bytes()));
  append(body, bind(plan_, pack_keys_, names));
  names.at("v", row_of("v", of.k_batch, of.first_key + first, head));
  names.at("packed", packed_values_ + place * Expr(s_.value_block_bytes()));
  append(body, bind(plan_, pack_values_, names));
}

void PrefillWriter::pack_if_limited(Body& body, const Expr& block_index) {
  if (!packs_all()) pack_block(body, of_, head_, block_index, 0);
}

void PrefillWriter::attend(Body& body) {
  const Expr number = loop_variable("batch_index");
  head_ = loop_variable("kv_head");
  const Expr block = loop_variable("query_block");
  Loop blocks{plan_.find("query_block"), 0, ceil_div(sequence(number).tokens, Expr(s_.queries)), 1,
              /*parallel=*/true};
  of_ = named(blocks.body, "sequence_", sequence(number));
  if (packs_all()) head_block_ = named(blocks.body, "head_block", first_block(number, of_, head_));
  first_ = named(blocks.body, "first_query", block * Expr(s_.queries));
  rows_ = named(blocks.body, "queries", min(Expr(s_.queries), of_.tokens - first_));
  const bool from_end = attention_.causal == Causal::end;
  position_ = named(blocks.body, "position", from_end ? first_ + of_.keys - of_.tokens : first_);
  over_members(blocks.body, "start",
               [&](Body& inner, const Expr& member) { start(inner, member); });
  over_keys(blocks.body);
  over_members(blocks.body, "finish", [&](Body& inner, const Expr& member) {
    finish_rows(inner, rows_of(member, 0, rows_), finish_, of_.q_batch, of_.first_token + first_,
                query_head(head_, member));
  });
  Body each;
  append(each, std::move(blocks));
  over_heads(body, "batch_index", "kv_head", std::move(each));
}

Bindings PrefillWriter::rows_of(const Expr& member, const Expr& row, const Expr& rows) const {
  const Expr at = member * Expr(s_.queries) + row;
  Bindings names;
  names.set("rows", rows);
  names.at("maximum", maximum_ + at * 4).at("sum", sum_ + at * 4);
  names.at("values", sums_ + at * Expr(s_.sum_bytes()));
  return names;
}

Place PrefillWriter::queries_at(const Expr& member, const Expr& row) const {
  return packed_queries_ + (member * Expr(s_.queries) + row) * Expr(s_.query_bytes());
}

void PrefillWriter::start(Body& body, const Expr& member) {
  Bindings names = rows_of(member, 0, rows_);
  names.at("x", row_of("q", of_.q_batch, of_.first_token + first_, query_head(head_, member)));
  names.set("x.stride0", stride("q", 1)).at("packed", queries_at(member, 0));
  append(body, bind(plan_, pack_queries_, names));
  start_rows(body, std::move(names), start_, query_head(head_, member));
}

void PrefillWriter::whole_block(Body& body, const std::string& name, const Expr& block_index) {
  pack_if_limited(body, block_index);
  over_members(body, name, [&](Body& inner, const Expr& member) {
    block(inner, name, block_index, member, 0, rows_, Expr(s_.keys / s_.scores.panel),
          Expr(s_.keys), softmax_, {});
  });
}

void PrefillWriter::edge_block(Body& body, const std::string& name, const Expr& block_index,
                               const Expr& rows_end) {
  // Of the keys from here on, the first row stands at key `here`.
  const Expr first_key = block_index * Expr(s_.keys);
  const Expr here = named(body, name + "_here", position_ - first_key);
  Expr begin = 0, end = rows_end;
  if (attention_.has_reach()) {
    // From the rows that reach the block on.
    begin = round_up(max(Expr(0) - here - Expr(attention_.reach()), 0) - Expr(s_.edge_rows - 1),
                     Expr(s_.edge_rows));
  }
  if (attention_.window > 0) {
    Expr in_window = Expr(s_.keys - 1 + attention_.window) - here;
    // Where the block has kept keys, all rows see these.
    if (attention_.kept_keys > 0)
      in_window = max(in_window, max(Expr(attention_.kept_keys) - first_key, 0) * rows_);
    end = min(rows_end, in_window);
  }
  pack_if_limited(body, block_index);
  over_members(body, name, [&](Body& inner, const Expr& member) {
    const int row_variable = plan_.loop_variable(name + "_row");
    const Expr row = Expr::variable(row_variable);
    Loop rows{row_variable, begin, end, Expr(s_.edge_rows)};
    const Expr count = named(rows.body, name + "_rows", min(Expr(s_.edge_rows), rows_ - row));
    Expr reach = of_.keys - first_key;
    if (attention_.has_reach()) reach = min(reach, here + row + count + Expr(attention_.reach()));
    const Expr columns = named(rows.body, name + "_columns", clamp(reach, 0, Expr(s_.keys)));
    Bindings names;
    names.set("columns", columns);
    names.set("end", here + row + Expr(1 + attention_.reach()));
    names.set("begin", here + row + Expr(1 - attention_.window));
    names.set("kept", Expr(attention_.kept_keys) - first_key);
    block(rows.body, name, block_index, member, row, count,
          ceil_div(columns, Expr(s_.scores.panel)), columns, softmax_edge_, names);
    append(inner, std::move(rows));
  });
}

// Rows `row` … of a member by one block of keys: scores, their softmax, values.
void PrefillWriter::block(Body& body, const std::string& name, const Expr& block_index,
                          const Expr& member, const Expr& row, const Expr& rows, const Expr& panels,
                          const Expr& columns, int softmax, const Bindings& bounds) {
  const Expr here = packs_all() ? named(body, name + "_at", head_block_ + block_index) : Expr(0);
  multiply_keys(body, rows_of(member, row, rows), member, row, here, panels, 0);
  Bindings weights = rows_of(member, row, rows);
  for (const char* bound : {"columns", "end", "begin", "kept"})
    if (const Expr* value = bounds.value(bound)) weights.set(bound, *value);
  weigh(body, std::move(weights), member, row, block_index, softmax);
  multiply_values(body, rows_of(member, row, rows), member, row, here, columns, 0);
}

void PrefillWriter::multiply_keys(Body& body, Bindings rows, const Expr& member, const Expr& row,
                                  const Expr& here, const Expr& panels, const Expr& at) {
  rows.at("x", queries_at(member, row)).at("y", scores_ + at);
  rows.at("w", packed_keys_ + here * Expr(s_.key_block_bytes()));
  rows.set("panels", panels).set("y.stride0", s_.weight_bytes());
  append(body, bind(plan_, multiply_keys_, rows));
}

void PrefillWriter::weigh(Body& body, Bindings rows, const Expr& member, const Expr& row,
                          const Expr& block_index, int softmax) {
  rows.at("scores", scores_);
  if (attention_.mask != MaskKind::none) {
    rows.at("mask",
            mask_of(of_.q_batch, query_head(head_, member)) +
                ((of_.first_token + first_ + row) * stride("mask", 2) +
                 of_.first_key * Expr(mask_bytes()) + block_index * Expr(s_.keys * mask_bytes())));
    rows.set("mask.stride2", stride("mask", 2));
  }
  append(body, bind(plan_, softmax, rows));
}

void PrefillWriter::multiply_values(Body& body, Bindings rows, const Expr& member, const Expr& row,
                                    const Expr& here, const Expr& columns, const Expr& at) {
  for (const ValuePanels& of : multiply_values_) {
    rows.at("x", scores_ + at);
    rows.at("y", sums_ + ((member * Expr(s_.queries) + row) * Expr(s_.sum_bytes()) +
                          Expr(of.first * s_.values.panel * 4)));
    rows.at("w", packed_values_ + (here * Expr(s_.value_block_bytes()) +
                                   Expr(of.first * s_.values.part_bytes.front())));
    // The sums go on from what they are.
    rows.set("panels", of.count).set("y.stride0", s_.sum_bytes());
    rows.set("depth", columns).set("before", 1).set("after", 0);
    append(body, bind(plan_, of.program, rows));
  }
}

}  // namespace lathe::compiler::kernels::attention
