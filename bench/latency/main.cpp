// What a warm fetch and a small launch cost in builds of the shared library, in turn in one
// process:
//
//     build/release/bin/latency BEFORE/lib/liblathe.so build/release/lib/liblathe.so
//
// Each library is loaded with whatever it needs into a name space of its own. A round times every
// call in each of them, one after the other; the table has medians over rounds, in nanoseconds, and
// the medians of the rounds' differences to the first library.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <dlfcn.h>
#include <fmt/format.h>

#include <lathe/c.h>

namespace {

constexpr int kRounds = 301;
constexpr int kCalls = 20'000;
constexpr std::int64_t kShape[] = {1, 16}, kStrides[] = {16, 1};
constexpr const char* kProblem = "silu rows=1 width=16";

/// A build's functions, and a kernel on one row.
class Build {
 public:
  explicit Build(const char* path) {
    handle_ = ::dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
      fmt::print(stderr, "latency: {}\n", ::dlerror());
      std::exit(2);
    }
    load(open_, "lathe_library_open");
    load(fetch_, "lathe_library_fetch");
    load(release_, "lathe_kernel_release");
    load(run_, "lathe_kernel_run");
    check(open_(nullptr, 1, "none", &library_));
    check(fetch_(library_, kProblem, &kernel_));
    for (lathe_view* view : {&input_, &output_}) {
      view->type = LATHE_F32;
      view->rank = 2;
      view->shape = kShape;
      view->strides = kStrides;
    }
    input_.data = x_;
    output_.data = y_;
  }

  void fetch() {
    lathe_kernel* kernel = nullptr;
    check(fetch_(library_, kProblem, &kernel));
    release_(kernel);
  }
  void launch() { check(run_(kernel_, &input_, 1, &output_, 1)); }

 private:
  template <typename Function>
  void load(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(::dlsym(handle_, name));
    if (function != nullptr) return;
    fmt::print(stderr, "latency: the library has no {}\n", name);
    std::exit(2);
  }
  static void check(lathe_status status) {
    if (status == LATHE_OK) return;
    fmt::print(stderr, "latency: a call ended with status {}\n", static_cast<int>(status));
    std::exit(1);
  }

  void* handle_ = nullptr;
  decltype(lathe_library_open)* open_ = nullptr;
  decltype(lathe_library_fetch)* fetch_ = nullptr;
  decltype(lathe_kernel_release)* release_ = nullptr;
  decltype(lathe_kernel_run)* run_ = nullptr;
  lathe_library* library_ = nullptr;
  lathe_kernel* kernel_ = nullptr;
  alignas(64) float x_[16] = {};
  alignas(64) float y_[16] = {};
  lathe_view input_ = {}, output_ = {};
};

double nanoseconds(Build& build, void (Build::*call)()) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) (build.*call)();
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  return spent.count() / kCalls;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void compare(const char* what, std::vector<Build>& builds, void (Build::*call)()) {
  std::vector<std::vector<double>> times(builds.size()), differences(builds.size());
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> of_round(builds.size());
    for (std::size_t i = 0; i < builds.size(); ++i) {
      // Each begins as many rounds as the others.
      const std::size_t next = (i + static_cast<std::size_t>(round)) % builds.size();
      of_round[next] = nanoseconds(builds[next], call);
    }
    for (std::size_t i = 0; i < builds.size(); ++i) {
      times[i].push_back(of_round[i]);
      differences[i].push_back(of_round[i] - of_round[0]);
    }
  }
  for (std::size_t i = 0; i < builds.size(); ++i) {
    fmt::print("| {} | {} | {:.1f} | {:+.1f} |\n", what, i + 1, median(times[i]),
               median(differences[i]));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr,
               "usage: latency LIBRARY…    builds of liblathe.so; the first is what others "
               "are compared with\n");
    return 2;
  }
  std::vector<Build> builds;
  builds.reserve(static_cast<std::size_t>(argc - 1));  // views point into them
  for (int i = 1; i < argc; ++i) builds.emplace_back(argv[i]);
  fmt::print("| call | library | ns | against the first |\n|---|---|---|---|\n");
  compare("warm fetch and release", builds, &Build::fetch);
  compare("launch of one row", builds, &Build::launch);
}
