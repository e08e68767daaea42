// The commands of qwen3vl-tune: each reads its options and returns what to print, or an error.
#pragma once

#include <string>
#include <vector>

#include "runtime/library/target_selection.h"
#include "runtime/packages/trust.h"
#include "store/store.h"
#include "support/error.h"

namespace lathe::tools {

using runtime::packages::TrustOptions;

/// Options that every command has.
struct CommonOptions {
  std::string device = "cpu";
  std::string target;  ///< empty: LATHE_TARGET, else the widest
  int threads = 0;
  std::string db;  ///< empty: the user's cache folder
  bool json = false;
};

struct TuneOptions {
  std::string model;
  std::vector<std::string> problems;  ///< in place of a model
  std::vector<std::string> families;  ///< of the model, or in its place
  std::string at;                     ///< sizes of the problems
  std::string cache = "cold";         ///< of the problems
  std::string weights;                ///< empty: as the model says, else bf16
  std::string tokens = "1,16,128,512";
  std::string context = "512,4096";
  std::string image = "448x448";
  std::string budget;
  std::string effort = "normal";
  std::string layouts = "choose";
  std::string objective = "time";
  bool deterministic = false;
};

struct PackOptions {
  std::string out;
  std::string as = "recipes";
  std::string sign;        ///< a secret key's file; empty: unsigned
  bool all_hosts = false;  ///< records of other machines, too
};

/// Each returns the exit status; failures come back as errors for the caller to report.
Result<int> tune_command(const CommonOptions& common, const TuneOptions& options,
                         const runtime::Backends& backends);
Result<int> status_command(const CommonOptions& common);
Result<int> explain_command(const CommonOptions& common, const std::string& problem,
                            const runtime::Backends& backends);
Result<int> doctor_command(const CommonOptions& common, const runtime::Backends& backends);
/// `file`: a package to export in place of the store.
Result<int> export_command(const CommonOptions& common, const std::string& file,
                           const TrustOptions& trust);
Result<int> merge_command(const CommonOptions& common, const std::string& file,
                          const TrustOptions& trust, const runtime::Backends& backends);
/// `tune`: the model, problems and families to choose records by.
Result<int> pack_command(const CommonOptions& common, const TuneOptions& tune,
                         const PackOptions& options);
Result<int> keygen_command(const CommonOptions& common, const std::string& name);
Result<int> verify_command(const CommonOptions& common, const std::string& file,
                           const TrustOptions& trust);
Result<int> inspect_command(const CommonOptions& common, const std::string& file,
                            const TrustOptions& trust);
Result<int> install_command(const CommonOptions& common, const std::string& file,
                            const TrustOptions& trust, const runtime::Backends& backends);

/// The store that --db names, or the cache folder's.
Result<store::Store> open_store(const CommonOptions& common, store::OpenMode mode);

}  // namespace lathe::tools
