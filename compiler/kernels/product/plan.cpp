// The plans of products: how blocks are shared out to threads, and what is packed when.
//
// There are two nests, for they differ in every loop. Where w lies packed, rows of x are packed
// once for all threads, which then take blocks of columns × rows. Where w is variable, a thread
// packs both sides of its own block itself, block of k by block of k: that is the outer loop there.
#include <algorithm>
#include <functional>

#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/product/arithmetic.h"

namespace lathe::compiler::kernels::product {
namespace {

using ir::plan::Bindings;
using ir::plan::Body;
using ir::plan::Expr;
using ir::plan::Loop;
using ir::plan::Place;

// Rows that are packed at once for all threads: their memory is bounded.
constexpr int64_t kPackedRows = 3072;
// What of packing them is worth a thread of its own.
constexpr int64_t kLeastPackedBytes = 64 << 10;
// What of y is quantised at once, as f32 until then: it stays in the second cache.
constexpr int64_t kQuantisedRows = 192;
constexpr int64_t kQuantisedColumns = 512;
// Of the rows that a thread keeps packed for itself, and as many as make up for packing w once
// more.
constexpr int64_t kPackedBytes = int64_t{3} << 19;
constexpr int64_t kLeastRows = 128;

// What both nests are written with.
class PlanWriter {
 public:
  PlanWriter(const Product& product, const Blocking& blocking, const Signature& signature,
             const Target& target)
      : product_(product),
        s_(blocking),
        signature_(signature),
        target_(target),
        packed_row_(arithmetic_of(product, target)->packed_rows(blocking)),
        whole_(product.n / product.panel_columns()),
        rest_columns_(product.n % product.panel_columns()) {
    plan_.name = product.name;
    plan_.in_place = false;
  }

 protected:
  using Visit = std::function<void(Body&, const Expr&)>;
  using VisitDepth = std::function<void(Body&, const Expr& k, const Expr& depth)>;

  // Sizes, strides, threads; then the operands. To programs each is a matrix, whatever it is one
  // of. The first … last-1 of them lie packed, without strides.
  void declare_operands(size_t first_packed, size_t last_packed) {
    rows_ = Expr::variable(plan_.input("rows"));
    whole_rows_ = round_up(rows_, Expr(s_.mr));
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

  Expr stride(const Port& port, size_t dimension) {
    return Expr::variable(plan_.input(fmt::format("{}.stride{}", port.name, dimension)));
  }
  // Where an element of matrix `batch` lies, which lies as [rows, columns] or the other way about.
  Place at(const Port& port, const Expr& batch, const Expr& row, const Expr& column,
           bool transposed = false) {
    const size_t dimensions = port.shape.size();
    const ir::TypeInfo& type = ir::info(port.type);
    const Expr& dense = transposed ? row : column;
    Expr offset = 0;
    if (dimensions > 2) offset = batch * stride(port, 0);
    if (dimensions > 1)
      offset = offset + (transposed ? column : row) * stride(port, dimensions - 2);
    offset = offset + ceil_div(dense, Expr(type.block_elements)) * Expr(type.block_bytes);
    return plan_.operand(port.name) + offset;
  }

  // for (name = 0; name < end; name += step)
  void loop(Body& body, const std::string& name, const Expr& end, const Expr& step,
            const Visit& visit, bool parallel = false) {
    Loop loop{plan_.loop_variable(name), 0, end, step, parallel};
    visit(loop.body, Expr::variable(loop.variable));
    append(body, std::move(loop));
  }
  void parallel_loop(Body& body, const std::string& name, const Expr& end, const Expr& step,
                     const Visit& visit) {
    loop(body, name, end, step, visit, /*parallel=*/true);
  }
  // Over the blocks of k that the plan walks.
  void over_depth(Body& body, const std::string& name, const VisitDepth& visit) {
    const Expr all = product_.k, kc = s_.kc;
    if (!s_.has_outer_blocks(product_)) return visit(body, Expr(0), all);
    loop(body, name, all, kc,
         [&](Body& inner, const Expr& k) { visit(inner, k, min(kc, all - k)); });
  }

  int add_block_program(int64_t columns) {
    return plan_.add_program(block_program(product_, s_, target_, columns));
  }
  // Offers the rows' inputs and y of the epilogue from an element of y on, and a block of k.
  void offer_block(Bindings& names, const Expr& batch, const Expr& row, const Expr& column,
                   const Expr& k, const Expr& depth) {
    for (size_t i = product_.first_input(); i < signature_.size(); ++i) {
      const Port& port = signature_[i];
      const bool is_column = port.shape.back() == ir::graph::Dim(1);
      names.at(port.name, at(port, batch, row, is_column ? Expr(0) : column));
    }
    names.set("depth", depth).set("before", k).set("after", Expr(product_.k) - k - depth);
  }

  const Product& product_;
  const Blocking& s_;
  const Signature& signature_;
  const Target& target_;
  const PackedRows packed_row_;
  const int64_t whole_, rest_columns_;  ///< panels of which all columns exist; columns of the last
  Plan plan_;
  Bindings names_;  ///< what all calls may use
  Expr rows_, threads_;
  Expr whole_rows_;  ///< all rows, as tiles take them
  Place packed_{};   ///< rows of x
  int pack_rows_ = -1;
};

class PackedPlanWriter : PlanWriter {
 public:
  PackedPlanWriter(const Product& product, const Blocking& blocking, const Target& target)
      : PlanWriter(product, blocking, product.signature, target) {}

