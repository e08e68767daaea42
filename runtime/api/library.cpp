// The public C++ interface over the kernel library.
#include <lathe/library.h>

#include "runtime/cpu/float_environment.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/view_list.h"
#include "runtime/library/fetch_key.h"
#include "runtime/library/kernel_library.h"
#include "runtime/weights/packed_weight.h"

namespace lathe {
namespace {

constexpr std::string_view kNoKernel = "this Kernel is empty; fetch one from a Library";

template <Operation Op>
Result<compiler::Problem> problem_of(const Op& op, const compiler::LayoutRule&) {
  return runtime::make_problem(op);
}

// Where the panel is open, the key of the operation as given stands for what is chosen here.
Result<compiler::Problem> problem_of(const Linear& op, const compiler::LayoutRule& layouts) {
  if (op.panel != 0) return runtime::make_problem(op);
  Linear usual = op;
  usual.panel = 16;  // which suits every operation
  LATHE_TRY(const compiler::Problem problem, runtime::make_problem(usual));
  const compiler::WeightLayout weight = compiler::layout_of(problem);
  const int64_t panel = layouts(weight.type, weight.n, weight.k, weight.pair).panel;
  return compiler::with_layout(problem, std::to_string(panel));
}

// The layout of the cache that the problem's kernels read; of one head both are the same.
Result<Attention::KvLayout> kv_layout_of(runtime::KernelLibrary& library,
                                         const compiler::Problem& problem) {
  if (!problem.has("kv_layout")) {
    return fail(ErrorCode::invalid_argument,
                "{}: found a family without kv_layout, expected one that reads a cache, such as "
                "attention_decode",
                problem.line());
  }
  const auto cache = shared_by(problem, library.target());
  return cache && library.layout_of(*cache) == "hnd" ? Attention::KvLayout::hnd
                                                     : Attention::KvLayout::nhd;
}

}  // namespace

std::string_view to_string(Match match) {
  switch (match) {
    case Match::exact: return "exact";
    case Match::near: return "near";
    case Match::other_host: return "other_host";
    case Match::default_: return "default";
  }
  return "unknown";
}

Status Kernel::operator()(std::span<const TensorView> inputs,
                          std::span<const TensorView> outputs) const {
  if (fetched_ == nullptr) return fail(ErrorCode::invalid_argument, "{}", kNoKernel);
  const size_t count = inputs.size() + outputs.size();
  if (count > runtime::ViewList::kMost) {
    return fail(ErrorCode::invalid_argument, "{}: found {} operands, expected {}", problem(), count,
                fetched_->kernel->operands.size());
  }
  if (inputs.size() != static_cast<size_t>(fetched_->kernel->inputs)) {
    return fail(ErrorCode::invalid_argument, "{}: found {} inputs, expected {}", problem(),
                inputs.size(), fetched_->kernel->inputs);
  }
  runtime::ViewList operands;
  operands.add(inputs);
  operands.add(outputs);
  return runtime::launch(*fetched_->kernel, operands.all(), *fetched_->pool);
}

Status Kernel::operator()(std::initializer_list<TensorView> inputs,
                          std::initializer_list<TensorView> outputs) const {
  return (*this)(std::span(inputs.begin(), inputs.size()),
                 std::span(outputs.begin(), outputs.size()));
}

Status Kernel::operator()(const TensorView& x, const PackedWeight& weight,
                          std::initializer_list<TensorView> epilogue_inputs,
                          const TensorView& y) const {
  return (*this)(x, weight, std::span(epilogue_inputs.begin(), epilogue_inputs.size()), y);
}

Status Kernel::operator()(const TensorView& x, const PackedWeight& weight,
                          std::span<const TensorView> epilogue_inputs, const TensorView& y) const {
  if (fetched_ == nullptr) return fail(ErrorCode::invalid_argument, "{}", kNoKernel);
  if (weight.data_ == nullptr) {
    return fail(ErrorCode::invalid_argument, "{}: the PackedWeight is empty; pack or map one",
                problem());
  }
  LATHE_CHECK(runtime::check_fits(*weight.data_, fetched_->kernel->problem));
  const std::span<const TensorView> parts = weight.parts();
  const size_t count = 1 + parts.size() + epilogue_inputs.size();
  if (count > runtime::ViewList::kMost) {
    return fail(ErrorCode::invalid_argument, "{}: found {} inputs, expected {}", problem(), count,
                fetched_->kernel->inputs);
  }
  runtime::ViewList inputs;
  inputs.add(x);
  inputs.add(parts);
  inputs.add(epilogue_inputs);
  return (*this)(inputs.all(), std::span(&y, 1));
}

Match Kernel::match() const { return fetched_ ? fetched_->match : Match::default_; }
std::string_view Kernel::problem() const {
  return fetched_ ? std::string_view(fetched_->kernel->problem.line()) : std::string_view();
}
std::string_view Kernel::target() const {
  return fetched_ ? std::string_view(fetched_->kernel->target.name) : std::string_view();
}
std::string Kernel::schedule() const {
  if (!fetched_) return {};
  const runtime::CompiledKernel& kernel = *fetched_->kernel;
  return kernel.problem.family().space(kernel.problem, kernel.target).print(kernel.schedule);
}
std::string_view Kernel::reason() const {
  return fetched_ ? std::string_view(fetched_->reason) : kNoKernel;
}

Result<Library> Library::open(const LibraryOptions& options) {
  LATHE_TRY(std::shared_ptr<runtime::KernelLibrary> impl, runtime::KernelLibrary::open(options));
  return Library(std::move(impl));
}

template <Operation Op>
Result<Kernel> Library::fetch(const Op& op) const {
  auto fetched =
      impl_->fetch(runtime::fetch_key(op), [&] { return problem_of(op, impl_->layouts()); });
  if (!fetched) return tl::unexpected(fetched.error());
  return Kernel(std::move(*fetched));
}

namespace detail {

template <typename... Ops>
constexpr auto fetches_of(const std::tuple<Ops...>*) {
  return std::tuple<Result<Kernel> (Library::*)(const Ops&) const...>(&Library::fetch<Ops>...);
}
// Users see the declaration of fetch() alone: naming it of every operation makes it here, and a
// variable that others could read keeps it.
constexpr const Operations* kAll = nullptr;
extern const decltype(fetches_of(kAll)) fetches;
constinit const decltype(fetches_of(kAll)) fetches = fetches_of(kAll);

}  // namespace detail

Result<PackedWeight> Library::pack_weight(const TensorView& weight,
                                          const PackOptions& options) const {
  const runtime::DefaultFloatEnvironment environment;
  LATHE_TRY(auto data, runtime::pack_weight(weight, options, impl_->layouts(), *impl_->pool()));
  return PackedWeight(std::move(data));
}

Result<Attention::KvLayout> Library::kv_layout(const Attention& attention) const {
  const bool is_paged = attention.cache == Attention::Cache::paged;
  const Attention reader = {.heads = attention.kv_heads > 0 ? attention.kv_heads : attention.heads,
                            .dim = attention.dim,
                            .value_dim = attention.value_dim,
                            .lengths = is_paged,
                            .cache = attention.cache,
                            .page = attention.page,
                            .kv_type = attention.kv_type,
                            .tokens = 1};
  LATHE_TRY(const compiler::Problem problem, runtime::make_problem(reader));
  return kv_layout_of(*impl_, problem);
}

Result<Attention::KvLayout> Library::kv_layout(std::string_view problem_line) const {
  LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(problem_line));
  return kv_layout_of(*impl_, problem);
}

