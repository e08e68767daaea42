// The plan of block-sparse attention: each block of tokens goes over the blocks of keys that are
// listed for it.
//
// A plan has no branches: what depends on a listed number is a loop of one trip or none. Blocks
// that all rows see whole are taken some at a time, one softmax for all of them: of ascending
// blocks, the last tells whether the others are whole, and with a window the first.
#include "compiler/kernels/attention/prefill_writer.h"

namespace lathe::compiler::kernels::attention {
namespace {

class BlockSparseWriter final : public PrefillWriter {
 public:
  BlockSparseWriter(const Attention& attention, const Blocking& blocking, const ir::Target& target)
      : PrefillWriter("attention_block_sparse", attention, blocking, target) {}

 private:
  void add_programs() override {
    PrefillWriter::add_programs();
    if (s_.together == 1) return;
    RowLayout wide = s_.rows();
    wide.keys *= s_.together;
    softmax_together_ = plan_.add_program(softmax_program(attention_, wide, target_, false));
  }

  void over_keys(Body& body) override {
    const Expr query_blocks = Expr::variable(plan_.find("query_blocks"));
    const Expr query_block = floor_div(first_, attention_.block);
    list_ = named(body, "list",
                  (of_.q_batch * Expr(attention_.kv_heads) + head_) * query_blocks + query_block);
    const Expr count = named(body, "count", plan_.element("counts", list_ * 4));
    const Expr entry = loop_variable("entry");
    Loop entries{plan_.find("entry"), 0, count, Expr(s_.together)};
    if (s_.together == 1) {
      one_block(entries.body, listed(entry));
    } else {
      several_blocks(entries.body, entry, count);
    }
    append(body, std::move(entries));
  }

  Expr listed(const Expr& entry) const {
    return plan_.element("blocks", (list_ * Expr::variable(plan_.find("kept")) + entry) * 4);
  }

  // 1 where all rows see all keys of the block, else 0.
  Expr is_whole(const Expr& block_index) const {
    const Expr first_key = block_index * Expr(s_.keys);
    Expr least = context_ - first_key - Expr(s_.keys);
    if (attention_.is_causal()) least = min(least, position_ - first_key - Expr(s_.keys - 1));
    if (attention_.window > 0)
      least = min(least, Expr(attention_.window) - rows_ - position_ + first_key);
    return clamp(least + 1, 0, 1);
  }

  void one_block(Body& body, const Expr& block_index) {
    const Expr block = named(body, "block", block_index);
    const Expr whole = named(body, "is_whole", is_whole(block));
    once(body, "whole_trip", whole, [&](Body& inner) { whole_block(inner, "whole", block); });
    edge_block(body, "edge", block, (Expr(1) - whole) * rows_);
  }

  // As many blocks as are taken together, from `entry` on, or one by one those that are not.
  void several_blocks(Body& body, const Expr& entry, const Expr& count) {
    const Expr many = named(body, "many", min(Expr(s_.together), count - entry));
    Expr whole = is_whole(named(body, "last_block", listed(entry + many - 1)));
    if (attention_.window > 0)
      whole = min(whole, is_whole(named(body, "first_block", listed(entry))));
    const Expr together =
        named(body, "are_together", min(whole, max(many - Expr(s_.together - 1), 0)));
    once(body, "together_trip", together, [&](Body& inner) { blocks_together(inner, entry); });
    const Expr single = loop_variable("single_entry");
    Loop singles{plan_.find("single_entry"), entry, entry + (Expr(1) - together) * many};
    one_block(singles.body, listed(single));
    append(body, std::move(singles));
  }

  void blocks_together(Body& body, const Expr& entry) {
    over_members(body, "together", [&](Body& inner, const Expr& member) {
      const Bindings rows = rows_of(member, 0, rows_);
      over_together(inner, "scored", entry, [&](Body& each, const Expr& here, const Expr& at) {
        multiply_keys(each, rows, member, 0, here, Expr(s_.keys / s_.scores.panel), at);
      });
      weigh(inner, rows, member, 0, 0, softmax_together_);
      over_together(inner, "added", entry, [&](Body& each, const Expr& here, const Expr& at) {
        multiply_values(each, rows, member, 0, here, Expr(s_.keys), at);
      });
    });
  }

  // Visits the blocks that are taken together: which of the packed ones each is, and where its
  // scores begin.
  void over_together(Body& body, const std::string& name, const Expr& entry,
                     const std::function<void(Body&, const Expr&, const Expr&)>& visit) {
    const Expr place = loop_variable(name + "_place");
    Loop places{plan_.find(name + "_place"), 0, Expr(s_.together)};
    const Expr here = named(places.body, name + "_at", head_block_ + listed(entry + place));
    visit(places.body, here, place * Expr(s_.keys * 4));
    append(body, std::move(places));
  }

  // `steps` where `condition` is 1.
  void once(Body& body, const std::string& name, const Expr& condition,
            const std::function<void(Body&)>& steps) {
    Loop loop{plan_.loop_variable(name), 0, condition};
    steps(loop.body);
    append(body, std::move(loop));
  }

  Expr list_;  ///< which row of the lists is the block's of tokens
  int softmax_together_ = -1;
};

}  // namespace

ir::plan::Plan block_sparse_plan(const Attention& attention, const Blocking& blocking,
                                 const ir::Target& target) {
  return BlockSparseWriter(attention, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::attention
