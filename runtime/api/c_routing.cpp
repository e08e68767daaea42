// The C interface: lists of blocks and pages, fitted weights, codes of pages.
#include <memory>
#include <utility>
#include <vector>

#include <lathe/c.h>
#include <lathe/lathe.h>

#include "runtime/api/c_support.h"

struct lathe_router {
  lathe::RouterWeights weights;
  lathe::TensorView wq, wk;
  std::vector<lathe_view> parts;
};
struct lathe_page_coder {
  lathe::PageCodeWeights weights;
  lathe::TensorView w, wk;
  std::vector<lathe_view> parts;
};

namespace {

using lathe::runtime::check_views;
using lathe::runtime::guarded;
using lathe::runtime::is_null;
using lathe::runtime::report;
using lathe::runtime::view_for_c;
using lathe::runtime::view_of;

static_assert(LATHE_CAUSAL_END == static_cast<int>(lathe::Attention::Causal::end));

// Sets `to` from a lathe_causal, or says that it is none.
lathe_status read_causal(const char* function, int32_t number, lathe::Attention::Causal& to) {
  if (number < LATHE_CAUSAL_NONE || number > LATHE_CAUSAL_END) {
    lathe::runtime::say({function, ": causal: found another number than those of lathe_causal"});
    return LATHE_INVALID_ARGUMENT;
  }
  to = static_cast<lathe::Attention::Causal>(number);
  return LATHE_OK;
}

lathe_status check_samples(const char* function, const char* name, const lathe_sample* samples,
                           size_t count) {
  if (samples == nullptr && count > 0) return is_null(function, name);
  for (size_t i = 0; i < count; ++i) {
    const lathe_status status =
        check_views(function, {{"q of a sample", &samples[i].q}, {"k of a sample", &samples[i].k}});
    if (status != LATHE_OK) return status;
  }
  return LATHE_OK;
}

std::vector<lathe::RouterSample> samples_of(const lathe_sample* samples, size_t count) {
  std::vector<lathe::RouterSample> all;
  for (size_t i = 0; i < count; ++i) all.push_back({view_of(samples[i].q), view_of(samples[i].k)});
  return all;
}

lathe_router* handle_of_router(lathe::RouterWeights weights) {
  auto handle = std::make_unique<lathe_router>();
  handle->weights = std::move(weights);
  handle->wq = handle->weights.wq_view();
  handle->wk = handle->weights.wk_view();
  handle->parts = {view_for_c(handle->wq), view_for_c(handle->wk)};
  return handle.release();
}

lathe_page_coder* handle_of_coder(lathe::PageCodeWeights weights) {
  auto handle = std::make_unique<lathe_page_coder>();
  handle->weights = std::move(weights);
  handle->w = handle->weights.w_view();
  handle->wk = handle->weights.wk_view();
  handle->parts = {view_for_c(handle->w), view_for_c(handle->wk)};
  return handle.release();
}

}  // namespace

lathe_status lathe_select_blocks(const lathe_view* scores, const lathe_block_selection* selection,
                                 const lathe_view* counts, const lathe_view* blocks) {
  constexpr const char* kName = "lathe_select_blocks";
  if (selection == nullptr) return is_null(kName, "selection");
  lathe_status status =
      check_views(kName, {{"scores", scores}, {"counts", counts}, {"blocks", blocks}});
  lathe::BlockSelection of = {.block = selection->block,
                              .tokens = selection->tokens,
                              .context = selection->context,
                              .kept = selection->kept,
                              .threshold = selection->threshold,
                              .sinks = selection->sinks,
                              .local = selection->local};
  if (status == LATHE_OK) status = read_causal(kName, selection->causal, of.causal);
  if (status != LATHE_OK) return status;
  return guarded([&] {
    return report(lathe::select_blocks(view_of(*scores), of, view_of(*counts), view_of(*blocks)));
  });
}

lathe_status lathe_router_fit(const lathe_sample* samples, size_t count,
                              const lathe_sample* held_out, size_t held_out_count,
                              const lathe_router_options* options, lathe_router** router) {
  constexpr const char* kName = "lathe_router_fit";
  if (router == nullptr) return is_null(kName, "router");
  *router = nullptr;
  lathe_status status = check_samples(kName, "samples", samples, count);
  if (status == LATHE_OK) status = check_samples(kName, "held_out", held_out, held_out_count);
  constexpr lathe_router_options kDefaults = LATHE_ROUTER_DEFAULTS;
  const lathe_router_options& from = options == nullptr ? kDefaults : *options;
  lathe::RouterFit fit = {.block = from.block,
                          .rank = from.rank,
                          .sinks = from.sinks,
                          .local = from.local,
                          .steps = from.steps,
                          .learning_rate = from.learning_rate,
                          .decay = from.decay};
  if (status == LATHE_OK) status = read_causal(kName, from.causal, fit.causal);
  if (status != LATHE_OK) return status;
  return guarded([&] {
    auto weights =
        lathe::fit_router(samples_of(samples, count), fit, samples_of(held_out, held_out_count));
    if (!weights) return report(weights.error());
    *router = handle_of_router(std::move(*weights));
    return LATHE_OK;
  });
}

