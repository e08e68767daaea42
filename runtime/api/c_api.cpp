// The C interface: handles around Library, Kernel and PackedWeight.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lathe/c.h>
#include <lathe/lathe.h>

#include "runtime/api/c_handles.h"
#include "runtime/api/c_support.h"
#include "runtime/launch/view_list.h"

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

static_assert(LATHE_MATCH_DEFAULT == static_cast<int>(lathe::Match::default_));
static_assert(LATHE_KV_HND == static_cast<int>(lathe::Attention::KvLayout::hnd));

using lathe::runtime::are_known;
using lathe::runtime::guarded;
using lathe::runtime::invalid;
using lathe::runtime::is_null;
using lathe::runtime::report;
using lathe::runtime::view_of;
using lathe::runtime::ViewList;
static_assert(ViewList::kMost == 24, "messages say so");

lathe_weight* handle_of(lathe::PackedWeight weight) {
  auto handle = std::make_unique<lathe_weight>();
  handle->weight = std::move(weight);
  handle->layout = handle->weight.layout();
  handle->parameters = handle->weight.parameters();
  for (const lathe::TensorView& part : handle->weight.parts())
    handle->parts.push_back(lathe::runtime::view_for_c(part));
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
    return report(kernel->kernel(in.all(), out.all()));
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
    return report(kernel->kernel(view_of(*x), weight->weight, more.all(), view_of(*y)));
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
  return guarded([&] { return report(weight->weight.save(path)); });
}

void lathe_weight_release(lathe_weight* weight) { delete weight; }

const lathe_view* lathe_weight_parts(const lathe_weight* weight, size_t* count) {
  return lathe::runtime::hand_out(weight == nullptr ? nullptr : &weight->parts, count);
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
