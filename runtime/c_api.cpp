// The C interface: handles around Library and Kernel, messages kept per thread.
#include <array>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <lathe/c.h>
#include <lathe/lathe.h>

struct lathe_library {
  lathe::Library library;
};
struct lathe_kernel {
  lathe::Kernel kernel;
  std::string problem;
};
struct lathe_weight {
  lathe::PackedWeight weight;
  std::string layout, parameters;
  std::vector<lathe_view> parts;  // shapes and strides stand in the weight's own views
};

namespace {

static_assert(LATHE_INTERNAL == static_cast<int>(lathe::ErrorCode::internal));
static_assert(LATHE_Q4_K == static_cast<int>(lathe::DataType::q4_K));
static_assert(LATHE_MATCH_DEFAULT == static_cast<int>(lathe::Match::default_));
static_assert(LATHE_MAX_RANK == lathe::TensorView::kMaxRank);

thread_local std::string last_error;

lathe_status report(const lathe::Error& error) {
  last_error = error.message;
  return static_cast<lathe_status>(error.code);
}

lathe_status invalid(std::string message) {
  last_error = std::move(message);
  return LATHE_INVALID_ARGUMENT;
}

// Nothing of ours throws but memory running out; it must not cross into C.
template <typename Function>
lathe_status guarded(Function&& function) {
  try {
    return function();
  } catch (const std::exception& exception) {
    last_error = exception.what();
    return LATHE_RESOURCE_EXHAUSTED;
  }
}

lathe::TensorView view_of(const lathe_view& view) {
  const bool usable =
      view.rank >= 0 && view.rank <= LATHE_MAX_RANK && (view.rank == 0 || view.shape != nullptr);
  lathe::TensorView result(view.data, static_cast<lathe::DataType>(view.type), view.shape,
                           usable ? view.rank : -1);
  if (usable && view.strides != nullptr)
    for (int i = 0; i < view.rank; ++i) result.strides[i] = view.strides[i];
  return result;
}

lathe_weight* handle_of(lathe::PackedWeight weight) {
  auto handle = std::make_unique<lathe_weight>();
  handle->weight = std::move(weight);
  handle->layout = handle->weight.layout();
  handle->parameters = handle->weight.parameters();
  for (const lathe::TensorView& part : handle->weight.parts())
    handle->parts.push_back(
        {part.data, static_cast<lathe_type>(part.type), part.rank, part.shape, part.strides});
  return handle.release();
}

}  // namespace

lathe_status lathe_library_open(const char* target, int32_t threads, const char* store,
                                lathe_library** library) {
  if (library == nullptr) return invalid("lathe_library_open: library is null");
  *library = nullptr;
  return guarded([&] {
    lathe::LibraryOptions options;
    options.target = target == nullptr ? "" : target;
    options.threads = threads;
    options.store = store == nullptr ? "" : store;
    auto opened = lathe::Library::open(options);
    if (!opened) return report(opened.error());
    *library = new lathe_library{std::move(*opened)};
    return LATHE_OK;
  });
}

void lathe_library_close(lathe_library* library) { delete library; }

lathe_status lathe_library_fetch(lathe_library* library, const char* problem,
                                 lathe_kernel** kernel) {
  if (kernel == nullptr) return invalid("lathe_library_fetch: kernel is null");
  *kernel = nullptr;
  if (library == nullptr) return invalid("lathe_library_fetch: library is null");
  if (problem == nullptr) return invalid("lathe_library_fetch: problem is null");
  return guarded([&] {
    auto fetched = library->library.fetch_problem(problem);
    if (!fetched) return report(fetched.error());
    std::string line(fetched->problem());
    *kernel = new lathe_kernel{std::move(*fetched), std::move(line)};
    return LATHE_OK;
  });
}

void lathe_kernel_release(lathe_kernel* kernel) { delete kernel; }

