// The plan where w is variable: the threads share batches, columns and rows in units; a unit packs
// its rows of x once and its panels of w block by block, and multiplies the two from its own
// scratch.
#include <algorithm>

#include "compiler/kernels/product/plan.h"

namespace lathe::compiler::kernels::product {
namespace {

using ir::plan::Bindings;
using ir::plan::Body;
using ir::plan::Call;
using ir::plan::Expr;
using ir::plan::Loop;
using ir::plan::Place;
using ir::plan::Plan;

// Rows of a unit that make up for packing w once more.
constexpr int64_t kLeastRows = 128;
// Of the rows of x that a thread keeps packed.
constexpr int64_t kPackedBytes = int64_t{3} << 19;

class PackingPlanWriter : PlanWriter {
 public:
  PackingPlanWriter(const Product& product, const Blocking& blocking, const Batches& batches,
                    const ir::Target& target)
      : PlanWriter(product, blocking, batches.signature, target),
        batches_(batches),
        x_(batches.signature[0]),
        w_(batches.signature[1]) {}

  Plan write() {
    const Expr batches = Expr::variable(plan_.input("batch"));
    rows_ = Expr::variable(plan_.input("rows"));
    declare_operands(0, 0);
    add_scratch();
    const int64_t whole = whole_panels(), rest = rest_columns();
    if (whole > 0) whole_ = add_programs(product_.panel);
    if (rest > 0) rest_ = add_programs(rest);

    const int batch = plan_.loop_variable("batch_index");
    const int panel = plan_.loop_variable("panel");
    const int row = plan_.loop_variable("row");
    batch_ = Expr::variable(batch);
    row_ = Expr::variable(row);
    // Batches are handed out whole where there are enough of them; else each is cut into parts,
    // along rows first. One thread needs no parts; several need more than one each, or the last
    // batches leave most of them idle.
    const Expr parts = ceil_div(threads_ * Expr(2) - Expr(1), batches);
    const Expr row_block =
        min(round_up(max(ceil_div(rows_, parts), Expr(kLeastRows)), Expr(s_.mr)), most_rows());
    const Expr row_parts = ceil_div(rows_, row_block);
    const Expr all = product_.panels();
    const Expr panel_block = ceil_div(all, ceil_div(parts, row_parts));
    rows_here_ = min(row_block, rows_ - row_);

    Loop rows{row, 0, rows_, row_block, /*parallel=*/true};
    over_depth(rows.body, "k", [&](Body& body, const Expr& k, const Expr& depth) {
      k_ = k;
      depth_ = depth;
      if (s_.pack) pack_rows(body);
      const Expr first = Expr::variable(panel);
      const Expr whole_here = min(panel_block, Expr(whole) - first);
      if (whole > 0) blocks(body, whole_, "whole", first, whole_here);
      if (rest > 0) {
        const Expr here = min(panel_block, all - first);
        blocks(body, rest_, "rest", Expr(whole), whole > 0 ? here - whole_here : here);
      }
    });
    Loop panels{panel, 0, all, panel_block, /*parallel=*/true};
    append(panels.body, std::move(rows));
    Loop all_batches{batch, 0, batches, 1, /*parallel=*/true};
    append(all_batches.body, std::move(panels));
    append(plan_.body, std::move(all_batches));
    return std::move(plan_);
  }

 private:
  // What packs panels of w with so many columns, and what multiplies by them.
  struct Programs {
    int pack = -1, multiply = -1;
  };

  void add_scratch() {
    if (s_.pack) {
      rows_kept_ = min(round_up(rows_, Expr(s_.mr)), most_rows());
      const Expr bytes = rows_kept_ * Expr(batches_.group * packed_row_bytes());
      packed_ = plan_.add_scratch({x_.name + ".packed", bytes});
      pack_rows_ =
          plan_.add_program(batches_.transposed_x ? pack_columns_program(product_, s_, target_)
                                                  : pack_rows_program(product_, s_, target_));
    }
    panels_ = plan_.add_scratch({w_.name + ".packed", s_.nc * product_.part_bytes.front()});
    if (s_.keeps_sums(product_)) {
      names_.at("y.sums", plan_.add_scratch({"y.sums", int64_t{s_.mr} * product_.panel * 4}));
    }
  }
  Programs add_programs(int64_t columns) {
    const int pack = plan_.add_program(
        pack_panels_program(product_, target_, w_.type, batches_.transposed_w, columns));
    return {pack, plan_.add_program(block_program(product_, s_, target_, columns))};
  }

