// The library: opens the store of tuned schedules, hands out kernels, runs them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lathe/backends.h>
#include <lathe/error.h>
#include <lathe/ops.h>
#include <lathe/packed_weight.h>
#include <lathe/tensor_view.h>

namespace lathe {

/// How well the schedule found fits what was asked for.
enum class Match {
  exact,       ///< tuned on this host for this problem and bucket
  near,        ///< tuned on this host for another bucket or a close shape
  other_host,  ///< tuned for this problem on another host
  default_,    ///< no record: the family's default schedule
};
std::string_view to_string(Match match);

struct LibraryOptions {
  std::string device = "cpu";
  /// Empty: LATHE_TARGET, else the widest this CPU runs; or scalar, sse, avx2, avx512, llvm; or
  /// interpret, which runs kernels without machine code, much slower, where a system
  /// lets no memory become executable.
  std::string target = {};
  int threads = 0;  ///< 0: LATHE_THREADS, else the physical cores
  /// Empty: the user's cache folder; "none": no store, default schedules. It is only read: nothing
  /// is made or changed there, and it need not be writable.
  std::string store = {};
  std::vector<std::shared_ptr<const codegen::Backend>> backends = default_backends();
};

class Graph;

namespace runtime {
class KernelLibrary;
struct FetchedKernel;
}  // namespace runtime

/// A kernel ready to run. Cheap to copy; safe to call from several threads at once; outlives its
/// Library. An empty one (default constructed) refuses to run.
class Kernel {
 public:
  Kernel() = default;

  /// Runs on the views, inputs then outputs in the operation's documented order, with the library's
  /// threads; returns when done. invalid_argument naming the operand for a wrong count, type,
  /// shape, stride, null pointer, overlap or index out of range: nothing has been written then.
  Status operator()(std::span<const TensorView> inputs, std::span<const TensorView> outputs) const;
  Status operator()(std::initializer_list<TensorView> inputs,
                    std::initializer_list<TensorView> outputs) const;

  /// A `linear` kernel: x, the weight's parts, the epilogue's inputs, y. mismatch where the weight
  /// is packed in another layout than the kernel reads.
  Status operator()(const TensorView& x, const PackedWeight& weight,
                    std::initializer_list<TensorView> epilogue_inputs, const TensorView& y) const;
  Status operator()(const TensorView& x, const PackedWeight& weight,
                    std::span<const TensorView> epilogue_inputs, const TensorView& y) const;

  Match match() const;
  std::string_view problem() const;  ///< the canonical problem line
  std::string_view target() const;   ///< "avx2"
  std::string schedule() const;      ///< "unroll=2 accumulators=4"
  std::string_view reason() const;   ///< why this match: what a record lacked

 private:
  friend class Library;
  explicit Kernel(std::shared_ptr<const runtime::FetchedKernel> fetched)
      : fetched_(std::move(fetched)) {}
  std::shared_ptr<const runtime::FetchedKernel> fetched_;
};

/// Thread-safe. Copies share one library.
class Library {
 public:
  /// Detects the machine and opens the store. One that cannot be used is never fatal: default
  /// schedules serve, store_note() says why, and so does a warning on standard error
  /// (LATHE_LOG=error silences it). invalid_argument for an unknown device, target or thread count,
  /// unsupported for a target this CPU cannot run.
  static Result<Library> open(const LibraryOptions& options = {});

  /// A warm fetch is a hash look-up; the first fetch of a problem compiles it, once, however many
  /// threads ask. Never fails for lack of tuning.
  template <Operation Op>
  Result<Kernel> fetch(const Op& op) const;
  /// By problem line: "rms_norm rows=512..2047 width=2048".
  Result<Kernel> fetch_problem(std::string_view line) const;

  /// Packs a weight [n, k] (with `pair` [2n, k]) for `linear` kernels, with the library's threads;
  /// the view's memory is not needed afterwards. invalid_argument naming what is wrong with it.
  Result<PackedWeight> pack_weight(const TensorView& weight, const PackOptions& options = {}) const;

  /// How the cache that the operation reads should lie: as the tuner chose for its heads, their
  /// size and type on this host, whoever reads it; nhd where it chose nothing. Of `attention` only
  /// what the cache is counts: kv_heads, dim, value_dim, kv_type, cache and page. Asked again, a
  /// library says the same. invalid_argument where there is no such cache.
  Result<Attention::KvLayout> kv_layout(const Attention& attention) const;
  /// By a problem line of a family that has the parameter kv_layout.
  Result<Attention::KvLayout> kv_layout(std::string_view problem_line) const;

  /// A packed weight from a file that PackedWeight::save wrote, mapped: processes that map it share
  /// one copy. not_found or io_error; corrupt for a file that is no packed weight, is cut short or
  /// altered; mismatch for one of another revision. The file may be replaced or removed while it is
  /// mapped, but not changed in place.
  Result<PackedWeight> map_weight(const std::string& path, const MapOptions& options = {}) const;

  /// A graph from the text of its `.lir` file (docs/graph_ir.md); include <lathe/graph.h>.
  /// parse_error or verify_error whose message names line and column.
  Result<Graph> load_graph(std::string_view text) const;

  std::string_view target() const;
  int threads() const;
  /// Why the store is not used: what was wrong when the library was opened, and what to do. Empty
  /// where it is used, where "none" was asked for, and where the cache folder has none yet. Lives
  /// as long as the library and its copies.
  std::string_view store_note() const;

 private:
  explicit Library(std::shared_ptr<runtime::KernelLibrary> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<runtime::KernelLibrary> impl_;
};

}  // namespace lathe
