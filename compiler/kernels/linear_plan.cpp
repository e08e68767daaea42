// The plan of linear: rows of x packed once, then blocks of columns × rows over the threads, blocks
// of k in order within them.
#include <algorithm>
#include <functional>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/linear_quantised.h"

namespace lathe::compiler::kernels {
namespace {

using ir::plan::Bindings;
using ir::plan::Call;
using ir::plan::Expr;
using ir::plan::Loop;
using ir::plan::Place;
using ir::plan::Plan;
using ir::program::BufferAccess;

// Rows that are packed at once: their memory is bounded.
constexpr int64_t kPackedRows = 3072;
// What of y is quantised at once, as f32 until then: it stays in the second cache.
constexpr int64_t kQuantisedRows = 192;
constexpr int64_t kQuantisedColumns = 512;
// What is worth a thread of its own.
constexpr int64_t kLeastPackedBytes = 64 << 10;

class PlanWriter {
 public:
  PlanWriter(const Linear& linear, const LinearBlocking& blocking, const ir::Target& target)
      : linear_(linear), s_(blocking), target_(target), quantised_(linear, target) {}

  Plan write() {
    plan_.name = linear_.name;
    plan_.in_place = false;
    rows_ = Expr::variable(plan_.input("rows"));
    for (const Port& port : linear_.signature) {
      if (port.row_dimension() < 0) continue;
      names_.set(port.name + ".stride0", stride(port.name));
    }
    threads_ = Expr::variable(plan_.input("threads"));
    const bool partial = s_.has_outer_blocks(linear_);
    for (const Port& port : linear_.signature) {
      const auto written = partial ? BufferAccess::read_write : BufferAccess::write;
      plan_.add_operand({port.name, port.type, port.output ? written : BufferAccess::read});
    }
    if (s_.pack) {
      const Expr rows = min(round_up(rows_, Expr(s_.tile)), Expr(kPackedRows));
      packed_ = plan_.add_scratch(
          {"packed", rows * Expr(packed_row_bytes() * depth_blocks()), /*per_worker=*/false});
      if (linear_.quantised()) {
        factors_ = plan_.add_scratch(
            {"factors", rows * Expr(quantised_.factor_bytes), /*per_worker=*/false});
      }
      pack_program_ = plan_.add_program(linear_pack_program(linear_, s_, target_));
    }
    const int64_t expanded = s_.expanded_bytes(linear_);
    if (expanded > 0) names_.at("expanded", plan_.add_scratch({"expanded", expanded}));
    if (s_.keeps_sums(linear_)) {
      const Expr rows = s_.has_inner_blocks(linear_) ? round_up(rows_, Expr(s_.tile)) : s_.tile;
      names_.at("y.sums", plan_.add_scratch({"tile", rows * Expr(linear_.panel * s_.streams * 4)}));
    }
    if (linear_.quantises_y()) {
      const Expr rows = min(Expr(most_rows()), round_up(rows_, Expr(s_.tile)));
      y_block_ = plan_.add_scratch({"y_block", rows * Expr(y_block_stride())});
      quantise_program_ =
          plan_.add_program(quantise_block_program(linear_.name + "_quantise_y", target_));
    }

    // What is packed at once is bounded, whatever the number of rows.
    const int chunk_variable = s_.pack ? plan_.loop_variable("chunk") : -1;
    Loop chunk{chunk_variable, 0, rows_, Expr(kPackedRows)};
    ir::plan::Body& body = s_.pack ? chunk.body : plan_.body;
    if (s_.pack) {
      first_row_ = Expr::variable(chunk_variable);
      rows_here_ = min(Expr(kPackedRows), rows_ - first_row_);
      pack(body);
    } else {
      rows_here_ = rows_;
    }
    blocks(body);
    if (s_.pack) append(plan_.body, std::move(chunk));
    return std::move(plan_);
  }

 private:
  Expr stride(const std::string& operand) {
    return Expr::variable(plan_.input(operand + ".stride0"));
  }
  Expr offset_in(const Port& port, const Expr& row, const Expr& column) {
    Expr offset = 0;
    if (port.row_dimension() >= 0) offset = offset + row * stride(port.name);
    if (port.shape.back() != ir::graph::Dim(1))
      offset = offset + column * Expr(ir::size_of(port.type));
    return offset;
  }

  // Where k of a row of x lies. Only x of plain elements is read in blocks of k.
  Expr x_at(const Expr& row, const Expr& k) {
    Expr offset = row * stride("x");
    if (!s_.has_outer_blocks(linear_)) return offset;
    return offset + k * Expr(ir::size_of(linear_.signature.front().type));
  }

