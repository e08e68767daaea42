// The commands of lathe, the compiler driver: options, and one function a command.
#pragma once

#include <string>
#include <vector>

#include "ir/graph/graph.h"
#include "runtime/library/target_selection.h"
#include "support/error.h"

namespace lathe::tools {

/// Options that run, emit and bench share.
struct DriverOptions {
  std::string device = "cpu";
  std::string target;  ///< also "reference" and "interpret" where they make sense
  std::string cpu;     ///< a named machine to emit for
  int threads = 0;
  std::string schedule;  ///< k=v,k=v over the default
  std::string db;
  bool json = false;
};

struct RunOptions {
  std::string graph;
  std::vector<std::string> in, out;  ///< name=file.npy
  bool strict = false;               ///< every node by a kernel, or none
};
struct EmitOptions {
  std::string problem;
  std::string as = "asm";
  std::string out;  ///< a file for objects and artifacts; empty: standard output
};
struct BenchOptions {
  std::string problem;
  std::string artifact;  ///< a file of `emit --as artifact`, in place of a problem
  std::string at;
  std::string cache = "cold";
  double seconds = 0.5;
};

Result<int> run_command(const DriverOptions& driver, const RunOptions& options,
                        const runtime::Backends& backends);
Result<int> check_command(const DriverOptions& driver, const std::string& graph);
Result<int> print_command(const DriverOptions& driver, const std::string& graph,
                          const std::string& after, const std::string& sizes);
Result<int> emit_command(const DriverOptions& driver, const EmitOptions& options,
                         const runtime::Backends& backends);
Result<int> bench_command(const DriverOptions& driver, const BenchOptions& options,
                          const runtime::Backends& backends);
Result<int> catalog_command(const DriverOptions& driver, const runtime::Backends& backends);

/// Reads and parses a .lir file; errors name the file.
Result<ir::graph::Graph> read_graph(const std::string& path);

/// The target that --target and --cpu name. With a CPU other than this host's it can be emitted for
/// only.
Result<runtime::SelectedTarget> driver_target(const DriverOptions& driver,
                                              const runtime::Backends& backends, bool must_run);

}  // namespace lathe::tools
