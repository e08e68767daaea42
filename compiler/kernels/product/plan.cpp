// What the plans of products share.
#include "compiler/kernels/product/plan.h"

namespace lathe::compiler::kernels::product {

using ir::plan::Bindings;
using ir::plan::Loop;
using ir::plan::Place;
using ir::program::BufferAccess;

PlanWriter::PlanWriter(const Product& product, const Blocking& blocking, const Signature& signature,
                       const ir::Target& target)
    : product_(product), s_(blocking), signature_(signature), target_(target) {
  plan_.name = product.name;
  plan_.in_place = false;
}

void PlanWriter::declare_operands(size_t first_packed, size_t last_packed) {
  for (size_t i = 0; i < signature_.size(); ++i) {
    const Port& port = signature_[i];
    const size_t dimensions = port.shape.size();
    if (dimensions < 2 || (i >= first_packed && i < last_packed)) continue;
    for (size_t k = 0; k + 1 < dimensions; ++k) stride(port, k);
    names_.set(port.name + ".stride0", stride(port, dimensions - 2));
  }
  threads_ = Expr::variable(plan_.input("threads"));
  const bool partial = s_.has_outer_blocks(product_);
  for (const Port& port : signature_) {
    const auto written = partial ? BufferAccess::read_write : BufferAccess::write;
    plan_.add_operand({port.name, port.type, port.output ? written : BufferAccess::read});
  }
}

PlanWriter::Expr PlanWriter::stride(const Port& port, size_t dimension) {
  return Expr::variable(plan_.input(fmt::format("{}.stride{}", port.name, dimension)));
}

Place PlanWriter::at(const Port& port, const Expr& batch, const Expr& row, const Expr& column,
                     bool transposed) {
  const size_t dimensions = port.shape.size();
  const ir::TypeInfo& type = ir::info(port.type);
  const Expr& strided = transposed ? column : row;
  const Expr& dense = transposed ? row : column;
  Expr offset = 0;
  if (dimensions > 2) offset = batch * stride(port, 0);
  if (dimensions > 1) offset = offset + strided * stride(port, dimensions - 2);
  offset = offset + ceil_div(dense, Expr(type.block_elements)) * Expr(type.block_bytes);
  return plan_.operand(port.name) + offset;
}

void PlanWriter::offer_epilogue(Bindings& names, const Expr& batch, const Expr& row,
                                const Expr& column) {
  for (size_t i = product_.first_input(); i < signature_.size(); ++i) {
    const Port& port = signature_[i];
    const bool is_column = port.shape.back() == ir::graph::Dim(1);
    names.at(port.name, at(port, batch, row, is_column ? Expr(0) : column));
  }
}

void PlanWriter::offer_depth(Bindings& names, const Expr& k, const Expr& depth) const {
  names.set("depth", depth).set("before", k).set("after", Expr(product_.k) - k - depth);
}

void PlanWriter::over_depth(Body& body, const std::string& name, const VisitDepth& visit) {
  if (!s_.has_outer_blocks(product_)) return visit(body, Expr(0), Expr(product_.k));
  const int variable = plan_.loop_variable(name);
  const Expr k = Expr::variable(variable);
  Loop loop{variable, 0, Expr(product_.k), Expr(s_.kc)};
  visit(loop.body, k, min(Expr(s_.kc), Expr(product_.k) - k));
  append(body, std::move(loop));
}

}  // namespace lathe::compiler::kernels::product
