// fork, exec, pipes and poll.
#include "tuner/worker_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/log.h"

namespace lathe::tuner {
namespace {

void close_if_open(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

// A pipe whose ends are none of the standard descriptors, even where those are closed: a child puts
// its ends there.
bool make_pipe(int (&ends)[2]) {
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  for (int& end : ends) {
    if (end > STDERR_FILENO) continue;
    const int moved = ::fcntl(end, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    ::close(end);
    end = moved;
    if (moved >= 0) continue;
    close_if_open(ends[0]);
    close_if_open(ends[1]);
    errno = error;
    return false;
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(
    const std::vector<std::string>& command) {
  if (command.empty()) return fail(ErrorCode::invalid_argument, "no worker command was given");
  int in[2], out[2];
  if (!make_pipe(in))
    return fail(ErrorCode::io_error, "cannot make a pipe to a worker: {}", std::strerror(errno));
  if (!make_pipe(out)) {
    const int error = errno;
    ::close(in[0]);
    ::close(in[1]);
    return fail(ErrorCode::io_error, "cannot make a pipe to a worker: {}", std::strerror(error));
  }
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Only async-signal-safe calls until exec. The child dies with its parent.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::signal(SIGINT, SIG_IGN);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  const int error = errno;
  ::close(in[0]);
  ::close(out[1]);
  if (pid < 0) {
    ::close(in[1]);
    ::close(out[0]);
    return fail(ErrorCode::io_error, "cannot start a worker: {}", std::strerror(error));
  }
  std::unique_ptr<WorkerProcess> worker(new WorkerProcess);
  worker->pid_ = pid;
  worker->to_child_ = in[1];
  worker->from_child_ = out[0];
  return worker;
}

WorkerProcess::~WorkerProcess() { kill(); }

void WorkerProcess::kill() {
  if (pid_ >= 0) ::kill(pid_, SIGKILL);
  reap();
}

void WorkerProcess::abort() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGABRT);
  ::kill(pid_, SIGCONT);  // one that was stopped dies, too
}

double WorkerProcess::cpu_seconds() const {
  clockid_t clock;
  timespec time = {};
  if (pid_ < 0 || ::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::string WorkerProcess::reap() {
  close_if_open(to_child_);
  close_if_open(from_child_);
  if (pid_ < 0) return "it is not running";
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFSIGNALED(status))
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

Status WorkerProcess::send(const Job& job) {
  const std::string line = encode(job) + "\n";
  size_t sent = 0;
  // A dead child must be an error here, not a SIGPIPE for the whole program.
  struct sigaction ignore = {}, previous = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &previous);
  int error = 0;
  while (sent < line.size() && error == 0) {
    const ssize_t n = ::write(to_child_, line.data() + sent, line.size() - sent);
    if (n > 0) sent += static_cast<size_t>(n);
    if (n < 0 && errno != EINTR) error = errno;
  }
  ::sigaction(SIGPIPE, &previous, nullptr);
  if (error != 0)
    return fail(ErrorCode::io_error, "cannot write to a worker: {}", std::strerror(error));
  return {};
}

WorkerProcess::Reply WorkerProcess::receive(std::chrono::duration<double> wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    if (const size_t end = pending_.find('\n'); end != std::string::npos) {
      auto event = decode_event(std::string_view(pending_).substr(0, end));
      pending_.erase(0, end + 1);
      if (event) return {Outcome::event, std::move(*event), ""};
      kill();
      return {Outcome::died, {}, event.error().message};
    }
    const std::chrono::duration<double> left = deadline - std::chrono::steady_clock::now();
    if (left.count() <= 0) return {Outcome::timeout, {}, ""};
    pollfd poll = {from_child_, POLLIN, 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(left.count() * 1000) + 1);
    if (ready == 0) continue;
    if (ready < 0) {
      // A signal for us: let the caller look at its interrupt flag.
      if (errno == EINTR) return {Outcome::timeout, {}, ""};
      return {Outcome::died, {}, std::strerror(errno)};
    }
    char buffer[65536];
    const ssize_t n = ::read(from_child_, buffer, sizeof buffer);
    if (n > 0) {
      pending_.append(buffer, static_cast<size_t>(n));
    } else if (n == 0 || errno != EINTR) {
      return {Outcome::died, {}, reap()};
    }
  }
}

}  // namespace lathe::tuner
