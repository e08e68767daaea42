// From a list's entry to the keys of a page.
#include "compiler/kernels/attention/listed_pages.h"

namespace lathe::compiler::kernels::attention {

using ir::program::Compare;
using ir::program::Scalar;

ListedPages::ListedPages(ir::program::Builder& builder, int64_t page)
    : b_(builder),
      page_(page),
      list_(b_.buffer("list", ir::Type::i32, ir::program::BufferAccess::read)),
      first_(b_.parameter("first")),
      entries_(b_.parameter("entries")),
      length_(b_.parameter("length")) {}

void ListedPages::visit(const std::function<void(const Page&)>& each) const {
  const Scalar last = b_.sub(b_.add(first_, entries_), 1);
  b_.loop(0, entries_, 1, [&](Scalar i) {
    const Scalar at = b_.add(first_, i);
    const Scalar number = b_.load_integer(list_, 0, at);
    const Scalar begin = b_.mul(number, page_);
    const Scalar count = b_.copy(b_.max(b_.min(b_.sub(length_, begin), page_), 0));
    b_.branch(Compare::gt, at, 0, [&] {
      const Scalar before = b_.load_integer(list_, -1, at);
      b_.branch(Compare::eq, before, number, [&] { b_.set(count, b_.scalar(0)); });
    });
    const Scalar following = b_.min(b_.add(at, 1), last);
    const Scalar next = b_.mul(b_.load_integer(list_, 0, following), page_);
    each({begin, count, next});
  });
}

}  // namespace lathe::compiler::kernels::attention
