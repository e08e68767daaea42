// A signal handler that writes one line. Only async-signal-safe calls happen in it.
#include "tuner/crash_report.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <string_view>

#include <unistd.h>

namespace lathe::tuner {
namespace {

constexpr std::array<int, 5> kSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

std::atomic<int> running{-1};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler reads it");
std::array<struct sigaction, kSignals.size()> before;

// A stack that is used up cannot hold the handler. Other threads than the first run on their own.
alignas(16) std::array<char, 64 << 10> handler_stack;

void report(int signal) {
  const int candidate = running.load(std::memory_order_relaxed);
  if (candidate >= 0) {
    constexpr std::string_view kBegin = "{\"kind\":\"crash\",\"candidate\":";
    std::array<char, 64> line{};
    size_t length = 0;
    for (const char c : kBegin) line[length++] = c;
    std::array<char, 12> digits{};
    size_t count = 0;
    for (int rest = candidate; rest > 0 || count == 0; rest /= 10)
      digits[count++] = static_cast<char>('0' + rest % 10);
    while (count > 0) line[length++] = digits[--count];
    line[length++] = '}';
    line[length++] = '\n';
    [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, line.data(), length);
  }
  for (size_t i = 0; i < kSignals.size(); ++i)
    if (kSignals[i] == signal) ::sigaction(signal, &before[i], nullptr);
  ::raise(signal);  // delivered when this returns
}

}  // namespace

void report_crashes() {
  stack_t stack = {};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  ::sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = report;
  action.sa_flags = SA_ONSTACK;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before[i]);
}

void set_running(int candidate) { running.store(candidate, std::memory_order_relaxed); }

}  // namespace lathe::tuner
