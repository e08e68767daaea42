// Codes of pages, and the weights that make them as files.
#include <algorithm>
#include <initializer_list>
#include <string_view>

#include <lathe/page_codes.h>

#include "runtime/attention/float_view.h"
#include "runtime/attention/page_features.h"
#include "runtime/attention/weight_files.h"
#include "support/error.h"

namespace lathe {
namespace {

Status check_code_weights(const PageCodeWeights& w) {
  const bool fits =
      w.heads > 0 && w.kv_heads > 0 && w.dim > 0 && w.rank > 0 && w.heads % w.kv_heads == 0 &&
      w.w.size() == static_cast<size_t>(w.heads * w.dim * w.rank) &&
      w.wk.size() == static_cast<size_t>(w.kv_heads * runtime::kPageFeatures * w.dim * w.rank);
  if (fits) return {};
  return fail(ErrorCode::invalid_argument,
              "page codes: found {} and {} heads of {}, rank {}, {} numbers in w and {} in wk; "
              "expected w [heads, dim, rank] and wk [kv_heads, 3 * dim, rank]",
              w.heads, w.kv_heads, w.dim, w.rank, w.w.size(), w.wk.size());
}

Status check_shape(std::string_view name, const TensorView& view, bool has_type,
                   std::string_view types, std::initializer_list<int64_t> shape) {
  const bool has_rank = view.rank == static_cast<int>(shape.size());
  if (has_type && has_rank && view.data != nullptr &&
      std::equal(shape.begin(), shape.end(), view.shape))
    return {};
  return fail(ErrorCode::invalid_argument,
              "page codes: {}: found type number {} of shape [{}]{}, expected {} of [{}]", name,
              static_cast<int>(view.type),
              fmt::join(view.shape, view.shape + std::max(view.rank, 0), ", "),
              view.data == nullptr ? " at a null pointer" : "", types, fmt::join(shape, ", "));
}

}  // namespace

Status PageCodeWeights::save(const std::string& stem) const {
  LATHE_CHECK(check_code_weights(*this));
  LATHE_CHECK(runtime::write_weights(stem + ".w.npy", w, {heads, dim, rank}));
  return runtime::write_weights(stem + ".wk.npy", wk,
                                {kv_heads, runtime::kPageFeatures * dim, rank});
}

Result<PageCodeWeights> PageCodeWeights::load(const std::string& stem) {
  const std::string k_path = stem + ".wk.npy";
  LATHE_TRY(const ir::Tensor w, runtime::read_weights(stem + ".w.npy"));
  LATHE_TRY(const ir::Tensor wk, runtime::read_weights(k_path));
  if (w.shape()[0] % wk.shape()[0] != 0 || w.shape()[1] * runtime::kPageFeatures != wk.shape()[1] ||
      w.shape()[2] != wk.shape()[2]) {
    return fail(ErrorCode::invalid_argument,
                "{}: found [{}] beside w of [{}], expected three times its dim, its rank, and "
                "heads of which w has a multiple",
                k_path, fmt::join(wk.shape(), ", "), fmt::join(w.shape(), ", "));
  }
  PageCodeWeights weights;
  weights.heads = w.shape()[0];
  weights.kv_heads = wk.shape()[0];
  weights.dim = w.shape()[1];
  weights.rank = w.shape()[2];
  weights.w = runtime::values_of(w);
  weights.wk = runtime::values_of(wk);
  return weights;
}

Status page_codes(const TensorView& k, const PageCodeWeights& weights, const TensorView& codes) {
  LATHE_CHECK(check_code_weights(weights));
  const bool has_rank = k.rank == 5;
  const int64_t batch = has_rank ? k.shape[0] : 1, pages = has_rank ? k.shape[1] : 1;
  const int64_t page = has_rank ? std::max<int64_t>(k.shape[2], 1) : 1;
  const int64_t heads = weights.kv_heads, dim = weights.dim, rank = weights.rank;
  LATHE_CHECK(check_shape("k", k, runtime::is_float(k.type), "f32, f16 or bf16",
                          {batch, pages, page, heads, dim}));
  LATHE_CHECK(
      check_shape("codes", codes, codes.type == DataType::f32, "f32", {batch, pages, heads, rank}));
  std::vector<double> features(static_cast<size_t>(runtime::kPageFeatures * dim));
  std::vector<double> code(static_cast<size_t>(rank));
  for (int64_t i = 0; i < batch * pages * heads; ++i) {
    const int64_t head = i % heads, p = i / heads % pages, b = i / heads / pages;
    const int64_t first = b * k.strides[0] + p * k.strides[1] + head * k.strides[3];
    runtime::page_features(
        page, dim,
        [&](int64_t j, int64_t d) {
          return runtime::number_at(k, first + j * k.strides[2] + d * k.strides[4]);
        },
        features);
    std::fill(code.begin(), code.end(), 0.0);
    const float* wk = weights.wk.data() + head * runtime::kPageFeatures * dim * rank;
    for (const double feature : features) {
      for (double& sum : code) sum += feature * double{*wk++};
    }
    auto* to = static_cast<float*>(codes.data) + b * codes.strides[0] + p * codes.strides[1] +
               head * codes.strides[2];
    for (int64_t r = 0; r < rank; ++r)
      to[r * codes.strides[3]] = static_cast<float>(code[static_cast<size_t>(r)]);
  }
  return {};
}

}  // namespace lathe
