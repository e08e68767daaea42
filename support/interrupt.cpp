// SIGINT and SIGTERM as a flag.
#include "support/interrupt.h"

#include <atomic>
#include <csignal>

#include <unistd.h>

namespace lathe::support {
namespace {

std::atomic<int> pending_signal{0};
static_assert(std::atomic<int>::is_always_lock_free,
              "a signal handler may only touch lock-free atomics");

extern "C" void remember_signal(int signal) {
  pending_signal.store(signal, std::memory_order_relaxed);
}

extern "C" void exit_now(int) { ::_exit(130); }

}  // namespace

void install_interrupt_handlers() {
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  sigemptyset(&action.sa_mask);
  // SA_RESETHAND: the next signal of this kind takes the default action and ends the process.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void exit_when_interrupted() {
  struct sigaction action = {};
  action.sa_handler = exit_now;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return interrupt_signal() != 0; }

int interrupt_signal() { return pending_signal.load(std::memory_order_relaxed); }

void set_interrupted(bool value) {
  pending_signal.store(value ? SIGINT : 0, std::memory_order_relaxed);
}

}  // namespace lathe::support
