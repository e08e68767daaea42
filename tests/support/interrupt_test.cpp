// Signals as a flag.
#include "support/interrupt.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lathe::support {
namespace {

TEST(Interrupt, FlagCanBeSetAndCleared) {
  EXPECT_FALSE(interrupted());
  set_interrupted(true);
  EXPECT_TRUE(interrupted());
  EXPECT_EQ(interrupt_signal(), SIGINT);
  set_interrupted(false);
  EXPECT_FALSE(interrupted());
}

/// Runs a function in a child process and returns its wait status.
int status_of_child(int (*child)()) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST(Interrupt, FirstSignalSetsTheFlag) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const int status = signal == SIGINT ? status_of_child([] {
      install_interrupt_handlers();
      ::raise(SIGINT);
      return interrupted() && interrupt_signal() == SIGINT ? 7 : 1;
    })
                                        : status_of_child([] {
                                            install_interrupt_handlers();
                                            ::raise(SIGTERM);
                                            return interrupt_signal() == SIGTERM ? 7 : 1;
                                          });
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
  }
}

TEST(Interrupt, AProgramWithNothingToKeepEndsAtOnce) {
  const int status = status_of_child([] {
    exit_when_interrupted();
    ::raise(SIGINT);
    return 0;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

TEST(Interrupt, SecondSignalEndsTheProcess) {
  const int status = status_of_child([] {
    install_interrupt_handlers();
    ::raise(SIGINT);
    ::raise(SIGINT);
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

}  // namespace
}  // namespace lathe::support
