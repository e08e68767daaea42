// The plan of batched_matmul: the threads share batches, columns and rows in units; a unit packs
// its rows of a once and its panels of b block by block, and multiplies the two from its own
// scratch.
#include <algorithm>
#include <functional>

#include "compiler/kernels/batched_matmul.h"

namespace lathe::compiler::kernels {
namespace {

using ir::plan::Bindings;
using ir::plan::Body;
using ir::plan::Call;
using ir::plan::Expr;
using ir::plan::Loop;
using ir::plan::Place;
using ir::plan::Plan;
using ir::program::BufferAccess;

// Rows of a unit that make up for packing b once more.
constexpr int64_t kLeastRows = 128;

class PlanWriter {
 public:
  PlanWriter(const BatchedMatmul& matmul, const BatchedMatmulBlocking& blocking,
             const ir::Target& target)
      : matmul_(matmul), s_(blocking), target_(target) {}

  Plan write() {
    plan_.name = "batched_matmul";
    plan_.in_place = false;
    const Expr batches = Expr::variable(plan_.input("batch"));
    rows_ = Expr::variable(plan_.input("rows"));
    for (const Port& port : matmul_.signature)
      for (size_t k = 0; k + 1 < port.shape.size(); ++k) stride(port, static_cast<int>(k));
    const Expr threads = Expr::variable(plan_.input("threads"));
    for (const Port& port : matmul_.signature) {
      const auto written = has_blocks() ? BufferAccess::read_write : BufferAccess::write;
      plan_.add_operand({port.name, port.type, port.output ? written : BufferAccess::read});
    }
    if (s_.block.pack) {
      rows_kept_ = min(round_up(rows_, Expr(s_.block.tile)), Expr(s_.unit_rows));
      packed_ =
          plan_.add_scratch({"a.packed", rows_kept_ * Expr(matmul_.group * packed_row_bytes())});
      pack_rows_ = plan_.add_program(pack_rows_program(matmul_, s_, target_));
    }
    panels_ = plan_.add_scratch({"b.packed", s_.block.panels * s_.product.part_bytes.front()});
    if (s_.block.keeps_sums(s_.product)) {
      names_.at("y.sums",
                plan_.add_scratch({"y.sums", int64_t{s_.block.tile} * s_.product.panel * 4}));
    }
    const int64_t whole = matmul_.n / s_.product.panel, rest = matmul_.n % s_.product.panel;
    if (whole > 0) whole_ = programs(s_.product.panel);
    if (rest > 0) rest_ = programs(rest);

    const int batch = plan_.loop_variable("batch_index");
    const int panel = plan_.loop_variable("panel");
    const int row = plan_.loop_variable("row");
    batch_ = Expr::variable(batch);
    row_ = Expr::variable(row);
    // Batches are handed out whole where there are enough of them; else each is cut into parts,
    // along rows first. One thread needs no parts; several need more than one each, or the last
    // batches leave most of them idle.
    const Expr parts = ceil_div(threads * Expr(2) - Expr(1), batches);
    const Expr row_block =
        min(round_up(max(ceil_div(rows_, parts), Expr(kLeastRows)), Expr(s_.block.tile)),
            Expr(s_.unit_rows));
    const Expr row_parts = ceil_div(rows_, row_block);
    const int64_t all = whole + (rest > 0 ? 1 : 0);
    const Expr panel_block = ceil_div(Expr(all), ceil_div(parts, row_parts));
    rows_here_ = min(row_block, rows_ - row_);

    Loop rows{row, 0, rows_, row_block, /*parallel=*/true};
    over_depth(rows.body, [&](Body& body) {
      if (s_.block.pack) pack_rows(body);
      const Expr first = Expr::variable(panel);
      const Expr whole_here = min(panel_block, Expr(whole) - first);
      if (whole > 0) {
        blocks(body, whole_, "whole", first, whole_here);
      }
      if (rest > 0) {
        const Expr here = min(panel_block, Expr(all) - first);
        blocks(body, rest_, "rest", Expr(whole), whole > 0 ? here - whole_here : here);
      }
    });
    Loop panels{panel, 0, Expr(all), panel_block, /*parallel=*/true};
    append(panels.body, std::move(rows));
    Loop all_batches{batch, 0, batches, 1, /*parallel=*/true};
    append(all_batches.body, std::move(panels));
    append(plan_.body, std::move(all_batches));
    return std::move(plan_);
  }

 private:
  // What packs panels of b with so many columns, and what multiplies by them.
  struct Programs {
    int pack = -1, multiply = -1;
  };

  bool has_blocks() const { return s_.block.has_outer_blocks(s_.product); }
  int64_t packed_row_bytes() const { return s_.block.packed_stride(s_.product) * 4; }

  Expr stride(const Port& port, int k) {
    return Expr::variable(plan_.input(fmt::format("{}.stride{}", port.name, k)));
  }
  Programs programs(int64_t columns) {
    Programs pair;
    pair.pack = plan_.add_program(pack_panels_program(matmul_, s_, target_, columns));
    pair.multiply = plan_.add_program(linear_block_program(s_.product, s_.block, target_, columns));
    return pair;
  }

  // Batch `member` of the group.
  Expr batch_of_y(const Expr& member) const { return batch_ * Expr(matmul_.group) + member; }