  Plan write() {
    declare_operands(1, product_.first_input());
    add_scratch();
    if (!s_.pack) {
      rows_here_ = rows_;
      blocks(plan_.body);
      return std::move(plan_);
    }
    loop(plan_.body, "chunk", rows_, kPackedRows, [&](Body& body, const Expr& row) {
      first_row_ = row;
      rows_here_ = min(Expr(kPackedRows), rows_ - row);
      pack(body);
      blocks(body);
    });
    return std::move(plan_);
  }

 private:
  void add_scratch() {
    if (s_.pack) {
      const int64_t blocks = (product_.k + packed_depth() - 1) / packed_depth();
      packed_ = plan_.add_scratch(
          {"packed", kept_rows() * Expr(packed_row_.bytes * blocks), /*per_worker=*/false});
      if (packed_row_.factor_bytes > 0) {
        factors_ = plan_.add_scratch(
            {"factors", kept_rows() * Expr(packed_row_.factor_bytes), /*per_worker=*/false});
      }
      pack_rows_ = plan_.add_program(pack_rows_program(product_, s_, target_));
    }
    const int64_t expanded = arithmetic_of(product_, target_)->expanded_bytes(s_);
    if (expanded > 0) names_.at("expanded", plan_.add_scratch({"expanded", expanded}));
    if (s_.keeps_sums(product_)) {
      const Expr rows = s_.has_inner_blocks(product_) ? whole_rows_ : Expr(s_.mr);
      const int64_t width = product_.panel * s_.streams;
      names_.at("y.sums", plan_.add_scratch({"tile", rows * Expr(width * 4)}));
    }
    if (product_.quantises_y()) {
      const Expr rows = min(Expr(most_rows()), whole_rows_);
      y_block_ = plan_.add_scratch({"y_block", rows * Expr(y_block_stride())});
      quantise_ = plan_.add_program(quantise_block_program(product_.name + "_quantise_y", target_));
    }
  }

  // Rows that are packed at once.
  Expr kept_rows() const { return min(whole_rows_, Expr(kPackedRows)); }
  int64_t packed_depth() const { return s_.kc_inside ? product_.k : s_.kc; }
  // Where row `row` of the block of k that begins at `k` lies among the packed rows.
  Place packed_at(const Expr& row, const Expr& k) const {
    const Expr block = ceil_div(k, Expr(packed_depth()));
    return packed_ + (block * kept_rows() + row) * Expr(packed_row_.bytes);
  }
  Place factors_at(const Expr& row) const {
    return factors_ + row * Expr(packed_row_.factor_bytes);
  }

