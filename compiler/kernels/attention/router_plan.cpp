// The plan of the router: the threads pool blocks of tokens, then blocks of keys, each for all its
// heads; then they score blocks of tokens.
#include "compiler/kernels/attention/router.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::plan::Bindings;
using ir::plan::Body;
using ir::plan::Expr;
using ir::plan::Loop;
using ir::plan::Place;
using ir::plan::Plan;
using ir::program::BufferAccess;

class RouterWriter {
 public:
  RouterWriter(const Router& router, const RouterBlocking& blocking, const ir::Target& target)
      : r_(router), s_(blocking), target_(target) {}

  Plan write() {
    plan_.name = "attention_router";
    declare_operands();
    const int64_t row = r_.width() * 4;
    const auto blocks = [&](const Expr& count) {
      return batch_ * Expr(r_.kv_heads) * count * Expr(row);
    };
    sums_ = plan_.add_scratch({"sums", r_.heads * r_.dim * 4});
    queries_ = plan_.add_scratch({"queries.pooled", blocks(query_blocks_), /*per_worker=*/false});
    keys_ = plan_.add_scratch({"keys.pooled", blocks(key_blocks_), /*per_worker=*/false});
    pool("q", "wq", r_.heads, tokens_, query_blocks_, queries_);
    pool("k", "wk", r_.kv_heads, context_, key_blocks_, keys_);
    score();
    return std::move(plan_);
  }

 private:
  Expr stride(const std::string& operand, int k) {
    return Expr::variable(plan_.input(fmt::format("{}.stride{}", operand, k)));
  }
  Expr variable(const std::string& name) { return Expr::variable(plan_.loop_variable(name)); }
  static bool is_weight(const Port& port) { return port.name == "wq" || port.name == "wk"; }

  // Weights lie dense.
  void declare_operands() {
    batch_ = Expr::variable(plan_.input("batch"));
    tokens_ = Expr::variable(plan_.input("tokens"));
    context_ = Expr::variable(plan_.input("context"));
    query_blocks_ = Expr::variable(plan_.input("query_blocks"));
    key_blocks_ = Expr::variable(plan_.input("key_blocks"));
    for (const Port& port : r_.signature)
      for (size_t k = 0; k + 1 < port.shape.size() && !is_weight(port); ++k)
        stride(port.name, static_cast<int>(k));
    plan_.input("threads");
    for (const Port& port : r_.signature) {
      plan_.add_operand({.name = port.name,
                         .type = port.type,
                         .access = port.output ? BufferAccess::write : BufferAccess::read,
                         .finite = is_weight(port)});
    }
  }

  // Pools all blocks of an operand, each head of k's to a row of its own in `to`.
  void pool(const std::string& operand, const std::string& weight, int64_t heads,
            const Expr& tokens, const Expr& count, const Place& to) {
    const int pool = plan_.add_program(pool_program(r_, s_, heads, target_));
    const int64_t members = heads / r_.kv_heads;
    const int project = plan_.add_program(project_program(r_, members, target_));
    const Expr batch = variable(operand + "_batch"), block = variable(operand + "_block");
    Loop blocks{plan_.find(operand + "_block"), 0, count, 1, /*parallel=*/true};
    const Expr first = block * Expr(r_.block);
    Bindings names;
    names.set("rows", min(Expr(r_.block), tokens - first));
    names.at("x",
             plan_.operand(operand) + (batch * stride(operand, 0) + first * stride(operand, 1)));
    names.set("x.stride1", stride(operand, 1)).set("x.stride2", stride(operand, 2));
    names.at("sums", sums_);
    append(blocks.body, bind(plan_, pool, names));

    const Expr head = variable(operand + "_head");
    Loop each{plan_.find(operand + "_head"), 0, Expr(r_.kv_heads)};
    names.at("sums", sums_ + head * Expr(members * r_.dim * 4));
    if (r_.has_weights())
      names.at("w", plan_.operand(weight) + head * Expr(members * r_.dim * r_.rank * 4));
    names.at("pooled", to + row_of(batch, head, block, count));
    append(each.body, bind(plan_, project, names));
    append(blocks.body, std::move(each));
    over_batches(operand + "_batch", std::move(blocks));
  }

  // Where a pooled block lies among `count` of each head of k.
  Expr row_of(const Expr& batch, const Expr& head, const Expr& block, const Expr& count) const {
    return ((batch * Expr(r_.kv_heads) + head) * count + block) * Expr(r_.width() * 4);
  }

  void over_batches(const std::string& batch, Loop inner) {
    Loop batches{plan_.find(batch), 0, batch_, 1, /*parallel=*/true};
    append(batches.body, std::move(inner));
    append(plan_.body, std::move(batches));
  }

  void score() {
    const int program = plan_.add_program(block_scores_program(r_, s_, target_));
    const Expr batch = variable("batch_index"), head = variable("kv_head");
    const Expr block = variable("query_block");
    Loop blocks{plan_.find("query_block"), 0, query_blocks_, 1, /*parallel=*/true};
    Bindings names;
    names.at("query", queries_ + row_of(batch, head, block, query_blocks_));
    names.at("keys", keys_ + row_of(batch, head, 0, key_blocks_));
    names.at("scores",
             plan_.operand("scores") + (batch * stride("scores", 0) + head * stride("scores", 1) +
                                        block * stride("scores", 2)));
    names.set("columns", key_blocks_);
    append(blocks.body, bind(plan_, program, names));
    Loop heads{plan_.find("kv_head"), 0, Expr(r_.kv_heads), 1, /*parallel=*/true};
    append(heads.body, std::move(blocks));
    over_batches("batch_index", std::move(heads));
  }

  const Router& r_;
  const RouterBlocking& s_;
  const ir::Target& target_;
  Plan plan_;
  Expr batch_, tokens_, context_, query_blocks_, key_blocks_;
  Place sums_, queries_, keys_;
};

}  // namespace

Plan router_plan(const Router& router, const RouterBlocking& blocking, const ir::Target& target) {
  return RouterWriter(router, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::attention