  // Where rows of a matrix begin that lies as [rows, columns], or the other way about.
  Place in_matrix(const Port& port, const Expr& batch, const Expr& row, const Expr& column,
                  bool transposed = false) {
    const Expr element = ir::size_of(port.type);
    const Expr offset = batch * stride(port, 0);
    const Expr& strided = transposed ? column : row;
    const Expr& dense = transposed ? row : column;
    return plan_.operand(port.name) + (offset + strided * stride(port, 1) + dense * element);
  }

  void over_depth(Body& body, const std::function<void(Body&)>& visit) {
    k_ = 0;
    depth_ = matmul_.k;
    if (!has_blocks()) return visit(body);
    const int variable = plan_.loop_variable("k");
    k_ = Expr::variable(variable);
    depth_ = min(Expr(s_.block.depth), Expr(matmul_.k) - k_);
    Loop loop{variable, 0, Expr(matmul_.k), Expr(s_.block.depth)};
    visit(loop.body);
    append(body, std::move(loop));
  }

  // The batches that share one of b.
  void over_group(Body& body, const std::string& name,
                  const std::function<void(Body&, const Expr&)>& visit) {
    if (matmul_.group == 1) return visit(body, Expr(0));
    const int variable = plan_.loop_variable(name);
    Loop loop{variable, 0, Expr(matmul_.group)};
    visit(loop.body, Expr::variable(variable));
    append(body, std::move(loop));
  }

  Place packed_at(const Expr& member, const Expr& row) const {
    return packed_ + (member * rows_kept_ + row) * Expr(packed_row_bytes());
  }

  void pack_rows(Body& body) {
    over_group(body, "packed_member", [&](Body& inner, const Expr& member) {
      Bindings names = names_;
      // The program may be linear's own, which calls its rows x.
      names.at("a", a_at(member, row_)).at("x", a_at(member, row_));
      const Expr row_bytes = stride(matmul_.signature[0], 1);
      names.set("a.stride1", row_bytes).set("x.stride0", row_bytes);
      names.at("packed", packed_at(member, 0));
      names.set("rows", rows_here_).set("depth", depth_);
      append(inner, bind(plan_, pack_rows_, names));
    });
  }

  // Where rows of `a` begin, from the block of k on.
  Place a_at(const Expr& member, const Expr& row) {
    return in_matrix(matmul_.signature[0], batch_of_y(member), row, k_, matmul_.transpose_a);
  }

  // `count` panels from `first` on, as many at once as stay near; 0 of them in units that have
  // none.
  void blocks(Body& body, const Programs& of, const std::string& name, const Expr& first,
              const Expr& count) {
    const int variable = plan_.loop_variable(name + "_block");
    const Expr panel = first + Expr::variable(variable);
    const Expr panels = min(Expr(s_.block.panels), count - Expr::variable(variable));
    Loop loop{variable, 0, count, Expr(s_.block.panels)};
    const Expr column = panel * Expr(s_.product.panel);
    const Port& b = matmul_.signature[1];
    Bindings names = names_;
    names.at("b", in_matrix(b, batch_, k_, column, matmul_.transpose_b)).at("packed", panels_);
    names.set("b.stride1", stride(b, 1)).set("panels", panels).set("depth", depth_);
    append(loop.body, bind(plan_, of.pack, names));
    over_group(loop.body, name + "_member", [&](Body& inner, const Expr& member) {
      const int row_variable = plan_.loop_variable(name + "_row");
      const Expr row = Expr::variable(row_variable);
      Loop rows{row_variable, 0, rows_here_, Expr(s_.block.rows)};
      append(rows.body, multiply(of.multiply, member, row, column, panels));
      append(inner, std::move(rows));
    });
    append(body, std::move(loop));
  }

  // The program multiplies one matrix: the strides of its rows are those that follow the batch's.
  Call multiply(int program, const Expr& member, const Expr& row, const Expr& column,
                const Expr& panels) {
    Bindings names = names_;
    for (size_t i = 2; i < matmul_.signature.size(); ++i) {
      const Port& port = matmul_.signature[i];
      const Expr here = port.shape.back() == ir::graph::Dim(1) ? Expr(0) : column;
      if (port.row_dimension() < 0) {
        names.at(port.name, plan_.operand(port.name) + here * Expr(ir::size_of(port.type)));
        continue;
      }
      names.at(port.name, in_matrix(port, batch_of_y(member), row_ + row, here));
      names.set(port.name + ".stride0", stride(port, 1));
    }
    names.at("a", s_.block.pack ? packed_at(member, row) : a_at(member, row_ + row));
    names.set("a.stride0", stride(matmul_.signature[0], 1));
    names.at("b", panels_);
    names.set("rows", min(Expr(s_.block.rows), rows_here_ - row)).set("panels", panels);
    names.set("depth", depth_).set("before", k_).set("after", Expr(matmul_.k) - k_ - depth_);
    return bind(plan_, program, names);
  }

  const BatchedMatmul& matmul_;
  const BatchedMatmulBlocking& s_;
  const ir::Target& target_;
  Plan plan_;
  Bindings names_;             ///< what all calls may use
  Place packed_{}, panels_{};  ///< scratch
  int pack_rows_ = -1;
  Programs whole_, rest_;
  Expr rows_, rows_kept_, batch_, row_;
  Expr rows_here_;      ///< of the unit, in each batch
  Expr k_ = 0, depth_;  ///< the block of k
};

}  // namespace

Plan batched_matmul_plan(const BatchedMatmul& matmul, const BatchedMatmulBlocking& blocking,
                         const ir::Target& target) {
  return PlanWriter(matmul, blocking, target).write();
}

}  // namespace lathe::compiler::kernels
