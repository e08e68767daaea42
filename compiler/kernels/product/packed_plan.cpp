// The plan where w lies packed: rows of x packed once, then blocks of columns × rows over the
// threads, blocks of k in order within them.
#include <algorithm>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/product/arithmetic.h"
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

// Rows that are packed at once: their memory is bounded.
constexpr int64_t kPackedRows = 3072;
// What of y is quantised at once, as f32 until then: it stays in the second cache.
constexpr int64_t kQuantisedRows = 192;
constexpr int64_t kQuantisedColumns = 512;
// What is worth a thread of its own.
constexpr int64_t kLeastPackedBytes = 64 << 10;

class PackedPlanWriter : PlanWriter {
 public:
  PackedPlanWriter(const Product& product, const Blocking& blocking, const ir::Target& target)
      : PlanWriter(product, blocking, product.signature, target) {
    const auto arithmetic = arithmetic_of(product, target);
    packed_rows_ = arithmetic->packed_rows(blocking);
    expanded_bytes_ = arithmetic->expanded_bytes(blocking);
  }

  Plan write() {
    rows_ = Expr::variable(plan_.input("rows"));
    declare_operands(1, product_.first_input());
    whole_rows_ = round_up(rows_, Expr(s_.mr));
    add_scratch();
    // What is packed at once is bounded, whatever the number of rows.
    if (!s_.pack) {
      rows_here_ = rows_;
      blocks(plan_.body);
      return std::move(plan_);
    }
    Loop chunk{plan_.loop_variable("chunk"), 0, rows_, Expr(kPackedRows)};
    first_row_ = Expr::variable(chunk.variable);
    rows_here_ = min(Expr(kPackedRows), rows_ - first_row_);
    pack(chunk.body);
    blocks(chunk.body);
    append(plan_.body, std::move(chunk));
    return std::move(plan_);
  }

 private:
  void add_scratch() {
    if (s_.pack) {
      const int64_t blocks = (product_.k + packed_depth() - 1) / packed_depth();
      packed_ = plan_.add_scratch(
          {"packed", kept_rows() * Expr(packed_rows_.bytes * blocks), /*per_worker=*/false});
      if (packed_rows_.factor_bytes > 0) {
        factors_ = plan_.add_scratch(
            {"factors", kept_rows() * Expr(packed_rows_.factor_bytes), /*per_worker=*/false});
      }
      pack_program_ = plan_.add_program(pack_rows_program(product_, s_, target_));
    }
    if (expanded_bytes_ > 0)
      names_.at("expanded", plan_.add_scratch({"expanded", expanded_bytes_}));
    if (s_.keeps_sums(product_)) {
      const Expr rows = s_.has_inner_blocks(product_) ? whole_rows_ : Expr(s_.mr);
      const int64_t width = product_.panel * s_.streams;
      names_.at("y.sums", plan_.add_scratch({"tile", rows * Expr(width * 4)}));
    }
    if (product_.quantises_y()) {
      const Expr rows = min(Expr(most_rows()), whole_rows_);
      y_block_ = plan_.add_scratch({"y_block", rows * Expr(y_block_stride())});
      quantise_program_ =
          plan_.add_program(quantise_block_program(product_.name + "_quantise_y", target_));
    }
  }

  // Rows that are packed at once.
  Expr kept_rows() const { return min(whole_rows_, Expr(kPackedRows)); }
  int64_t packed_depth() const { return s_.kc_inside ? product_.k : s_.kc; }
  // Where row `row` of the block of k that begins at `k` lies among the packed rows.
  Place packed_at(const Expr& row, const Expr& k) const {
    const Expr block = ceil_div(k, Expr(packed_depth()));
    return packed_ + (block * kept_rows() + row) * Expr(packed_rows_.bytes);
  }
  Place factors_at(const Expr& row) const {
    return factors_ + row * Expr(packed_rows_.factor_bytes);
  }

  void pack(Body& body) {
    const int row_variable = plan_.loop_variable("packed_row");
    const Expr row = Expr::variable(row_variable);
    const Expr block = max(ceil_div(rows_here_, threads_),
                           Expr(std::max<int64_t>(kLeastPackedBytes / (4 * product_.k), 1)));
    Loop rows{row_variable, 0, rows_here_, block, /*parallel=*/true};
    over_depth(rows.body, "packed_k", [&](Body& inner, const Expr& k, const Expr& depth) {
      // Of floats the copy is "packed", of codes "codes" and "factors".
      Bindings names = names_;
      names.at("x", at(signature_.front(), 0, first_row_ + row, k));
      names.at("packed", packed_at(row, k)).at("codes", packed_at(row, k));
      names.at("factors", factors_at(row));
      names.set("rows", min(block, rows_here_ - row)).set("depth", depth);
      append(inner, bind(plan_, pack_program_, names));
    });
    append(body, std::move(rows));
  }

  // Which rows and panels a call multiplies.
  struct Block {
    int program = 0;
    Expr row, rows, panel, panels;
    Expr columns;  ///< of y, that the panels make
  };