lathe_status lathe_kernel_run(const lathe_kernel* kernel, const lathe_view* inputs,
                              size_t input_count, const lathe_view* outputs, size_t output_count) {
  constexpr size_t kMaxOperands = 16;
  if (kernel == nullptr) return invalid("lathe_kernel_run: kernel is null");
  if ((inputs == nullptr && input_count != 0) || (outputs == nullptr && output_count != 0))
    return invalid("lathe_kernel_run: views are null");
  if (input_count > kMaxOperands || output_count > kMaxOperands)
    return invalid("lathe_kernel_run: more than 16 views");
  return guarded([&] {
    std::array<lathe::TensorView, kMaxOperands> in, out;
    for (size_t i = 0; i < input_count; ++i) in[i] = view_of(inputs[i]);
    for (size_t i = 0; i < output_count; ++i) out[i] = view_of(outputs[i]);
    const lathe::Status status =
        kernel->kernel(std::span(in).first(input_count), std::span(out).first(output_count));
    return status ? LATHE_OK : report(status.error());
  });
}

lathe_match lathe_kernel_match(const lathe_kernel* kernel) {
  return kernel == nullptr ? LATHE_MATCH_DEFAULT : static_cast<lathe_match>(kernel->kernel.match());
}

const char* lathe_kernel_problem(const lathe_kernel* kernel) {
  return kernel == nullptr ? "" : kernel->problem.c_str();
}

namespace {

lathe_status pack_weight(const char* function, const lathe_library* library,
                         const lathe_view* matrix, const lathe::PackOptions& options,
                         lathe_weight** weight) {
  const auto is_null = [&](const char* argument) {
    return invalid(std::string(function) + ": " + argument + " is null");
  };
  if (weight == nullptr) return is_null("weight");
  *weight = nullptr;
  if (library == nullptr) return is_null("library");
  if (matrix == nullptr) return is_null("matrix");
  return guarded([&] {
    auto packed = library->library.pack_weight(view_of(*matrix), options);
    if (!packed) return report(packed.error());
    *weight = handle_of(std::move(*packed));
    return LATHE_OK;
  });
}

}  // namespace

lathe_status lathe_weight_pack(lathe_library* library, const lathe_view* matrix, int32_t pair,
                               int32_t panel, lathe_weight** weight) {
  return pack_weight("lathe_weight_pack", library, matrix, {.pair = pair != 0, .panel = panel},
                     weight);
}

lathe_status lathe_weight_pack_i8(lathe_library* library, const lathe_view* matrix,
                                  const lathe_view* scales, int32_t pair, int32_t panel,
                                  lathe_weight** weight) {
  lathe::PackOptions options = {.pair = pair != 0, .panel = panel, .as = lathe::DataType::i8};
  if (scales != nullptr) options.scales = view_of(*scales);
  return pack_weight("lathe_weight_pack_i8", library, matrix, options, weight);
}

lathe_status lathe_weight_map(lathe_library* library, const char* path, int32_t verify,
                              lathe_weight** weight) {
  if (weight == nullptr) return invalid("lathe_weight_map: weight is null");
  *weight = nullptr;
  if (library == nullptr) return invalid("lathe_weight_map: library is null");
  if (path == nullptr) return invalid("lathe_weight_map: path is null");
  return guarded([&] {
    auto mapped = library->library.map_weight(path, {.verify = verify != 0});
    if (!mapped) return report(mapped.error());
    *weight = handle_of(std::move(*mapped));
    return LATHE_OK;
  });
}

lathe_status lathe_weight_save(const lathe_weight* weight, const char* path) {
  if (weight == nullptr) return invalid("lathe_weight_save: weight is null");
  if (path == nullptr) return invalid("lathe_weight_save: path is null");
  return guarded([&] {
    const lathe::Status status = weight->weight.save(path);
    return status ? LATHE_OK : report(status.error());
  });
}

void lathe_weight_release(lathe_weight* weight) { delete weight; }

const lathe_view* lathe_weight_parts(const lathe_weight* weight, size_t* count) {
  if (count != nullptr) *count = weight == nullptr ? 0 : weight->parts.size();
  return weight == nullptr ? nullptr : weight->parts.data();
}

const char* lathe_weight_layout(const lathe_weight* weight) {
  return weight == nullptr ? "" : weight->layout.c_str();
}

const char* lathe_weight_parameters(const lathe_weight* weight) {
  return weight == nullptr ? "" : weight->parameters.c_str();
}

int64_t lathe_weight_bytes(const lathe_weight* weight) {
  return weight == nullptr ? 0 : weight->weight.bytes();
}

const char* lathe_last_error(void) { return last_error.c_str(); }