  void pack(Body& body) {
    const Expr block = max(ceil_div(rows_here_, threads_),
                           Expr(std::max<int64_t>(kLeastPackedBytes / (4 * product_.k), 1)));
    parallel_loop(body, "packed_row", rows_here_, block, [&](Body& of_rows, const Expr& row) {
      over_depth(of_rows, "packed_k", [&](Body& inner, const Expr& k, const Expr& depth) {
        // Of floats the copy is "packed", of codes "codes" and "factors".
        Bindings names = names_;
        names.at("x", at(signature_.front(), 0, first_row_ + row, k));
        names.at("packed", packed_at(row, k)).at("codes", packed_at(row, k));
        names.at("factors", factors_at(row));
        names.set("rows", min(block, rows_here_ - row)).set("depth", depth);
        append(inner, bind(plan_, pack_rows_, names));
      });
    });
  }

  // The threads share blocks of columns × rows, as many in each direction as balance. The last
  // panel, where some of its columns do not exist, is a program of its own and part of the last
  // block.
  void blocks(Body& body) {
    const int64_t columns = product_.panel_columns();
    Expr row_block = min(Expr(most_rows()), round_up(rows_here_, Expr(s_.mr)));
    row_block = round_up(ceil_div(rows_here_, ceil_div(rows_here_, row_block)), Expr(s_.mr));
    // Whole blocks of y are shared out; without any, the one block is the rest.
    const int64_t together = product_.panels_in_blocks();
    const int64_t groups = std::max<int64_t>((whole_ + together - 1) / together, 1);
    int64_t wanted = s_.nc == 0 ? whole_ : std::min(s_.nc, whole_);
    if (product_.quantises_y()) wanted = std::min(wanted, most_quantised_panels());
    wanted = std::max<int64_t>(wanted / together, 1);
    const Expr count = min(round_up(Expr((groups + wanted - 1) / wanted), threads_), Expr(groups));
    const auto begin = [&](const Expr& i) {
      return min(ceil_div(i * Expr(groups), count) * Expr(together), Expr(whole_));
    };
    parallel_loop(body, "block", count, 1, [&](Body& of_columns, const Expr& block) {
      parallel_loop(of_columns, "row", rows_here_, row_block, [&](Body& inner, const Expr& row) {
        const Expr rows = min(row_block, rows_here_ - row);
        if (whole_ > 0) {
          const Expr panels = begin(block + Expr(1)) - begin(block);
          multiply(inner, columns, row, rows, begin(block), panels);
        }
        if (rest_columns_ > 0) {
          const Expr is_last = max(block + Expr(2) - count, Expr(0));
          multiply(inner, rest_columns_, row, rows, Expr(whole_), is_last);
        }
      });
    });
  }

  // Where y is quantised, at most these panels are multiplied at once, into the worker's own block
  // of y: as wide as they are, its rows apart by an odd number of cache lines.
  int64_t most_quantised_panels() const {
    const int64_t most = s_.nc == 0 ? kQuantisedColumns / product_.panel_columns() : s_.nc;
    const int64_t whole = product_.panels_in_blocks();
    return std::max<int64_t>(most / whole, 1) * whole;
  }
  int64_t y_block_stride() const {
    return most_quantised_panels() * product_.panel_columns() * 4 + kLine;
  }
  int64_t most_rows() const {
    if (!product_.quantises_y()) return s_.mc;
    return std::min(s_.mc, std::max<int64_t>(kQuantisedRows / s_.mr, 1) * s_.mr);
  }