  int64_t packed_row_bytes() const {
    return linear_.quantised() ? quantised_.code_bytes : s_.packed_stride(linear_) * 4;
  }
  // Where the factors of quantised rows lie.
  Place factors_at(const Expr& row) const { return factors_ + row * Expr(quantised_.factor_bytes); }
  int64_t depth_blocks() const { return (linear_.k + packed_depth() - 1) / packed_depth(); }
  int64_t packed_depth() const { return s_.depth_inside ? linear_.k : s_.depth; }

  // Where row `row` of the block of k that starts at `k` lies among the packed rows.
  Place packed_at(const Expr& row, const Expr& k) const {
    const Expr rows = min(round_up(rows_, Expr(s_.tile)), Expr(kPackedRows));
    return packed_ + (ceil_div(k, Expr(packed_depth())) * rows + row) * Expr(packed_row_bytes());
  }

  void pack(ir::plan::Body& body) {
    const int row_variable = plan_.loop_variable("packed_row");
    const Expr row = Expr::variable(row_variable);
    const Expr block = max(ceil_div(rows_here_, threads_),
                           Expr(std::max<int64_t>(kLeastPackedBytes / (4 * linear_.k), 1)));
    Loop rows{row_variable, 0, rows_here_, block, /*parallel=*/true};
    over_depth(rows.body, "packed_k", [&](ir::plan::Body& inner, const Expr& k, const Expr& depth) {
      // Of floats the copy is "packed", of codes "codes" and "factors".
      Bindings names = names_;
      names.at("x", plan_.operand("x") + x_at(first_row_ + row, k));
      names.at("packed", packed_at(row, k)).at("codes", packed_at(row, k));
      names.at("factors", factors_at(row));
      names.set("rows", min(block, rows_here_ - row)).set("depth", depth);
      append(inner, bind(plan_, pack_program_, names));
    });
    append(body, std::move(rows));
  }

  void over_depth(ir::plan::Body& body, const std::string& name,
                  const std::function<void(ir::plan::Body&, const Expr&, const Expr&)>& visit) {
    if (!s_.has_outer_blocks(linear_)) return visit(body, Expr(0), Expr(linear_.k));
    const int variable = plan_.loop_variable(name);
    const Expr k = Expr::variable(variable);
    Loop loop{variable, 0, Expr(linear_.k), Expr(s_.depth)};
    visit(loop.body, k, min(Expr(s_.depth), Expr(linear_.k) - k));
    append(body, std::move(loop));
  }

  // The threads share blocks of columns × rows, as many in each direction as balance. The last
  // panel, where some of its columns do not exist, is a program of its own and part of the last
  // block.
  void blocks(ir::plan::Body& body) {
    const int64_t columns = linear_.panel_columns();
    const int64_t whole = linear_.n / columns, rest = linear_.n % columns;
    const int block_variable = plan_.loop_variable("block");
    const int row_variable = plan_.loop_variable("row");
    const Expr block = Expr::variable(block_variable), row = Expr::variable(row_variable);

    Expr row_block = min(Expr(most_rows()), round_up(rows_here_, Expr(s_.tile)));
    row_block = round_up(ceil_div(rows_here_, ceil_div(rows_here_, row_block)), Expr(s_.tile));
    // Whole blocks of y are shared out; without any, the one block is the rest.
    const int64_t together = linear_.panels_in_blocks();
    const int64_t groups = std::max<int64_t>((whole + together - 1) / together, 1);
    int64_t wanted = s_.panels == 0 ? whole : std::min(s_.panels, whole);
    if (linear_.quantises_y()) wanted = std::min(wanted, most_quantised_panels());
    wanted = std::max<int64_t>(wanted / together, 1);
    const Expr count = min(round_up(Expr((groups + wanted - 1) / wanted), threads_), Expr(groups));
    const auto begin = [&](const Expr& i) {
      return min(ceil_div(i * Expr(groups), count) * Expr(together), Expr(whole));
    };
    const Expr rows = min(row_block, rows_here_ - row);
    std::vector<Block> parts;
    if (whole > 0) {
      const Expr panels = begin(block + Expr(1)) - begin(block);
      parts.push_back({.program = block_program(columns),
                       .row = row,
                       .rows = rows,
                       .panel = begin(block),
                       .panels = panels,
                       .columns = panels * Expr(columns)});
    }
    if (rest > 0) {
      const Expr is_last = max(block + Expr(2) - count, Expr(0));
      parts.push_back({.program = block_program(rest),
                       .row = row,
                       .rows = rows,
                       .panel = Expr(whole),
                       .panels = is_last,
                       .columns = is_last * Expr(rest)});
    }

    Loop rows_loop{row_variable, 0, rows_here_, row_block, /*parallel=*/true};
    for (const Block& part : parts) {
      over_depth(rows_loop.body, "k" + std::to_string(part.program),
                 [&](ir::plan::Body& inner, const Expr& k, const Expr& depth) {
                   append(inner, block_call(part, k, depth));
                 });
      if (linear_.quantises_y()) append(rows_loop.body, quantise_call(part));
    }
    Loop columns_loop{block_variable, 0, count, 1, /*parallel=*/true};
    append(columns_loop.body, std::move(rows_loop));
    append(body, std::move(columns_loop));
  }

