// A dying process says which candidate was running.
#include "tuner/crash_report.h"

#include <csignal>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tuner/worker_protocol.h"

namespace lathe::tuner {
namespace {

struct Death {
  std::string said;
  int signal = 0;
};

// What a child says that dies of `signal` while `candidate` runs.
Death die(int signal, int candidate) {
  int out[2];
  EXPECT_EQ(::pipe(out), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    for (const int own : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
      ::signal(own, SIG_DFL);  // a sanitizer's handler would print a report
    report_crashes();
    set_running(candidate);
    ::raise(signal);
    ::_exit(0);
  }
  ::close(out[1]);
  Death death;
  char buffer[256];
  for (ssize_t n; (n = ::read(out[0], buffer, sizeof buffer)) > 0;)
    death.said.append(buffer, static_cast<size_t>(n));
  ::close(out[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) death.signal = WTERMSIG(status);
  return death;
}

TEST(CrashReport, NamesTheCandidateThatWasRunning) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    for (const int candidate : {0, 7, 120}) {
      const Death death = die(signal, candidate);
      EXPECT_EQ(death.signal, signal);
      ASSERT_FALSE(death.said.empty());
      ASSERT_EQ(death.said.back(), '\n');
      const auto event = decode_event(death.said.substr(0, death.said.size() - 1));
      ASSERT_TRUE(event) << event.error().message;
      EXPECT_EQ(event->kind, "crash");
      EXPECT_EQ(event->candidate, candidate);
    }
  }
}

TEST(CrashReport, NamesNobodyWhereNobodyRan) {
  const Death death = die(SIGSEGV, -1);
  EXPECT_EQ(death.signal, SIGSEGV);
  EXPECT_EQ(death.said, "");
}

}  // namespace
}  // namespace lathe::tuner
