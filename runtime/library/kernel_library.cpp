// Opening, single-flight compilation.
#include "runtime/library/kernel_library.h"

#include <utility>

#include "runtime/cpu/float_environment.h"
#include "runtime/library/forced_knobs.h"
#include "runtime/library/layout_record.h"
#include "support/log.h"

namespace lathe::runtime {

Result<std::shared_ptr<KernelLibrary>> KernelLibrary::open(const LibraryOptions& options) {
  if (options.device != "cpu") {
    return fail(ErrorCode::invalid_argument, "unknown device '{}'; expected cpu", options.device);
  }
  auto library = std::make_shared<KernelLibrary>();
  LATHE_TRY(library->selected_, select_library_target(options.backends, options.target));
  LATHE_CHECK(forced_knobs());
  int threads = options.threads;
  if (threads == 0) {
    LATHE_TRY(threads, default_threads());
  }
  LATHE_TRY(ThreadPool pool, ThreadPool::create(threads));
  library->pool_ = std::make_shared<ThreadPool>(std::move(pool));
  if (options.store != "none") {
    auto opened = store::Store::open_chosen(options.store, {.mode = store::OpenMode::read_only});
    // Before anything was tuned there is none in the cache folder: nobody has to hear of it.
    const bool is_expected =
        !opened && options.store.empty() && opened.error().code == ErrorCode::not_found;
    if (opened) {
      library->store_.emplace(std::move(*opened));
    } else if (!is_expected) {
      library->store_note_ = opened.error().message;
      library->say_that_defaults_serve(opened.error());
    }
  }
  return library;
}

KernelLibrary::Fetched KernelLibrary::fetch(const compiler::Problem& problem) {
  std::promise<Fetched> promise;
  std::shared_future<Fetched> flight;
  Flights::iterator own;
  {
    std::unique_lock lock(mutex_);
    if (auto found = kernels_.find(problem.line()); found != kernels_.end()) return found->second;
    if (auto found = in_flight_.find(problem.line()); found != in_flight_.end()) {
      flight = found->second;
    } else {
      own = in_flight_.emplace(problem.line(), promise.get_future().share()).first;
    }
  }
  if (flight.valid()) return flight.get();
  // Whatever happens, the flight lands: those who wait get an answer, and the next fetch tries
  // anew.
  try {
    Fetched fetched = compile(problem);
    if (fetched) {
      const std::lock_guard lock(mutex_);
      kernels_.emplace(problem.line(), *fetched);
    }
    promise.set_value(std::move(fetched));
  } catch (...) {
    promise.set_exception(std::current_exception());
  }
  {
    const std::lock_guard lock(mutex_);
    flight = std::move(own->second);
    in_flight_.erase(own);
  }
  return flight.get();
}

std::string KernelLibrary::layout_of(const compiler::LayoutCandidates& candidates) {
  const std::lock_guard lock(store_mutex_);
  const auto [layout, is_new] = layouts_.emplace(candidates.name(), candidates.layouts.front());
  if (is_new && store_) {
    RecordContext context;
    context.threads = pool_->threads();
    if (auto chosen = choose_layout(candidates, selected_.target, context, *store_))
      layout->second = std::move(*chosen);
    else
      say_that_defaults_serve(chosen.error());
  }
  return layout->second;
}

compiler::LayoutRule KernelLibrary::layouts() {
  return [this](ir::Type type, int64_t n, int64_t k, bool pair) {
    compiler::WeightLayout layout{.type = type, .n = n, .k = k, .panel = 0, .pair = pair};
    layout.panel = std::stoll(layout_of(compiler::candidates_of(layout, selected_.target)));
    return layout;
  };
}

void KernelLibrary::say_that_defaults_serve(const Error& error) {
  if (std::exchange(defaults_serve_, true)) return;
  support::log_warn("{}; kernels have their default schedules", error.message);
}

KernelLibrary::Fetched KernelLibrary::compile(const compiler::Problem& problem) {
  const DefaultFloatEnvironment environment;  // constants are computed here
  ScheduleChoice choice;
  {
    const std::lock_guard lock(store_mutex_);
    RecordContext context;
    context.threads = pool_->threads();
    auto chosen = store_ ? choose_schedule(problem, selected_.target, context, *store_)
                         : default_choice(problem, selected_.target, "no store is open");
    if (!chosen) {
      const Error error = std::move(chosen).error();
      chosen = default_choice(problem, selected_.target, error.message);
      LATHE_CHECK(chosen);  // what LATHE_FORCE asks for is no matter of the store's
      say_that_defaults_serve(error);
    }
    choice = std::move(*chosen);
  }
  LATHE_TRY(auto kernel, compile_chosen(problem, selected_, choice));
  return std::make_shared<const FetchedKernel>(
      FetchedKernel{std::move(kernel), choice.match, std::move(choice.reason), pool_});
}

}  // namespace lathe::runtime
