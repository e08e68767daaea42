// The C interface: keys and values as factors of low rank.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <lathe/c.h>
#include <lathe/low_rank.h>

#include "runtime/api/c_support.h"

struct lathe_factors {
  lathe::LowRankFactors factors;
  lathe::TensorView rows, up;
  std::vector<lathe_view> parts;
};

namespace {

using lathe::runtime::check_views;
using lathe::runtime::guarded;
using lathe::runtime::is_null;
using lathe::runtime::report;
using lathe::runtime::view_of;

}  // namespace

lathe_status lathe_factorise(const lathe_view* x, int64_t rank, lathe_factors** factors) {
  constexpr const char* kName = "lathe_factorise";
  if (factors == nullptr) return is_null(kName, "factors");
  *factors = nullptr;
  const lathe_status status = check_views(kName, {{"x", x}});
  if (status != LATHE_OK) return status;
  return guarded([&] {
    auto made = lathe::factorise(view_of(*x), rank);
    if (!made) return report(made.error());
    auto handle = std::make_unique<lathe_factors>();
    handle->factors = std::move(*made);
    const lathe::LowRankFactors& f = handle->factors;
    handle->rows = {f.rows.data(), {f.tokens, f.kv_heads, f.rank}};
    handle->up = {f.up.data(), {f.kv_heads, f.rank, f.dim}};
    handle->parts = {lathe::runtime::view_for_c(handle->rows),
                     lathe::runtime::view_for_c(handle->up)};
    *factors = handle.release();
    return LATHE_OK;
  });
}

const lathe_view* lathe_factors_parts(const lathe_factors* factors, size_t* count) {
  return lathe::runtime::hand_out(factors == nullptr ? nullptr : &factors->parts, count);
}

const double* lathe_factors_errors(const lathe_factors* factors, size_t* count) {
  if (count != nullptr) *count = factors == nullptr ? 0 : factors->factors.errors.size();
  return factors == nullptr ? nullptr : factors->factors.errors.data();
}

lathe_status lathe_factors_rows(const lathe_factors* factors, const lathe_view* x,
                                const lathe_view* rows) {
  constexpr const char* kName = "lathe_factors_rows";
  if (factors == nullptr) return is_null(kName, "factors");
  const lathe_status status = check_views(kName, {{"x", x}, {"rows", rows}});
  if (status != LATHE_OK) return status;
  return guarded([&] {
    const lathe::TensorView from = view_of(*x), to = view_of(*rows);
    auto made = lathe::low_rank_rows(from, factors->factors);
    if (!made) return report(made.error());
    const lathe::TensorView dense(made->data(),
                                  {from.shape[0], from.shape[1], factors->factors.rank});
    const bool fits = to.rank == dense.rank && to.type == dense.type && to.data != nullptr &&
                      std::equal(dense.shape, dense.shape + dense.rank, to.shape) &&
                      std::equal(dense.strides, dense.strides + dense.rank, to.strides);
    if (!fits) {
      return lathe::runtime::invalid(
          "lathe_factors_rows: rows: expected dense f32 [tokens, kv_heads, rank], with the tokens "
          "and heads of x and the factors' rank");
    }
    std::copy(made->begin(), made->end(), static_cast<float*>(to.data));
    return LATHE_OK;
  });
}

void lathe_factors_release(lathe_factors* factors) { delete factors; }

lathe_status lathe_low_rank_losses(const lathe_view* q, const lathe_view* k, const lathe_view* v,
                                   const int64_t* ranks, size_t count, double scale,
                                   lathe_low_rank_loss* losses) {
  constexpr const char* kName = "lathe_low_rank_losses";
  if (ranks == nullptr && count > 0) return is_null(kName, "ranks");
  if (losses == nullptr && count > 0) return is_null(kName, "losses");
  const lathe_status status = check_views(kName, {{"q", q}, {"k", k}, {"v", v}});
  if (status != LATHE_OK) return status;
  return guarded([&] {
    auto found =
        lathe::low_rank_losses(view_of(*q), view_of(*k), view_of(*v), {ranks, count}, scale);
    if (!found) return report(found.error());
    for (const lathe::LowRankLoss& loss : *found)
      *losses++ = {loss.rank, loss.keys, loss.values, loss.output};
    return LATHE_OK;
  });
}
