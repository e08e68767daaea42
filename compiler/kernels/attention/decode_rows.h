// Rows of k or v that decode's programs go over where they lie: at a distance from each other, or
// page by page.
#pragma once

#include <functional>
#include <string>

#include "compiler/kernels/attention/attention.h"
#include "ir/program/builder.h"

namespace lathe::compiler::kernels::attention {

/// The rows of `operand`, k or v, of one call. Declares the parameters that say where they lie, and
/// of a paged cache the buffer of its pages.
class CachedRows {
 public:
  CachedRows(ir::program::Builder& b, const Attention& attention, const DecodeBlocking& blocking,
             const std::string& operand, int64_t width, ir::program::Pointer rows,
             ir::program::Scalar columns);

  /// Where going over the rows begins: moved on by over().
  ir::program::Pointer start() const;
  /// Calls visit(first, count) for rows at the same distance from each other, until all are
  /// visited; `first` may be moved.
  void over(ir::program::Pointer start,
            const std::function<void(ir::program::Pointer, ir::program::Scalar)>& visit);

  /// Of the rows that over() visits.
  ir::program::Scalar stride() const { return stride_; }
  /// Emits `body` twice where rows are asked for: for rows that lie one right behind the other, of
  /// which nothing is asked for as hardware foresees them, and for others.
  void by_distance(const std::function<void()>& body);
  /// Asks for what is read later than `row`, which over() visits: some rows ahead, where pages are
  /// shorter than that the same row of a page ahead; or the same row of the next head.
  void ask_ahead(ir::program::Pointer row) const;

 private:
  /// From entry `number` of the pages, `page`, to what is asked for meanwhile.
  ir::program::Scalar distance_from(ir::program::Scalar page, ir::program::Scalar number) const;

  ir::program::Builder& b_;
  const DecodeBlocking& s_;
  int64_t page_;
  int64_t row_bytes_;
  bool asks_;                  // in the code that is being emitted
  bool asks_by_page_ = false;  // the page that is asked for is another entry of the block table
  ir::program::Pointer rows_, pages_;
  ir::program::Scalar columns_, stride_, next_, page_stride_, first_, page_count_;
  ir::program::Scalar page_limit_, pages_ahead_;
  ir::program::Scalar distance_;  // from this page to the one that is asked for
};

}  // namespace lathe::compiler::kernels::attention
