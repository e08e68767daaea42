// Who was running when a worker dies: said by the dying process itself.
#pragma once

namespace lathe::tuner {

/// Has this process tell its standard output, as a "crash" event (tuner/worker_protocol.h), which
/// candidate was running when a fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE) or an abort ends it; then
/// the signal takes the course that it had before. Once, before other threads start.
void report_crashes();

/// From now on this candidate of the job is running, whichever thread faults; -1: none is.
void set_running(int candidate);

}  // namespace lathe::tuner