  // `rows` rows by `panels` panels of `columns` columns each; y is quantised once it is there.
  void multiply(Body& body, int64_t columns, const Expr& row, const Expr& rows, const Expr& panel,
                const Expr& panels) {
    const int program = add_block_program(columns);
    const Expr row_of_all = first_row_ + row;
    const Expr column = panel * Expr(product_.panel_columns());
    over_depth(body, "k" + std::to_string(program),
               [&](Body& inner, const Expr& k, const Expr& depth) {
                 Bindings names = names_;
                 names.at("x", s_.pack ? packed_at(row, k) : at(signature_[0], 0, row_of_all, k));
                 names.at("x_factors", factors_at(row));
                 for (size_t part = 0; part < product_.part_bytes.size(); ++part) {
                   const int64_t bytes = product_.part_bytes[part];
                   const Expr offset = panel * Expr(bytes) + k * Expr(bytes / product_.k);
                   const std::string& name = signature_[1 + part].name;
                   names.at(name, plan_.operand(name) + offset);
                 }
                 offer_block(names, 0, row_of_all, column, k, depth);
                 if (product_.quantises_y())
                   names.at("y", y_block_).set("y.stride0", y_block_stride());
                 names.set("rows", rows).set("panels", panels);
                 append(inner, bind(plan_, program, names));
               });
    if (!product_.quantises_y()) return;
    const Expr elements = ir::info(product_.out).block_elements;
    Bindings names = names_;
    names.at("x", y_block_).set("x.stride0", y_block_stride());
    names.at("y", at(signature_.back(), 0, row_of_all, column)).set("rows", rows);
    names.set("blocks", ceil_div(panels * Expr(columns), elements));
    append(body, bind(plan_, quantise_, names));
  }

  Expr first_row_ = 0;  ///< of the chunk whose rows are packed
  Expr rows_here_;      ///< in it
  Place factors_{}, y_block_{};
  int quantise_ = -1;
};

class PackingPlanWriter : PlanWriter {
 public:
  PackingPlanWriter(const Product& product, const Blocking& blocking, const Batches& batches,
                    const Target& target)
      : PlanWriter(product, blocking, batches.signature, target),
        batches_(batches),
        x_(batches.signature[0]),
        w_(batches.signature[1]) {}

  Plan write() {
    const Expr batches = Expr::variable(plan_.input("batch"));
    declare_operands(0, 0);
    add_scratch();
    // Batches are handed out whole where there are enough of them; else each is cut into parts,
    // along rows first. One thread needs no parts; several need more than one each, or the last
    // batches leave most of them idle.
    const Expr parts = ceil_div(threads_ * Expr(2) - Expr(1), batches);
    const Expr row_block =
        min(round_up(max(ceil_div(rows_, parts), Expr(kLeastRows)), Expr(s_.mr)), most_rows());
    const Expr all = product_.panels();
    const Expr panel_block = ceil_div(all, ceil_div(parts, ceil_div(rows_, row_block)));
    parallel_loop(plan_.body, "batch_index", batches, 1, [&](Body& panels, const Expr& batch) {
      parallel_loop(panels, "panel", all, panel_block, [&](Body& rows, const Expr& panel) {
        parallel_loop(rows, "row", rows_, row_block, [&](Body& body, const Expr& row) {
          batch_ = batch;
          row_ = row;
          rows_here_ = min(row_block, rows_ - row);
          unit(body, panel, min(panel_block, all - panel), min(panel_block, Expr(whole_) - panel));
        });
      });
    });
    return std::move(plan_);
  }

 private:
  // What packs panels of w with so many columns, and what multiplies by them.
  struct Programs {
    int pack = -1, multiply = -1;
  };

  void add_scratch() {
    if (s_.pack) {
      rows_kept_ = min(whole_rows_, most_rows());
      const Expr bytes = rows_kept_ * Expr(batches_.group * packed_row_.bytes);
      packed_ = plan_.add_scratch({x_.name + ".packed", bytes});
      pack_rows_ =
          plan_.add_program(batches_.transposed_x ? pack_columns_program(product_, s_, target_)
                                                  : pack_rows_program(product_, s_, target_));
    }
    panels_ = plan_.add_scratch({w_.name + ".packed", s_.nc * product_.part_bytes.front()});
    if (s_.keeps_sums(product_)) {
      names_.at("y.sums", plan_.add_scratch({"y.sums", int64_t{s_.mr} * product_.panel * 4}));
    }
    if (whole_ > 0) of_whole_ = add_programs(product_.panel);
    if (rest_columns_ > 0) of_rest_ = add_programs(rest_columns_);
  }
  Programs add_programs(int64_t columns) {
    const int pack = plan_.add_program(
        pack_panels_program(product_, target_, w_.type, batches_.transposed_w, columns));
    return {pack, add_block_program(columns)};
  }

