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
    // Of the blocks that any row reaches, and of those that all rows see whole.
    Expr end = packs_all() && has_all_keys() ? blocks_ : ceil_div(of_.keys, keys);
    Expr whole_end = floor_div(of_.keys, s_.keys);
    if (attention_.has_reach()) {
      const Expr reach = position_ + Expr(attention_.reach());
      end = ceil_div(clamp(reach + rows_, 0, of_.keys), keys);
      whole_end = floor_div(clamp(reach + 1, 0, of_.keys), s_.keys);
    }
    end = named(body, "end_block", end);
    Expr first = 0;
    if (attention_.window > 0) {
      const Expr before = position_ + Expr(1 - attention_.window);  // the first row's first key
      first = named(body, "first_block", min(floor_div(max(before, 0), s_.keys), end));
      const Expr all = ceil_div(max(before + rows_ - 1, 0), keys);
      const Expr whole_first = named(body, "whole_first", clamp(all, first, end));
      if (attention_.kept_keys > 0) {
        const Expr kept =
            named(body, "kept_blocks", min(ceil_div(attention_.kept_keys, keys), first));
        edge_blocks(body, "kept", 0, kept);
      }
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
