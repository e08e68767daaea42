// The kernel library: problem in, compiled kernel out; each compiled once, with the best schedule
// the store knows.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include <lathe/library.h>

#include "compiler/choose_layout.h"
#include "compiler/problem.h"
#include "compiler/shared_operand.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/launch/compiled_kernel.h"
#include "runtime/library/choose_schedule.h"
#include "runtime/library/fetch_table.h"
#include "runtime/library/target_selection.h"
#include "store/store.h"

namespace lathe::runtime {

/// A compiled kernel, how its schedule was found, and the threads that run it.
struct FetchedKernel {
  std::shared_ptr<const CompiledKernel> kernel;
  Match match = Match::default_;
  std::string reason;
  std::shared_ptr<ThreadPool> pool;
};

/// Thread-safe. A failed compilation is not remembered: the next fetch tries again.
class KernelLibrary {
 public:
  static Result<std::shared_ptr<KernelLibrary>> open(const LibraryOptions& options);

  Result<std::shared_ptr<const FetchedKernel>> fetch(const compiler::Problem& problem);

  /// A fetch by compact key, without making the problem when the key is known: `make` is called on
  /// a miss only.
  template <typename MakeProblem>
  Result<std::shared_ptr<const FetchedKernel>> fetch(const FetchKey& key, MakeProblem&& make) {
    if (const auto* found = table_.find(key)) return *found;
    Result<compiler::Problem> problem = make();
    if (!problem) return tl::unexpected(std::move(problem).error());
    auto fetched = fetch(*problem);
    if (fetched) table_.insert(key, *fetched);
    return fetched;
  }

  /// The operand's layout: as the tuner chose on this host, or by default. Asked again, it says the
  /// same as long as the library lives, whatever becomes of the store. Thread-safe.
  std::string layout_of(const compiler::LayoutCandidates& candidates);

  /// The same of weights: how they are packed. To be used while the library lives.
  compiler::LayoutRule layouts();

  const ir::Target& target() const { return selected_.target; }
  const SelectedTarget& selected() const { return selected_; }
  const std::shared_ptr<ThreadPool>& pool() const { return pool_; }
  const std::string& store_note() const { return store_note_; }

 private:
  using Fetched = Result<std::shared_ptr<const FetchedKernel>>;
  // A map whose iterators stay while others land.
  using Flights = std::map<std::string, std::shared_future<Fetched>, std::less<>>;

  Fetched compile(const compiler::Problem& problem);
  /// Warns, once in a library's life, that the store is of no use.
  void say_that_defaults_serve(const Error& error);

  SelectedTarget selected_;
  std::shared_ptr<ThreadPool> pool_;
  std::string store_note_;

  std::mutex store_mutex_;  ///< guards the three below
  std::optional<store::Store> store_;
  bool defaults_serve_ = false;                           ///< and this has been said
  std::unordered_map<std::string, std::string> layouts_;  ///< by LayoutCandidates::name()

  FetchTable table_;
  std::mutex mutex_;  ///< guards the two maps
  std::unordered_map<std::string, std::shared_ptr<const FetchedKernel>> kernels_;
  Flights in_flight_;
};

}  // namespace lathe::runtime
