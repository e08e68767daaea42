// Going over rows of a cache. Heads that lie side by side make the rows of one head lie far apart,
// which hardware does not foresee, nor does it the next page.
#include "compiler/kernels/attention/decode_rows.h"

namespace lathe::compiler::kernels::attention {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Count;
using ir::program::Pointer;
using ir::program::Scalar;

namespace {

constexpr int64_t kEntryBytes = 4;  // of a block table
constexpr int64_t kScoreBytes = 4;

}  // namespace

CachedRows::CachedRows(Builder& b, const Attention& attention, const DecodeBlocking& blocking,
                       const std::string& operand, int64_t width, Pointer rows)
    : b_(b),
      s_(blocking),
      page_(attention.page),
      row_bytes_(ir::bytes_of(attention.kv_type, width)),
      asks_(blocking.ahead != 0),
      rows_(rows),
      columns_(blocking.listed_page > 0 ? Scalar{} : b.parameter("columns")),
      stride_(b.parameter(operand + ".stride1")) {
  if (s_.listed_page > 0) {
    listed_.emplace(b_, s_.listed_page);
    asks_by_page_ = asks_;
    return;
  }
  if (s_.ahead == kNextHead) next_ = b_.parameter(operand + ".next");
  if (!attention.is_paged()) return;
  pages_ = b_.buffer("pages", ir::Type::i32, BufferAccess::read);
  page_stride_ = b_.parameter(operand + ".stride0");
  first_ = b_.parameter("first");
  page_count_ = b_.parameter("page_count");
  asks_by_page_ = s_.ahead == kNextHead || s_.ahead >= page_;
  if (asks_by_page_) page_limit_ = b_.parameter("page_limit");
  if (s_.ahead == kNextHead) pages_ahead_ = b_.parameter("pages_ahead");
}

void CachedRows::over(Pointer columns, const Visit& visit) {
  if (listed_) return over_listed(b_.copy(columns), visit);
  const Pointer start = b_.copy(page_ > 0 ? pages_ : rows_);
  const Pointer column = b_.copy(columns);
  if (page_ > 0) return over_entries(start, column, visit);
  visit(start, columns_, column);
}

void CachedRows::over_entries(Pointer entry, Pointer column, const Visit& visit) {
  const Scalar left = b_.copy(columns_), skip = b_.copy(first_);
  b_.loop(0, page_count_, 1, [&](Scalar number) {
    const Scalar page = b_.load_integer(entry);
    if (asks_by_page_) distance_ = distance_from(page, number);
    const Pointer first = b_.offset(rows_, b_.mul(page, page_stride_));
    b_.advance(first, b_.mul(skip, stride_));
    const Scalar room = b_.sub(b_.scalar(page_), skip);
    const Scalar count = b_.min(left, room);
    visit(first, count, column);
    b_.set(left, b_.sub(left, count));
    b_.set(skip, b_.scalar(0));
    b_.advance(entry, kEntryBytes);
  });
}

void CachedRows::over_listed(Pointer column, const Visit& visit) {
  listed_->visit([&](const ListedPages::Page& page) {
    if (asks_by_page_) distance_ = b_.mul(b_.sub(page.next, page.begin), stride_);
    const Pointer first = b_.offset(rows_, b_.mul(page.begin, stride_));
    visit(first, page.count, column);
    const Scalar missing = b_.sub(b_.scalar(s_.listed_page), page.count);
    b_.advance(column, b_.mul(missing, kScoreBytes));
  });
}

// After the last entry that there is, that one is asked for again.
Scalar CachedRows::distance_from(Scalar page, Scalar number) const {
  const bool is_next_head = s_.ahead == kNextHead;
  const Count ahead = is_next_head ? Count(pages_ahead_) : Count((s_.ahead + page_ - 1) / page_);
  const Scalar last = b_.sub(page_limit_, 1);
  const Scalar entry = b_.min(b_.add(number, ahead), last);
  const Scalar later = b_.load_integer(pages_, 0, entry);
  const Scalar distance = b_.mul(b_.sub(later, page), page_stride_);
  return is_next_head ? b_.add(distance, next_) : distance;
}

void CachedRows::by_distance(const std::function<void()>& body) {
  if (!asks_ || has_pages()) return body();
  const auto without_asking = [&] {
    asks_ = false;
    body();
    asks_ = true;
  };
  b_.branch(Compare::eq, stride_, row_bytes_, without_asking, body);
}

void CachedRows::ask_ahead(Pointer row) const {
  if (!asks_) return;
  const Pointer later = b_.offset(row, asks_by_page_           ? distance_
                                       : s_.ahead == kNextHead ? next_
                                                               : b_.mul(stride_, s_.ahead));
  for (int64_t at = 0; at < row_bytes_; at += product::kLine)
    b_.prefetch(later, at, s_.ahead == kNextHead ? 1 : 0);
}

}  // namespace lathe::compiler::kernels::attention
