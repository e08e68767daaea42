// Drawing of progress.
#include "tools/common/progress_display.h"

#include <algorithm>
#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/common/arguments.h"
#include "tools/common/output.h"

namespace lathe::tools {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLine = std::chrono::seconds(2);
constexpr int kBarWidth = 24;

size_t terminal_width() {
  winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string progress_line(const tuner::Progress& progress, bool bar) {
  std::string text;
  if (bar) {
    const double share = progress.trials_expected == 0
                             ? 0
                             : static_cast<double>(progress.trials_done) /
                                   static_cast<double>(progress.trials_expected);
    const int filled = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarWidth);
    text = "[" + std::string(static_cast<size_t>(filled), '#') +
           std::string(static_cast<size_t>(kBarWidth - filled), '-') + "] ";
  }
  text += fmt::format("{}/{} kernels, {} of {} trials", progress.tasks_done, progress.tasks,
                      progress.trials_done, progress.trials_expected);
  text += progress.remaining_s ? ", " + format_seconds(*progress.remaining_s) + " left" : "";
  text += "  " + progress.current;
  if (!progress.best.empty()) text += "  " + progress.best;
  return text;
}

ProgressDisplay::ProgressDisplay() : terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_ && terminal_) std::fputs("\r\x1b[K", stderr);
}

void ProgressDisplay::show(const tuner::Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < (terminal_ ? std::chrono::milliseconds(kRedraw)
                                         : std::chrono::milliseconds(kLine))) {
    return;
  }
  last_ = now;
  drawn_ = true;
  std::string line = progress_line(progress, terminal_);
  if (!terminal_) {
    print_note(fmt::format("{}\n", line));
    return;
  }
  const size_t columns = terminal_width() - 1;
  if (line.size() > columns) line.resize(columns);
  print_note(fmt::format("\r{}\x1b[K", line));
}

}  // namespace lathe::tools
