// Pages of a cache in the order of a list, as programs go over them.
#pragma once

#include <functional>

#include "ir/program/builder.h"

namespace lathe::compiler::kernels::attention {

/// A list of page numbers, i32, ascending: buffer `list`; parameters `first` and `entries`, which
/// of them a call is for, and `length`, the keys of the sequence. Page p has the keys from p · page
/// on, as many as a page has and the sequence; an entry that equals the one before it has none.
class ListedPages {
 public:
  ListedPages(ir::program::Builder& builder, int64_t page);

  struct Page {
    ir::program::Scalar begin;  ///< its first key
    ir::program::Scalar count;  ///< keys that there are of it
    ir::program::Scalar next;   ///< the first key of the page that follows, or its own
  };
  void visit(const std::function<void(const Page&)>& each) const;

 private:
  ir::program::Builder& b_;
  int64_t page_;
  ir::program::Pointer list_;
  ir::program::Scalar first_, entries_, length_;
};

}  // namespace lathe::compiler::kernels::attention
