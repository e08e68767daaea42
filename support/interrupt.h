// Ctrl-C as a flag that long work polls, so that what has been found so far can be kept.
#pragma once

namespace lathe::support {

/// Makes SIGINT and SIGTERM set the flag instead of ending the process. The second signal ends it
/// at once, by the default action: nobody has to wait for a stuck program. Call once, from main.
void install_interrupt_handlers();

/// Makes SIGINT and SIGTERM end the process with exit status 130: for programs that have nothing to
/// keep and do not poll.
void exit_when_interrupted();

/// True once a signal came. Async-signal-safe, thread-safe, one relaxed load.
bool interrupted();

/// The signal that set the flag (SIGINT, SIGTERM), 0 while there was none.
int interrupt_signal();

/// Sets the flag as SIGINT would, or clears it: for programs with their own handlers, and tests.
void set_interrupted(bool value);

}  // namespace lathe::support
