// The plan of attention over many rows: each block of tokens goes over the blocks of keys in order.
#include "compiler/kernels/attention/prefill_writer.h"

namespace lathe::compiler::kernels::attention {
namespace {

class DenseWriter final : public PrefillWriter {
 public:
  DenseWriter(const Attention& attention, const Blocking& blocking, const ir::Target& target)
      : PrefillWriter("attention_prefill", attention, blocking, target) {}

 private:
  // Blocks of keys in order: up to the first that all rows see whole, those, and what is left.
  void over_keys(Body& body) override {
    const Expr keys = s_.keys;
    Expr end = blocks_;                             // of the blocks that any row reaches
    Expr whole_end = floor_div(context_, s_.keys);  // of those that all rows see whole
    if (attention_.is_causal()) {
      end = ceil_div(clamp(position_ + rows_, 0, context_), keys);
      whole_end = floor_div(clamp(position_ + 1, 0, context_), s_.keys);
    }
    end = named(body, "end_block", end);
    Expr first = 0;
    if (attention_.window > 0) {
      const Expr before = position_ + Expr(1 - attention_.window);  // the first row's first key
      first = named(body, "first_block", min(floor_div(max(before, 0), s_.keys), end));
      const Expr all = ceil_div(max(before + rows_ - 1, 0), keys);
      const Expr whole_first = named(body, "whole_first", clamp(all, first, end));
      edge_blocks(body, "leading", first, whole_first);
      first = whole_first;
    }
    whole_end = named(body, "whole_end", clamp(whole_end, first, end));
    Loop whole{plan_.loop_variable("whole_block"), first, whole_end};
    whole_block(whole.body, "whole", Expr::variable(whole.variable));
    append(body, std::move(whole));
    edge_blocks(body, "trailing", whole_end, end);
  }

  void edge_blocks(Body& body, const std::string& name, const Expr& first, const Expr& end) {
    Loop loop{plan_.loop_variable(name + "_block"), first, end};
    edge_block(loop.body, name, Expr::variable(loop.variable), rows_);
    append(body, std::move(loop));
  }
};

}  // namespace

ir::plan::Plan prefill_plan(const Attention& attention, const Blocking& blocking,
                            const ir::Target& target) {
  return DenseWriter(attention, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::attention
