// Operands, strides and heads of attention's plans.
#include "compiler/kernels/attention/plan_writer.h"

namespace lathe::compiler::kernels::attention {

using ir::program::BufferAccess;

namespace {

bool is_list(const Port& port) { return port.name == "counts" || port.name == "blocks"; }

// Bounds of sequences that lie side by side in so many tokens or keys.
ir::plan::ElementRule bounds_of(const Expr& all) {
  return {.below = all + 1, .ascending = true, .covers = true};
}

}  // namespace

PlanWriter::PlanWriter(std::string name, const Attention& attention, const ir::Target& target)
    : attention_(attention), target_(target) {
  plan_.name = std::move(name);
  if (!attention_.packs_keys()) batch_ = Expr::variable(plan_.input("batch"));
  tokens_ = Expr::variable(plan_.input("tokens"));
  if (attention_.is_paged()) {
    pages_ = Expr::variable(plan_.input("pages"));
    context_ = Expr::variable(plan_.input("most")) * Expr(attention_.page);
  } else {
    context_ =
        attention_.packed == Packing::shared ? tokens_ : Expr::variable(plan_.input("context"));
  }
  if (attention_.packs_keys()) batch_ = Expr::variable(plan_.input("bounds")) - 1;
  if (attention_.is_sparse()) {
    plan_.input("query_blocks");
    plan_.input("kept");
  }
  // Lists of blocks lie dense.
  for (const Port& port : attention_.signature)
    for (size_t k = 0; k + 1 < port.shape.size() && !is_list(port); ++k)
      stride(port.name, static_cast<int>(k));
  plan_.input("threads");
  for (const Port& port : attention_.signature) {
    ir::plan::Operand operand{port.name, port.type,
                              port.output ? BufferAccess::write : BufferAccess::read};
    if (port.name == "lengths") operand.elements = ir::plan::ElementRule{.below = context_ + 1};
    if (port.name == "block_table") {
      const ir::plan::RowCount used{plan_.operand("lengths").index, attention_.page};
      operand.elements = ir::plan::ElementRule{.below = pages_, .row_count = used};
    }
    if (attention_.is_sparse()) {
      const Expr key_blocks = ceil_div(context_, Expr(attention_.block));
      const Expr room = Expr::variable(plan_.find("kept"));
      if (port.name == "counts")
        operand.elements = ir::plan::ElementRule{.below = min(room, key_blocks) + 1};
      if (port.name == "blocks") {
        const ir::plan::RowCount used{plan_.operand("counts").index};
        operand.elements = ir::plan::ElementRule{
            .below = key_blocks, .ascending = true, .distinct = true, .row_count = used};
      }
    }
    if (port.name == "cu_seqlens") operand.elements = bounds_of(tokens_);
    if (port.name == "cu_seqlens_k") operand.elements = bounds_of(context_);
    // Of packed keys both operands have the shape that says how many sequences there are.
    if (port.name == "cu_seqlens" && attention_.packed == Packing::queries)
      operand.elements->count = batch_ + 1;
    plan_.add_operand(std::move(operand));
  }
}

Expr PlanWriter::stride(const std::string& operand, int k) {
  return Expr::variable(plan_.input(fmt::format("{}.stride{}", operand, k)));
}

Expr PlanWriter::named(Body& body, const std::string& name, const Expr& value) {
  const int variable = plan_.loop_variable(name);
  append(body, ir::plan::Let{variable, value});
  return Expr::variable(variable);
}

Sequence PlanWriter::sequence(const Expr& index) const {
  Sequence sequence{index, index, 0, tokens_, 0, context_};
  const auto between_bounds = [&](const char* operand, Expr& first, Expr& size) {
    first = plan_.element(operand, index * 4);
    size = plan_.element(operand, (index + 1) * 4) - first;
  };
  if (attention_.packs_tokens()) {
    sequence.q_batch = 0;
    between_bounds("cu_seqlens", sequence.first_token, sequence.tokens);
  }
  if (attention_.packs_keys()) {
    sequence.k_batch = 0;
    between_bounds(attention_.packed == Packing::shared ? "cu_seqlens" : "cu_seqlens_k",
                   sequence.first_key, sequence.keys);
  }
  if (attention_.lengths) sequence.keys = plan_.element("lengths", index * 4);
  return sequence;
}

Sequence PlanWriter::named(Body& body, const std::string& prefix, const Sequence& sequence) {
  Sequence result = sequence;
  const auto name = [&](const char* what, Expr& value) {
    if (value.reads_elements()) value = named(body, prefix + what, value);
  };
  name("first_token", result.first_token);
  name("tokens", result.tokens);
  if (attention_.packed == Packing::shared) {
    result.first_key = result.first_token;
    result.keys = result.tokens;
  }
  name("first_key", result.first_key);
  name("keys", result.keys);
  return result;
}

Place PlanWriter::row_of(const std::string& operand, const Expr& batch, const Expr& row,
                         const Expr& head) {
  return plan_.operand(operand) +
         (batch * stride(operand, 0) + row * stride(operand, 1) + head * stride(operand, 2));
}

Place PlanWriter::mask_of(const Expr& batch, const Expr& head) {
  return plan_.operand("mask") + (batch * stride("mask", 0) + head * stride("mask", 1));
}

void PlanWriter::over_members(Body& body, const std::string& name,
                              const std::function<void(Body&, const Expr&)>& visit) {
  if (attention_.group() == 1) return visit(body, Expr(0));
  const int variable = plan_.loop_variable(name + "_member");
  Loop loop{variable, 0, Expr(attention_.group())};
  visit(loop.body, Expr::variable(variable));
  append(body, std::move(loop));
}

void PlanWriter::over_heads(Body& body, const std::string& batch, const std::string& head,
                            Body each) {
  over_batches(
      body, batch,
      {plan_.find(head), 0, Expr(attention_.kv_heads), 1, /*parallel=*/true, std::move(each)});
}

void PlanWriter::over_batches(Body& body, const std::string& batch, Loop loop) {
  Loop batches{plan_.find(batch), 0, batch_, 1, /*parallel=*/true};
  append(batches.body, std::move(loop));
  append(body, std::move(batches));
}

void PlanWriter::pack_queries(Body& body, int program, const Expr& batch, const Expr& head,
                              const Place& packed, int64_t query_bytes) {
  over_members(body, "pack", [&](Body& inner, const Expr& member) {
    Bindings names;
    names.at("x", row_of("q", batch, 0, query_head(head, member)));
    names.set("x.stride0", stride("q", 1)).set("rows", tokens_);
    names.at("packed", packed + member * tokens_ * Expr(query_bytes));
    append(inner, bind(plan_, program, names));
  });
}

void PlanWriter::start_rows(Body& body, Bindings names, int program, const Expr& head) {
  if (attention_.sinks) names.at("sink", plan_.operand("sinks") + head * 4);
  append(body, bind(plan_, program, names));
}

void PlanWriter::finish_rows(Body& body, Bindings names, int program, const Expr& batch,
                             const Expr& row, const Expr& head) {
  names.at("y", row_of("y", batch, row, head)).set("y.stride1", stride("y", 1));
  if (attention_.lse) {
    names.at("lse", row_of("lse", batch, row, head)).set("lse.stride1", stride("lse", 1));
  }
  append(body, bind(plan_, program, names));
}

}  // namespace lathe::compiler::kernels::attention
