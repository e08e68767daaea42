// Rows of k or v that decode's programs go over where they lie: at a distance from each other, or
// page by page, as a block table or a list names the pages.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/attention/listed_pages.h"
#include "ir/program/builder.h"

namespace lathe::compiler::kernels::attention {

/// The rows of `operand`, k or v, of one call. Declares the parameters that say how many there are
/// and where they lie, and of pages the buffer of their numbers.
class CachedRows {
 public:
  CachedRows(ir::program::Builder& b, const Attention& attention, const DecodeBlocking& blocking,
             const std::string& operand, int64_t width, ir::program::Pointer rows);

  /// Gets the first of `count` rows at the same distance from each other, which it may move, and
  /// the column of the first row's score, which it moves behind those of the others.
  using Visit = std::function<void(ir::program::Pointer first, ir::program::Scalar count,
                                   ir::program::Pointer column)>;
  /// Calls `visit` until all rows are visited. `columns` is where their scores begin; those of a
  /// listed page that has fewer keys than it may have are passed over.
  void over(ir::program::Pointer columns, const Visit& visit);

  /// Of the rows that over() visits.
  ir::program::Scalar stride() const { return stride_; }
  /// Emits `body` twice where rows are asked for: for rows that lie one right behind the other, of
  /// which nothing is asked for as hardware foresees them, and for others.
  void by_distance(const std::function<void()>& body);
  /// Asks for what is read later than `row`, which over() visits: some rows ahead, where pages are
  /// shorter than that the same row of a page ahead; or the same row of the next head.
  void ask_ahead(ir::program::Pointer row) const;

 private:
  void over_entries(ir::program::Pointer entry, ir::program::Pointer column, const Visit& visit);
  void over_listed(ir::program::Pointer column, const Visit& visit);
  bool has_pages() const { return page_ > 0 || listed_; }
  /// From entry `number` of the pages, `page`, to what is asked for meanwhile.
  ir::program::Scalar distance_from(ir::program::Scalar page, ir::program::Scalar number) const;

  ir::program::Builder& b_;
  const DecodeBlocking& s_;
  int64_t page_;
  int64_t row_bytes_;
  bool asks_;                  // in the code that is being emitted
  bool asks_by_page_ = false;  // the page that is asked for is another entry of table or list
  ir::program::Pointer rows_, pages_;
  ir::program::Scalar columns_, stride_, next_, page_stride_, first_, page_count_;
  ir::program::Scalar page_limit_, pages_ahead_;
  ir::program::Scalar distance_;  // from this page to the one that is asked for
  std::optional<ListedPages> listed_{};
};

}  // namespace lathe::compiler::kernels::attention