Result<PackedWeight> Library::map_weight(const std::string& path, const MapOptions& options) const {
  LATHE_TRY(auto data, runtime::map_weight(path, options));
  return PackedWeight(std::move(data));
}

std::span<const TensorView> PackedWeight::parts() const {
  return data_ ? std::span<const TensorView>(data_->parts) : std::span<const TensorView>();
}
Linear PackedWeight::linear() const {
  if (!data_) return {};
  const compiler::WeightLayout& layout = data_->layout;
  return {.n = layout.n,
          .k = layout.k,
          .weight = static_cast<DataType>(layout.type),
          .pair = layout.pair,
          .panel = static_cast<int>(layout.panel)};
}
std::string_view PackedWeight::layout() const {
  return data_ ? std::string_view(data_->name) : std::string_view();
}
std::string_view PackedWeight::parameters() const {
  return data_ ? std::string_view(data_->parameters) : std::string_view();
}
int64_t PackedWeight::bytes() const { return data_ ? data_->bytes : 0; }
bool PackedWeight::is_mapped() const { return data_ && data_->file.data() != nullptr; }
Status PackedWeight::save(const std::string& path) const {
  if (!data_) return fail(ErrorCode::invalid_argument, "{}: the PackedWeight is empty", path);
  return runtime::save_weight(*data_, path);
}

Result<Kernel> Library::fetch_problem(std::string_view line) const {
  auto fetched =
      impl_->fetch(runtime::fetch_key(line), [&] { return compiler::parse_problem(line); });
  if (!fetched) return tl::unexpected(fetched.error());
  return Kernel(std::move(*fetched));
}

std::string_view Library::target() const { return impl_->target().name; }
int Library::threads() const { return impl_->pool()->threads(); }
std::string_view Library::store_note() const { return impl_->store_note(); }

}  // namespace lathe