  // The threads share blocks of columns × rows, as many in each direction as balance. The last
  // panel, where some of its columns do not exist, is a program of its own and part of the last
  // block.
  void blocks(Body& body) {
    const int64_t columns = product_.panel_columns();
    const int64_t whole = whole_panels(), rest = rest_columns();
    const int block_variable = plan_.loop_variable("block");
    const int row_variable = plan_.loop_variable("row");
    const Expr block = Expr::variable(block_variable), row = Expr::variable(row_variable);

    Expr row_block = min(Expr(most_rows()), round_up(rows_here_, Expr(s_.mr)));
    row_block = round_up(ceil_div(rows_here_, ceil_div(rows_here_, row_block)), Expr(s_.mr));
    // Whole blocks of y are shared out; without any, the one block is the rest.
    const int64_t together = product_.panels_in_blocks();
    const int64_t groups = std::max<int64_t>((whole + together - 1) / together, 1);
    int64_t wanted = s_.nc == 0 ? whole : std::min(s_.nc, whole);
    if (product_.quantises_y()) wanted = std::min(wanted, most_quantised_panels());
    wanted = std::max<int64_t>(wanted / together, 1);
    const Expr count = min(round_up(Expr((groups + wanted - 1) / wanted), threads_), Expr(groups));
    const auto begin = [&](const Expr& i) {
      return min(ceil_div(i * Expr(groups), count) * Expr(together), Expr(whole));
    };
    const Expr rows = min(row_block, rows_here_ - row);
    Loop rows_loop{row_variable, 0, rows_here_, row_block, /*parallel=*/true};
    if (whole > 0) {
      const Expr panels = begin(block + Expr(1)) - begin(block);
      multiply(rows_loop.body,
               {add_program(columns), row, rows, begin(block), panels, panels * Expr(columns)});
    }
    if (rest > 0) {
      const Expr is_last = max(block + Expr(2) - count, Expr(0));
      multiply(rows_loop.body,
               {add_program(rest), row, rows, Expr(whole), is_last, is_last * Expr(rest)});
    }
    Loop columns_loop{block_variable, 0, count, 1, /*parallel=*/true};
    append(columns_loop.body, std::move(rows_loop));
    append(body, std::move(columns_loop));
  }

  int add_program(int64_t columns) {
    return plan_.add_program(block_program(product_, s_, target_, columns));
  }

  // Where y is quantised, at most these panels are multiplied at once, into the worker's own block
  // of y: as wide as they are, its rows apart by an odd number of cache lines.
  int64_t most_quantised_panels() const {
    const int64_t most = s_.nc == 0 ? kQuantisedColumns / product_.panel_columns() : s_.nc;
    const int64_t whole = product_.panels_in_blocks();
    return std::max<int64_t>(most / whole, 1) * whole;
  }
  int64_t y_block_stride() const {
    return most_quantised_panels() * product_.panel_columns() * 4 + 64;
  }
  int64_t most_rows() const {
    if (!product_.quantises_y()) return s_.mc;
    return std::min(s_.mc, std::max<int64_t>(kQuantisedRows / s_.mr, 1) * s_.mr);
  }

  void multiply(Body& body, const Block& block) {
    over_depth(body, "k" + std::to_string(block.program),
               [&](Body& inner, const Expr& k, const Expr& depth) {
                 append(inner, block_call(block, k, depth));
               });
    if (product_.quantises_y()) append(body, quantise_call(block));
  }

  Call block_call(const Block& block, const Expr& k, const Expr& depth) {
    const Expr row = first_row_ + block.row;
    Bindings names = names_;
    names.at("x", s_.pack ? packed_at(block.row, k) : at(signature_.front(), 0, row, k));
    names.at("x_factors", factors_at(block.row));
    for (size_t part = 0; part < product_.part_bytes.size(); ++part) {
      const int64_t bytes = product_.part_bytes[part];
      const std::string& name = signature_[1 + part].name;
      names.at(name,
               plan_.operand(name) + (block.panel * Expr(bytes) + k * Expr(bytes / product_.k)));
    }
    offer_epilogue(names, 0, row, block.panel * Expr(product_.panel_columns()));
    if (product_.quantises_y()) names.at("y", y_block_).set("y.stride0", y_block_stride());
    names.set("rows", block.rows).set("panels", block.panels);
    offer_depth(names, k, depth);
    return bind(plan_, block.program, names);
  }

  // Quantises the block of y that block_call has written.
  Call quantise_call(const Block& block) {
    const Expr column = block.panel * Expr(product_.panel_columns());
    Bindings names = names_;
    names.at("x", y_block_).set("x.stride0", y_block_stride());
    names.at("y", at(signature_.back(), 0, first_row_ + block.row, column));
    names.set("rows", block.rows);
    names.set("blocks", ceil_div(block.columns, Expr(ir::info(product_.out).block_elements)));
    return bind(plan_, quantise_program_, names);
  }

  PackedRows packed_rows_;
  int64_t expanded_bytes_ = 0;
  Expr whole_rows_;     ///< all rows, as tiles take them
  Expr first_row_ = 0;  ///< of the chunk whose rows are packed
  Expr rows_here_;      ///< in it
  Place packed_{}, factors_{}, y_block_{};
  int pack_program_ = -1, quantise_program_ = -1;
};

}  // namespace

Plan packed_plan(const Product& product, const Blocking& blocking, const ir::Target& target) {
  return PackedPlanWriter(product, blocking, target).write();
}

}  // namespace lathe::compiler::kernels::product
