// A worker as its parent sees it: started when needed, killed when it hangs, replaced when it dies.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/error.h"
#include "tuner/worker_protocol.h"

namespace lathe::tuner {

/// One child process. Not thread-safe. The destructor ends the child.
class WorkerProcess {
 public:
  /// io_error when the program cannot be started. The child ignores SIGINT: its parent decides.
  static Result<std::unique_ptr<WorkerProcess>> start(const std::vector<std::string>& command);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// io_error when the child is gone.
  Status send(const Job& job);

  enum class Outcome { event, timeout, died };
  struct Reply {
    Outcome outcome = Outcome::event;
    Event event;
    std::string cause;  ///< of died: "killed by signal 11 (Segmentation fault)"
  };
  /// The next event. timeout after `wait`; died when the child ended or wrote something that is
  /// none.
  Reply receive(std::chrono::duration<double> wait);

  void kill();
  /// Asks it to say what was running and to die of SIGABRT; the next replies tell.
  void abort();
  /// Seconds that all its threads have run; 0 where it is gone.
  double cpu_seconds() const;

 private:
  WorkerProcess() = default;
  std::string reap();

  int pid_ = -1;
  int to_child_ = -1, from_child_ = -1;
  std::string pending_;
};

}  // namespace lathe::tuner