  int block_program(int64_t columns) {
    return plan_.add_program(linear_block_program(linear_, s_, target_, columns));
  }

  // Where y is quantised, at most these panels are multiplied at once, into the worker's own block
  // of y: as wide as they are, its rows apart by an odd number of cache lines.
  int64_t most_quantised_panels() const {
    const int64_t most = s_.panels == 0 ? kQuantisedColumns / linear_.panel_columns() : s_.panels;
    const int64_t whole = linear_.panels_in_blocks();
    return std::max<int64_t>(most / whole, 1) * whole;
  }
  int64_t y_block_stride() const {
    return most_quantised_panels() * linear_.panel_columns() * 4 + 64;
  }
  int64_t most_rows() const {
    if (!linear_.quantises_y()) return s_.rows;
    return std::min(s_.rows, std::max<int64_t>(kQuantisedRows / s_.tile, 1) * s_.tile);
  }

  // Which rows and panels a call multiplies.
  struct Block {
    int program = 0;
    Expr row, rows, panel, panels;
    Expr columns;  ///< of y, that the panels make
  };

  Call block_call(const Block& block, const Expr& k, const Expr& depth) {
    const Expr row = first_row_ + block.row;
    const Expr column = block.panel * Expr(linear_.panel_columns());
    Bindings names = names_;
    names.at("x", s_.pack ? packed_at(block.row, k) : plan_.operand("x") + x_at(row, k));
    names.at("x_factors", factors_at(block.row));
    for (size_t part = 0; part < linear_.part_bytes.size(); ++part) {
      Expr offset = block.panel * Expr(linear_.part_bytes[part]);
      if (s_.has_outer_blocks(linear_))
        offset = offset + k * Expr(linear_.part_bytes[part] / linear_.k);
      const std::string& name = linear_.signature[1 + part].name;
      names.at(name, plan_.operand(name) + offset);
    }
    for (size_t i = linear_.first_input(); i < linear_.signature.size(); ++i) {
      const Port& port = linear_.signature[i];
      if (port.output && linear_.quantises_y()) {
        names.at("y", y_block_).set("y.stride0", y_block_stride());
      } else {
        names.at(port.name, plan_.operand(port.name) + offset_in(port, row, column));
      }
    }
    names.set("rows", block.rows).set("panels", block.panels);
    names.set("depth", depth).set("before", k).set("after", Expr(linear_.k) - k - depth);
    return bind(plan_, block.program, names);
  }

  // Quantises the block of y that block_call has written.
  Call quantise_call(const Block& block) {
    const ir::TypeInfo& type = ir::info(linear_.out);
    const auto in_blocks = [&](const Expr& columns) {
      return ceil_div(columns, Expr(type.block_elements));
    };
    const Expr column = block.panel * Expr(linear_.panel_columns());
    const Expr offset =
        (first_row_ + block.row) * stride("y") + in_blocks(column) * Expr(type.block_bytes);
    Bindings names = names_;
    names.at("x", y_block_).set("x.stride0", y_block_stride());
    names.at("y", plan_.operand("y") + offset);
    names.set("rows", block.rows).set("blocks", in_blocks(block.columns));
    return bind(plan_, quantise_program_, names);
  }

  const Linear& linear_;
  const LinearBlocking& s_;
  const ir::Target& target_;
  const QuantisedRows quantised_;
  Plan plan_;
  Expr rows_, threads_;
  Expr first_row_ = 0;  ///< of the chunk whose rows are packed
  Expr rows_here_;      ///< in it
  Bindings names_;      ///< what all calls may use
  Place packed_{}, factors_{}, y_block_{};
  int pack_program_ = -1, quantise_program_ = -1;
};

}  // namespace

Plan linear_plan(const Linear& linear, const LinearBlocking& blocking, const ir::Target& target) {
  return PlanWriter(linear, blocking, target).write();
}

}  // namespace lathe::compiler::kernels
