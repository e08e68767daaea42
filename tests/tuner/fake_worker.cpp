// A worker that runs nothing: it says that a kernel with an operand in some layout took what its
// arguments tell.
//
//   fake_worker 24=100 16@512=90 16/mr=4=80    layout, at so many rows, of schedules with that
//   text
//   fake_worker hnd@context=512=90             at that size
//
// The last argument that fits counts; 100 ns where none does. `crash=16` dies of the first
// candidate of that layout; `wrong=mr=4` finds that a schedule with that text is wrong, and ends.
#include <cstdlib>
#include <iostream>
#include <string>

#include "compiler/family.h"
#include "compiler/problem.h"
#include "tuner/crash_report.h"
#include "tuner/worker_protocol.h"

namespace {

using namespace lathe;

struct Rule {
  std::string layout;
  std::string at, schedule;  ///< `at`: one of the sizes
  double ns = 100;
};

Rule parse_rule(const std::string& argument) {
  const size_t equals = argument.rfind('=');
  Rule rule;
  rule.ns = std::atof(argument.c_str() + equals + 1);
  std::string key = argument.substr(0, equals);
  if (const size_t slash = key.find('/'); slash != std::string::npos) {
    rule.schedule = key.substr(slash + 1);
    key.resize(slash);
  }
  if (const size_t sign = key.find('@'); sign != std::string::npos) {
    rule.at = key.substr(sign + 1);
    if (rule.at.find('=') == std::string::npos) rule.at = "rows=" + rule.at;
    key.resize(sign);
  }
  rule.layout = key;
  return rule;
}

void send(const tuner::Event& event) { std::cout << encode(event) << std::endl; }

}  // namespace

int main(int argc, char** argv) {
  constexpr size_t kRounds = 15;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  tuner::report_crashes();
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto job = tuner::decode_job(line);
    if (!job) return 2;
    for (size_t i = 0; i < job->candidates.size(); ++i) {
      const tuner::Candidate& candidate = job->candidates[i];
      const auto problem = compiler::parse_problem(candidate.problem);
      if (!problem) return 2;
      const std::string layout =
          problem->family().shared == nullptr ? "" : compiler::layout_named_by(*problem);
      tuner::Event event;
      event.candidate = static_cast<int>(i);
      tuner::set_running(event.candidate);
      double ns = 100;
      for (const std::string& argument : arguments) {
        if (argument.rfind("crash=", 0) == 0) {
          if (layout == argument.substr(6)) std::abort();
          continue;
        }
        if (argument.rfind("wrong=", 0) == 0) {
          if (candidate.schedule.find(argument.substr(6)) == std::string::npos) continue;
          event.kind = "trial";
          event.state = "failed_check";
          send(event);
          return 3;
        }
        const Rule rule = parse_rule(argument);
        const std::string sizes = "," + job->at + ",";
        const bool is_at = rule.at.empty() || sizes.find("," + rule.at + ",") != std::string::npos;
        const bool fits = rule.layout == layout && is_at &&
                          candidate.schedule.find(rule.schedule) != std::string::npos;
        if (fits) ns = rule.ns;
      }
      event.kind = "trial";
      event.state = "timed";
      event.check = "not run";
      event.batches_ns.assign(kRounds, ns);
      send(event);
    }
    if (job->measure_roofs) {
      tuner::Event roofs;
      roofs.kind = "roofs";
      roofs.gflops = 1e6;
      roofs.gbytes_per_s = 1e6;
      send(roofs);
    }
    tuner::Event done;
    done.kind = "done";
    send(done);
  }
  return 0;
}