lathe_status lathe_router_load(const char* stem, lathe_router** router) {
  constexpr const char* kName = "lathe_router_load";
  if (router == nullptr) return is_null(kName, "router");
  *router = nullptr;
  if (stem == nullptr) return is_null(kName, "stem");
  return guarded([&] {
    auto weights = lathe::RouterWeights::load(stem);
    if (!weights) return report(weights.error());
    *router = handle_of_router(std::move(*weights));
    return LATHE_OK;
  });
}

lathe_status lathe_router_save(const lathe_router* router, const char* stem) {
  constexpr const char* kName = "lathe_router_save";
  if (router == nullptr) return is_null(kName, "router");
  if (stem == nullptr) return is_null(kName, "stem");
  return guarded([&] { return report(router->weights.save(stem)); });
}

const lathe_view* lathe_router_parts(const lathe_router* router, size_t* count) {
  return lathe::runtime::hand_out(router == nullptr ? nullptr : &router->parts, count);
}

void lathe_router_losses(const lathe_router* router, double* loss, double* held_out_loss) {
  if (loss != nullptr) *loss = router == nullptr ? 0 : router->weights.loss;
  if (held_out_loss != nullptr)
    *held_out_loss = router == nullptr ? 0 : router->weights.held_out_loss;
}

void lathe_router_release(lathe_router* router) { delete router; }

lathe_status lathe_select_pages(const lathe_view* scores, const lathe_view* lengths, int64_t page,
                                int64_t sinks, int64_t local, const lathe_view* list) {
  constexpr const char* kName = "lathe_select_pages";
  lathe_status status = check_views(kName, {{"scores", scores}, {"list", list}});
  if (status == LATHE_OK && lengths != nullptr) status = check_views(kName, {{"lengths", lengths}});
  if (status != LATHE_OK) return status;
  return guarded([&] {
    const lathe::TensorView of_lengths =
        lengths == nullptr ? lathe::TensorView() : view_of(*lengths);
    return report(lathe::select_pages(view_of(*scores), of_lengths, page,
                                      {.sinks = sinks, .local = local}, view_of(*list)));
  });
}

lathe_status lathe_page_coder_fit(const lathe_sample* samples, size_t count,
                                  const lathe_sample* held_out, size_t held_out_count,
                                  const lathe_page_coder_options* options,
                                  lathe_page_coder** coder) {
  constexpr const char* kName = "lathe_page_coder_fit";
  if (coder == nullptr) return is_null(kName, "coder");
  *coder = nullptr;
  lathe_status status = check_samples(kName, "samples", samples, count);
  if (status == LATHE_OK) status = check_samples(kName, "held_out", held_out, held_out_count);
  constexpr lathe_page_coder_options kDefaults = LATHE_PAGE_CODER_DEFAULTS;
  const lathe_page_coder_options& from = options == nullptr ? kDefaults : *options;
  lathe::PageCodeFit fit = {.page = from.page,
                            .rank = from.rank,
                            .sinks = from.sinks,
                            .local = from.local,
                            .stride = from.stride,
                            .steps = from.steps,
                            .learning_rate = from.learning_rate,
                            .decay = from.decay};
  if (status == LATHE_OK) status = read_causal(kName, from.causal, fit.causal);
  if (status != LATHE_OK) return status;
  return guarded([&] {
    auto weights = lathe::fit_page_codes(samples_of(samples, count),
                                         samples_of(held_out, held_out_count), fit);
    if (!weights) return report(weights.error());
    *coder = handle_of_coder(std::move(*weights));
    return LATHE_OK;
  });
}

lathe_status lathe_page_coder_load(const char* stem, lathe_page_coder** coder) {
  constexpr const char* kName = "lathe_page_coder_load";
  if (coder == nullptr) return is_null(kName, "coder");
  *coder = nullptr;
  if (stem == nullptr) return is_null(kName, "stem");
  return guarded([&] {
    auto weights = lathe::PageCodeWeights::load(stem);
    if (!weights) return report(weights.error());
    *coder = handle_of_coder(std::move(*weights));
    return LATHE_OK;
  });
}

lathe_status lathe_page_coder_save(const lathe_page_coder* coder, const char* stem) {
  constexpr const char* kName = "lathe_page_coder_save";
  if (coder == nullptr) return is_null(kName, "coder");
  if (stem == nullptr) return is_null(kName, "stem");
  return guarded([&] { return report(coder->weights.save(stem)); });
}

const lathe_view* lathe_page_coder_parts(const lathe_page_coder* coder, size_t* count) {
  return lathe::runtime::hand_out(coder == nullptr ? nullptr : &coder->parts, count);
}

void lathe_page_coder_losses(const lathe_page_coder* coder, double* loss, double* held_out_loss) {
  if (loss != nullptr) *loss = coder == nullptr ? 0 : coder->weights.loss;
  if (held_out_loss != nullptr)
    *held_out_loss = coder == nullptr ? 0 : coder->weights.held_out_loss;
}

void lathe_page_coder_release(lathe_page_coder* coder) { delete coder; }

lathe_status lathe_page_codes(const lathe_page_coder* coder, const lathe_view* k,
                              const lathe_view* codes) {
  constexpr const char* kName = "lathe_page_codes";
  if (coder == nullptr) return is_null(kName, "coder");
  const lathe_status status = check_views(kName, {{"k", k}, {"codes", codes}});
  if (status != LATHE_OK) return status;
  return guarded(
      [&] { return report(lathe::page_codes(view_of(*k), coder->weights, view_of(*codes))); });
}
