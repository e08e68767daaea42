// A system that forbids executable pages, as a seccomp filter makes it, gives a named error, and
// what that advises works.
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lathe/lathe.h>

#include "runtime/cpu/executable_memory.h"

namespace lathe::runtime {
namespace {

/// Makes mprotect(…PROT_EXEC…) fail with EACCES from now on, as SELinux and systemd do.
bool forbid_executable_pages() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + 2 * sizeof(__u64)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum : int { kHolds = 7, kNoFilter = 8, kWrong = 9 };

// Runs a check where no page may become executable, in a child process: kHolds where it does.
int outcome_of(const std::function<bool()>& check) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(!forbid_executable_pages() ? kNoFilter : check() ? kHolds : kWrong);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WEXITSTATUS(status);
}

TEST(ExecutableMemoryDenied, NamesWhatToDo) {
  const int outcome = outcome_of([] {
    const std::byte ret{0xc3};
    const auto memory = ExecutableMemory::map({&ret, 1});
    return !memory && memory.error().code == ErrorCode::unsupported &&
           memory.error().message.find("Permission denied") != std::string::npos &&
           memory.error().message.find("LATHE_TARGET=interpret") != std::string::npos &&
           memory.error().message.find("--target interpret") != std::string::npos;
  });
  if (outcome == kNoFilter) GTEST_SKIP() << "this system lets us install no seccomp filter";
  EXPECT_EQ(outcome, kHolds);
}

TEST(ExecutableMemoryDenied, KernelsCanBeInterpreted) {
  const int outcome = outcome_of([] {
    const auto computes = [](const char* target) {
      auto library = Library::open({.target = target, .threads = 2, .store = "none"});
      if (!library) return std::string("cannot open: ") + library.error().message;
      const auto kernel = library->fetch(Silu{.width = 4});
      if (!kernel) return kernel.error().message;
      std::array<float, 4> x = {-1, 0, 1, 2}, y = {};
      const Status status =
          (*kernel)({TensorView(x.data(), {1, 4})}, {TensorView(y.data(), {1, 4})});
      if (!status) return status.error().message;
      return std::string(std::fabs(y[2] - 0.731059F) < 1e-5F ? "yes" : "something else");
    };
    ::unsetenv("LATHE_TARGET");
    const bool native_is_refused = computes("").find("LATHE_TARGET=interpret") != std::string::npos;
    const bool as_asked = computes("interpret") == "yes";
    ::setenv("LATHE_TARGET", "interpret", 1);
    const bool as_forced = computes("") == "yes";
    return native_is_refused && as_asked && as_forced;
  });
  if (outcome == kNoFilter) GTEST_SKIP() << "this system lets us install no seccomp filter";
  EXPECT_EQ(outcome, kHolds);
}

}  // namespace
}  // namespace lathe::runtime
