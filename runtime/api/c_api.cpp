// The C interface: handles around Library and Kernel, messages kept per thread.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lathe/c.h>
#include <lathe/lathe.h>

#include "runtime/launch/view_list.h"

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
static_assert(LATHE_KV_HND == static_cast<int>(lathe::Attention::KvLayout::hnd));
static_assert(LATHE_MAX_RANK == lathe::TensorView::kMaxRank);

using lathe::runtime::ViewList;
static_assert(ViewList::kMost == 24, "messages say so");

// Plain memory: nothing on the way of an error allocates, and a thread's last moments may call us.
constexpr size_t kMostMessage = 2048;
thread_local char last_error[kMostMessage] = "";

void say(std::initializer_list<std::string_view> parts) {
  size_t length = 0;
  for (const std::string_view part : parts) {
    const size_t count = std::min(part.size(), kMostMessage - 1 - length);
    std::memcpy(last_error + length, part.data(), count);
    length += count;
  }
  last_error[length] = 0;
}

lathe_status report(const lathe::Error& error) {
  say({error.message});
  return static_cast<lathe_status>(error.code);
}

lathe_status invalid(std::string_view message) {
  say({message});
  return LATHE_INVALID_ARGUMENT;
}

lathe_status is_null(std::string_view function, std::string_view argument) {
  say({function, ": ", argument, " is null"});
  return LATHE_INVALID_ARGUMENT;
}

// Nothing of ours throws but memory running out; it must not cross into C.
template <typename Function>
lathe_status guarded(Function&& function) {
  try {
    return function();
  } catch (const std::exception& exception) {
    say({exception.what()});
    return LATHE_RESOURCE_EXHAUSTED;
  }
}

// Whether the views' types are ones; says which is not. They come with any number, and DataType has
// room for few.
bool are_known(std::string_view function, std::string_view what,
               std::span<const lathe_view> views) {
  for (size_t i = 0; i < views.size(); ++i) {
    // As bytes: an enumeration may not be read where it holds none of its values.
    int32_t type = 0;
    static_assert(sizeof type == sizeof views[i].type);
    std::memcpy(&type, &views[i].type, sizeof type);
    if (type >= 0 && type <= LATHE_Q4_K) continue;
    std::array<char, 24> index{}, number{};
    std::to_chars(index.data(), index.data() + index.size(), i);
    std::to_chars(number.data(), number.data() + number.size(), type);
    say({function, ": ", what, " ", index.data(), ": type ", number.data(), " is unknown"});
    return false;
  }
  return true;
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

size_t lathe_library_store_note(const lathe_library* library, char* buffer, size_t size) {
  const std::string_view note = library == nullptr ? "" : library->library.store_note();
  if (buffer != nullptr && size > 0) {
    const size_t count = std::min(note.size(), size - 1);
    std::memcpy(buffer, note.data(), count);
    buffer[count] = 0;
  }
  return note.size();
}

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

lathe_status lathe_library_kv_layout(lathe_library* library, const char* problem,
                                     lathe_kv_layout* layout) {
  if (layout == nullptr) return invalid("lathe_library_kv_layout: layout is null");
  *layout = LATHE_KV_NHD;
  if (library == nullptr) return invalid("lathe_library_kv_layout: library is null");
  if (problem == nullptr) return invalid("lathe_library_kv_layout: problem is null");
  return guarded([&] {
    const auto found = library->library.kv_layout(std::string_view(problem));
    if (!found) return report(found.error());
    *layout = static_cast<lathe_kv_layout>(*found);
    return LATHE_OK;
  });
}

void lathe_kernel_release(lathe_kernel* kernel) { delete kernel; }

lathe_status lathe_kernel_run(const lathe_kernel* kernel, const lathe_view* inputs,
                              size_t input_count, const lathe_view* outputs, size_t output_count) {
  if (kernel == nullptr) return invalid("lathe_kernel_run: kernel is null");
  if ((inputs == nullptr && input_count != 0) || (outputs == nullptr && output_count != 0))
    return invalid("lathe_kernel_run: views are null");
  if (input_count > ViewList::kMost || output_count > ViewList::kMost)
    return invalid("lathe_kernel_run: more than 24 views");
  if (!are_known("lathe_kernel_run", "input", {inputs, input_count}) ||
      !are_known("lathe_kernel_run", "output", {outputs, output_count}))
    return LATHE_INVALID_ARGUMENT;
  return guarded([&] {
    ViewList in, out;
    for (size_t i = 0; i < input_count; ++i) in.add(view_of(inputs[i]));
    for (size_t i = 0; i < output_count; ++i) out.add(view_of(outputs[i]));
    const lathe::Status status = kernel->kernel(in.all(), out.all());
    return status ? LATHE_OK : report(status.error());
  });
}

lathe_status lathe_kernel_run_packed(const lathe_kernel* kernel, const lathe_view* x,
                                     const lathe_weight* weight, const lathe_view* epilogue_inputs,
                                     size_t epilogue_count, const lathe_view* y) {
  constexpr const char* kName = "lathe_kernel_run_packed";
  if (kernel == nullptr) return is_null(kName, "kernel");
  if (x == nullptr) return is_null(kName, "x");
  if (weight == nullptr) return is_null(kName, "weight");
  if (epilogue_inputs == nullptr && epilogue_count != 0) return is_null(kName, "epilogue_inputs");
  if (y == nullptr) return is_null(kName, "y");
  if (epilogue_count > ViewList::kMost)
    return invalid("lathe_kernel_run_packed: more than 24 views");
  if (!are_known(kName, "x", {x, 1}) ||
      !are_known(kName, "epilogue input", {epilogue_inputs, epilogue_count}) ||
      !are_known(kName, "y", {y, 1}))
    return LATHE_INVALID_ARGUMENT;
  return guarded([&] {
    ViewList more;
    for (size_t i = 0; i < epilogue_count; ++i) more.add(view_of(epilogue_inputs[i]));
    const lathe::Status status =
        kernel->kernel(view_of(*x), weight->weight, more.all(), view_of(*y));
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
  if (weight == nullptr) return is_null(function, "weight");
  *weight = nullptr;
  if (library == nullptr) return is_null(function, "library");
  if (matrix == nullptr) return is_null(function, "matrix");
  if (!are_known(function, "matrix", {matrix, 1})) return LATHE_INVALID_ARGUMENT;
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
  if (scales != nullptr && !are_known("lathe_weight_pack_i8", "scales", {scales, 1}))
    return LATHE_INVALID_ARGUMENT;
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

const char* lathe_last_error(void) { return last_error; }