  // Of a unit, a multiple of mr: the copy of its rows is kept.
  Expr most_rows() const {
    const int64_t mr = s_.mr;
    if (!s_.pack) return INT32_MAX / mr * mr;
    return std::max(kPackedBytes / (packed_row_.bytes * batches_.group) / mr * mr, s_.mc);
  }

  // A block of columns × rows: `count` panels from `first` on, of them `whole` whole.
  void unit(Body& body, const Expr& first, const Expr& count, const Expr& whole) {
    over_depth(body, "k", [&](Body& inner, const Expr& k, const Expr& depth) {
      k_ = k;
      depth_ = depth;
      if (s_.pack) pack_rows(inner);
      if (whole_ > 0) blocks(inner, of_whole_, "whole", first, whole);
      if (rest_columns_ > 0) {
        const Expr rest = whole_ > 0 ? count - whole : count;
        blocks(inner, of_rest_, "rest", Expr(whole_), rest);
      }
    });
  }

  // The matrices that share one of w.
  void over_group(Body& body, const std::string& name, const Visit& visit) {
    if (batches_.group == 1) return visit(body, Expr(0));
    loop(body, name, Expr(batches_.group), 1, visit);
  }
  Expr batch_of_y(const Expr& member) const { return batch_ * Expr(batches_.group) + member; }

  // Where rows of x begin, from the block of k on.
  Place x_at(const Expr& member, const Expr& row) {
    return at(x_, batch_of_y(member), row, k_, batches_.transposed_x);
  }
  Place packed_at(const Expr& member, const Expr& row) const {
    return packed_ + (member * rows_kept_ + row) * Expr(packed_row_.bytes);
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
    loop(body, name + "_block", count, Expr(s_.nc), [&](Body& block, const Expr& i) {
      const Expr panels = min(Expr(s_.nc), count - i);
      const Expr column = (first + i) * Expr(product_.panel);
      Bindings names = names_;
      names.at(w_.name, at(w_, batch_, k_, column, batches_.transposed_w)).at("packed", panels_);
      names.set(w_.name + ".stride1", stride(w_, 1)).set("panels", panels).set("depth", depth_);
      append(block, bind(plan_, of.pack, names));
      names.at(w_.name, panels_);
      over_group(block, name + "_member", [&](Body& of_member, const Expr& member) {
        loop(of_member, name + "_row", rows_here_, Expr(s_.mc), [&](Body& inner, const Expr& row) {
          offer_block(names, batch_of_y(member), row_ + row, column, k_, depth_);
          names.at(x_.name, s_.pack ? packed_at(member, row) : x_at(member, row_ + row));
          names.set("rows", min(Expr(s_.mc), rows_here_ - row));
          append(inner, bind(plan_, of.multiply, names));
        });
      });
    });
  }

  const Batches& batches_;
  const Port &x_, &w_;
  Place panels_{};  ///< of w, packed
  Programs of_whole_, of_rest_;
  Expr rows_kept_, batch_, row_;
  Expr rows_here_;      ///< of the unit, in each batch
  Expr k_ = 0, depth_;  ///< the block of k
};

}  // namespace

Plan packed_plan(const Product& product, const Blocking& blocking, const Target& target) {
  return PackedPlanWriter(product, blocking, target).write();
}

Plan packing_plan(const Product& product, const Blocking& blocking, const Batches& batches,
                  const Target& target) {
  return PackingPlanWriter(product, blocking, batches, target).write();
}

}  // namespace lathe::compiler::kernels::product
