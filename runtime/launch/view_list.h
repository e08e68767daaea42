// The views of one call, gathered.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

#include <lathe/tensor_view.h>

#include "runtime/launch/launch.h"

namespace lathe::runtime {

/// Up to kMost views, in memory that is not cleared first: for a small kernel that would cost as
/// much as the kernel.
class ViewList {
 public:
  static constexpr std::size_t kMost = BoundCall::kMaxOperands;

  ViewList() {}  // NOLINT: = default would be deleted
  ViewList(const ViewList&) = delete;
  ViewList& operator=(const ViewList&) = delete;

  /// To be called for kMost views at most.
  void add(const TensorView& view) {
    assert(count_ < kMost);
    std::construct_at(views_.data() + count_++, view);
  }
  void add(std::span<const TensorView> views) {
    for (const TensorView& view : views) add(view);
  }
  std::span<const TensorView> all() const { return {views_.data(), count_}; }

 private:
  static_assert(std::is_trivially_destructible_v<TensorView>);
  union {
    std::array<TensorView, kMost> views_;
  };
  std::size_t count_ = 0;
};

}  // namespace lathe::runtime
