// The C interface: sparse decode.
#include <utility>

#include <lathe/c.h>
#include <lathe/lathe.h>

#include "runtime/api/c_handles.h"
#include "runtime/api/c_support.h"

struct lathe_sparse_decode {
  lathe::SparseDecode decode;
};

namespace {

using lathe::runtime::check_views;
using lathe::runtime::guarded;
using lathe::runtime::is_known_type;
using lathe::runtime::is_null;
using lathe::runtime::report;
using lathe::runtime::view_of;

lathe::DataType type_of(int32_t type) { return static_cast<lathe::DataType>(type); }

lathe::AttentionTokenSparse attention_of(const lathe_sparse_decode_options& from) {
  return {.heads = from.heads,
          .kv_heads = from.kv_heads,
          .dim = from.dim,
          .value_dim = from.value_dim,
          .page = from.page,
          .causal = from.causal != 0,
          .scale = from.scale,
          .lengths = from.lengths != 0,
          .sinks = from.sinks != 0,
          .lse = from.lse != 0,
          .type = type_of(from.type),
          .kv_type = type_of(from.kv_type),
          .out = type_of(from.out),
          .tokens = from.tokens,
          .context = from.context,
          .kept = from.kept};
}

lathe::AttentionPageScores scores_of(const lathe_sparse_decode_options& from) {
  using Select = lathe::AttentionPageScores::Select;
  return {.select = from.learned != 0 ? Select::learned : Select::pages,
          .rank = from.rank,
          .kv_type = type_of(from.code_type),
          .weight_type = type_of(from.weight_type),
          .pages = from.pages};
}

}  // namespace

lathe_status lathe_sparse_decode_fetch(lathe_library* library,
                                       const lathe_sparse_decode_options* options,
                                       lathe_sparse_decode** decode) {
  constexpr const char* kName = "lathe_sparse_decode_fetch";
  if (decode == nullptr) return is_null(kName, "decode");
  *decode = nullptr;
  if (library == nullptr) return is_null(kName, "library");
  if (options == nullptr) return is_null(kName, "options");
  if (!is_known_type(kName, "type", options->type) ||
      !is_known_type(kName, "kv_type", options->kv_type) ||
      !is_known_type(kName, "out", options->out) ||
      !is_known_type(kName, "code_type", options->code_type) ||
      !is_known_type(kName, "weight_type", options->weight_type))
    return LATHE_INVALID_ARGUMENT;
  return guarded([&] {
    auto fetched =
        lathe::SparseDecode::fetch(library->library, attention_of(*options), scores_of(*options),
                                   {.sinks = options->first_pages, .local = options->last_pages});
    if (!fetched) return report(fetched.error());
    *decode = new lathe_sparse_decode{std::move(*fetched)};
    return LATHE_OK;
  });
}

lathe_status lathe_sparse_decode_run(lathe_sparse_decode* decode,
                                     const lathe_sparse_decode_operands* operands) {
  constexpr const char* kName = "lathe_sparse_decode_run";
  if (decode == nullptr) return is_null(kName, "decode");
  if (operands == nullptr) return is_null(kName, "operands");
  const lathe_sparse_decode_operands& from = *operands;
  lathe_status status = check_views(
      kName, {{"q", from.q}, {"k", from.k}, {"v", from.v}, {"bounds", from.bounds}, {"y", from.y}});
  lathe::SparseDecode::Operands to;
  const auto take_if_given = [&](const char* name, const lathe_view* view,
                                 lathe::TensorView& into) {
    if (view == nullptr || status != LATHE_OK) return;
    status = check_views(kName, {{name, view}});
    if (status == LATHE_OK) into = view_of(*view);
  };
  take_if_given("q", from.q, to.q);
  take_if_given("k", from.k, to.k);
  take_if_given("v", from.v, to.v);
  take_if_given("bounds", from.bounds, to.bounds);
  take_if_given("w", from.w, to.w);
  take_if_given("lengths", from.lengths, to.lengths);
  take_if_given("sinks", from.sinks, to.sinks);
  take_if_given("y", from.y, to.y);
  take_if_given("lse", from.lse, to.lse);
  if (status != LATHE_OK) return status;
  return guarded([&] { return report(decode->decode(to)); });
}

const int32_t* lathe_sparse_decode_pages(const lathe_sparse_decode* decode, size_t* count) {
  if (count != nullptr) *count = decode == nullptr ? 0 : decode->decode.pages().size();
  return decode == nullptr ? nullptr : decode->decode.pages().data();
}

void lathe_sparse_decode_release(lathe_sparse_decode* decode) { delete decode; }
