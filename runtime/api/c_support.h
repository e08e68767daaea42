// What all functions of the C interface do alike: messages kept per thread, checks of arguments, no
// exception.
#pragma once

#include <exception>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include <lathe/c.h>
#include <lathe/error.h>
#include <lathe/tensor_view.h>

namespace lathe::runtime {

/// Sets lathe_last_error() of the calling thread to the parts one after the other, cut to what
/// there is room for. Allocates nothing.
void say(std::initializer_list<std::string_view> parts);

lathe_status report(const Error& error);
lathe_status report(const Status& status);
lathe_status invalid(std::string_view message);
lathe_status is_null(std::string_view function, std::string_view argument);

/// `function()`, a lathe_status. Nothing of ours throws but memory running out; it must not cross
/// into C.
template <typename Function>
lathe_status guarded(Function&& function) {
  try {
    return function();
  } catch (const std::exception& exception) {
    say({exception.what()});
    return LATHE_RESOURCE_EXHAUSTED;
  }
}

/// Whether the views' types are ones; says which is not. They come with any number, and DataType
/// has room for few.
bool are_known(std::string_view function, std::string_view what, std::span<const lathe_view> views);
/// Whether a number is a lathe_type; says that it is not.
bool is_known_type(std::string_view function, std::string_view what, int32_t type);

/// A required view by name: LATHE_OK, or what is wrong with it.
struct NamedView {
  const char* name;
  const lathe_view* view;
};
lathe_status check_views(std::string_view function, std::initializer_list<NamedView> views);

/// The view in C++; of no shape that any call takes where its rank is none.
TensorView view_of(const lathe_view& view);
/// The view in C, whose shape and strides stay those of `view`.
lathe_view view_for_c(const TensorView& view);

/// Hands out parts as C knows them: as many as there are, NULL and 0 for a handle that is NULL.
const lathe_view* hand_out(const std::vector<lathe_view>* parts, size_t* count);

}  // namespace lathe::runtime
