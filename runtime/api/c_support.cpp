// Messages, checks and views of the C interface.
#include "runtime/api/c_support.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace lathe::runtime {
namespace {

static_assert(LATHE_INTERNAL == static_cast<int>(ErrorCode::internal));
static_assert(LATHE_Q4_K == static_cast<int>(DataType::q4_K));
static_assert(LATHE_MAX_RANK == TensorView::kMaxRank);

// Plain memory: nothing on the way of an error allocates, and a thread's last moments may call us.
constexpr size_t kMostMessage = 2048;
thread_local char last_error[kMostMessage] = "";

struct Digits {
  explicit Digits(int64_t number) {
    std::to_chars(text.data(), text.data() + text.size() - 1, number);
  }
  std::string_view view() const { return text.data(); }
  std::array<char, 24> text{};
};

// As bytes: an enumeration may not be read where it holds none of its values.
int32_t type_number(const lathe_view& view) {
  int32_t type = 0;
  static_assert(sizeof type == sizeof view.type);
  std::memcpy(&type, &view.type, sizeof type);
  return type;
}

bool is_type(int32_t type) { return type >= 0 && type <= LATHE_Q4_K; }

}  // namespace

void say(std::initializer_list<std::string_view> parts) {
  size_t length = 0;
  for (const std::string_view part : parts) {
    const size_t count = std::min(part.size(), kMostMessage - 1 - length);
    std::memcpy(last_error + length, part.data(), count);
    length += count;
  }
  last_error[length] = 0;
}

lathe_status report(const Error& error) {
  say({error.message});
  return static_cast<lathe_status>(error.code);
}

lathe_status report(const Status& status) { return status ? LATHE_OK : report(status.error()); }

lathe_status invalid(std::string_view message) {
  say({message});
  return LATHE_INVALID_ARGUMENT;
}

lathe_status is_null(std::string_view function, std::string_view argument) {
  say({function, ": ", argument, " is null"});
  return LATHE_INVALID_ARGUMENT;
}

bool are_known(std::string_view function, std::string_view what,
               std::span<const lathe_view> views) {
  for (size_t i = 0; i < views.size(); ++i) {
    const int32_t type = type_number(views[i]);
    if (is_type(type)) continue;
    say({function, ": ", what, " ", Digits(static_cast<int64_t>(i)).view(), ": type ",
         Digits(type).view(), " is unknown"});
    return false;
  }
  return true;
}

bool is_known_type(std::string_view function, std::string_view what, int32_t type) {
  if (is_type(type)) return true;
  say({function, ": ", what, ": type ", Digits(type).view(), " is unknown"});
  return false;
}

lathe_status check_views(std::string_view function, std::initializer_list<NamedView> views) {
  for (const NamedView& each : views) {
    if (each.view == nullptr) return is_null(function, each.name);
    if (!is_known_type(function, each.name, type_number(*each.view))) return LATHE_INVALID_ARGUMENT;
  }
  return LATHE_OK;
}

TensorView view_of(const lathe_view& view) {
  const bool usable =
      view.rank >= 0 && view.rank <= LATHE_MAX_RANK && (view.rank == 0 || view.shape != nullptr);
  TensorView result(view.data, static_cast<DataType>(view.type), view.shape,
                    usable ? view.rank : -1);
  if (usable && view.strides != nullptr)
    for (int i = 0; i < view.rank; ++i) result.strides[i] = view.strides[i];
  return result;
}

lathe_view view_for_c(const TensorView& view) {
  return {view.data, static_cast<lathe_type>(view.type), view.rank, view.shape, view.strides};
}

const lathe_view* hand_out(const std::vector<lathe_view>* parts, size_t* count) {
  if (count != nullptr) *count = parts == nullptr ? 0 : parts->size();
  return parts == nullptr ? nullptr : parts->data();
}

}  // namespace lathe::runtime

const char* lathe_last_error(void) { return lathe::runtime::last_error; }
