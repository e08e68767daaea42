// The state of parts, and how they are merged.
#include "compiler/kernels/attention/split_writer.h"

namespace lathe::compiler::kernels::attention {

void SplitWriter::add_parts(const Expr& splits) {
  rows_ = named(plan_.body, "rows", scratch_rows());
  splits_ = named(plan_.body, "splits", splits);
  const Expr parts = batch_ * Expr(attention_.kv_heads) * splits * scratch_rows();
  const int64_t bytes = s_.rows.value_bytes;
  parts_ = add_row_state(plan_, "parts.", parts, bytes, /*per_worker=*/false);
  whole_ = add_row_state(plan_, "whole.", scratch_rows(), bytes, /*per_worker=*/true);
}

void SplitWriter::merge_parts(Body& body) {
  const Expr batch = loop_variable("batch_index"), head = loop_variable("kv_head");
  const auto rows_of = [&](const Expr& member) {
    Bindings names;
    whole_.bind(names, member * tokens_);
    return names.set("rows", tokens_);
  };
  Body each;
  over_members(each, "start", [&](Body& inner, const Expr& member) {
    start_rows(inner, rows_of(member), start_, query_head(head, member));
  });
  const Expr part = loop_variable("merged_part");
  Loop parts{plan_.find("merged_part"), 0, splits_};
  Bindings names;
  whole_.bind(names, 0);
  parts_.bind(names, first_row(batch, head, part), "other_");
  names.set("rows", rows_);
  append(parts.body, bind(plan_, merge_, names));
  append(each, std::move(parts));
  over_members(each, "finish", [&](Body& inner, const Expr& member) {
    finish_rows(inner, rows_of(member), finish_, batch, 0, query_head(head, member));
  });
  over_heads(body, "batch_index", "kv_head", std::move(each));
}

}  // namespace lathe::compiler::kernels::attention