  int64_t packed_row_bytes() const { return s_.packed_row_bytes(product_); }
  // Of a unit, a multiple of mr: the copy of its rows is kept.
  Expr most_rows() const {
    const int64_t mr = s_.mr;
    if (!s_.pack) return INT32_MAX / mr * mr;
    return std::max(kPackedBytes / (packed_row_bytes() * batches_.group) / mr * mr, s_.mc);
  }

  // The matrices that share one of w.
  void over_group(Body& body, const std::string& name,
                  const std::function<void(Body&, const Expr&)>& visit) {
    if (batches_.group == 1) return visit(body, Expr(0));
    const int variable = plan_.loop_variable(name);
    Loop loop{variable, 0, Expr(batches_.group)};
    visit(loop.body, Expr::variable(variable));
    append(body, std::move(loop));
  }
  Expr batch_of_y(const Expr& member) const { return batch_ * Expr(batches_.group) + member; }

  // Where rows of x begin, from the block of k on.
  Place x_at(const Expr& member, const Expr& row) {
    return at(x_, batch_of_y(member), row, k_, batches_.transposed_x);
  }
  Place packed_at(const Expr& member, const Expr& row) const {
    return packed_ + (member * rows_kept_ + row) * Expr(packed_row_bytes());
  }

  void pack_rows(Body& body) {
    over_group(body, "packed_member", [&](Body& inner, const Expr& member) {
      Bindings names = names_;
      // What copies rows as they lie calls them x.
      names.at(x_.name, x_at(member, row_)).at("x", x_at(member, row_));
      names.set(x_.name + ".stride1", stride(x_, 1)).set("x.stride0", stride(x_, 1));
      names.at("packed", packed_at(member, 0));
      names.set("rows", rows_here_).set("depth", depth_);
      append(inner, bind(plan_, pack_rows_, names));
    });
  }

  // `count` panels from `first` on, as many at once as stay near; 0 of them in units that have
  // none.
  void blocks(Body& body, const Programs& of, const std::string& name, const Expr& first,
              const Expr& count) {
    const int variable = plan_.loop_variable(name + "_block");
    const Expr panel = first + Expr::variable(variable);
    const Expr panels = min(Expr(s_.nc), count - Expr::variable(variable));
    const Expr column = panel * Expr(product_.panel);
    Loop loop{variable, 0, count, Expr(s_.nc)};
    Bindings names = names_;
    names.at(w_.name, at(w_, batch_, k_, column, batches_.transposed_w)).at("packed", panels_);
    names.set(w_.name + ".stride1", stride(w_, 1)).set("panels", panels).set("depth", depth_);
    append(loop.body, bind(plan_, of.pack, names));
    over_group(loop.body, name + "_member", [&](Body& inner, const Expr& member) {
      const int row_variable = plan_.loop_variable(name + "_row");
      Loop rows{row_variable, 0, rows_here_, Expr(s_.mc)};
      append(rows.body,
             multiply(of.multiply, member, Expr::variable(row_variable), column, panels));
      append(inner, std::move(rows));
    });
    append(body, std::move(loop));
  }

  Call multiply(int program, const Expr& member, const Expr& row, const Expr& column,
                const Expr& panels) {
    Bindings names = names_;
    offer_epilogue(names, batch_of_y(member), row_ + row, column);
    names.at(x_.name, s_.pack ? packed_at(member, row) : x_at(member, row_ + row));
    names.at(w_.name, panels_);
    names.set("rows", min(Expr(s_.mc), rows_here_ - row)).set("panels", panels);
    offer_depth(names, k_, depth_);
    return bind(plan_, program, names);
  }

  const Batches& batches_;
  const Port &x_, &w_;
  Place packed_{}, panels_{};  ///< scratch
  int pack_rows_ = -1;
  Programs whole_, rest_;
  Expr rows_kept_, batch_, row_;
  Expr rows_here_;      ///< of the unit, in each batch
  Expr k_ = 0, depth_;  ///< the block of k
};

}  // namespace

Plan packing_plan(const Product& product, const Blocking& blocking, const Batches& batches,
                  const ir::Target& target) {
  return PackingPlanWriter(product, blocking, batches, target).write();
}

}  // namespace lathe::compiler::kernels::product
