// pack and keygen: this machine's winners as one file, and the key that it is signed with.
#include <algorithm>
#include <filesystem>
#include <optional>

#include <sys/stat.h>

#include "compiler/family.h"
#include "compiler/shared_operand.h"
#include "runtime/packages/keys.h"
#include "store/store.h"
#include "support/files.h"
#include "support/hardware.h"
#include "tools/common/output.h"
#include "tools/qwen3vl_tune/commands.h"
#include "tools/qwen3vl_tune/model_workload.h"
#include "tuner/packages/make_package.h"

namespace lathe::tools {
namespace {

namespace packages = runtime::packages;

// Whether group and others may write to new files or not, they may not while this lives: nobody
// takes a package that others could have changed.
class PrivateWrites {
 public:
  PrivateWrites() : before_(::umask(0)) { ::umask(before_ | S_IWGRP | S_IWOTH); }
  PrivateWrites(const PrivateWrites&) = delete;
  PrivateWrites& operator=(const PrivateWrites&) = delete;
  ~PrivateWrites() { ::umask(before_); }

 private:
  mode_t before_;
};

Status check_kind(const std::string& as) {
  if (as == "recipes") return {};
  if (as == "code" || as == "shared-library") {
    return fail(ErrorCode::unsupported,
                "--as: found '{}', but this version packs no machine code; use --as recipes", as);
  }
  return fail(ErrorCode::invalid_argument, "--as: found '{}', expected recipes", as);
}

Result<tuner::Selection> selection_of(const CommonOptions& common, const TuneOptions& tune,
                                      const PackOptions& options) {
  tuner::Selection selection;
  if (!options.all_hosts) selection.host = store::host_id("cpu", support::host_identity());
  selection.target = common.target;
  selection.threads = common.threads;
  selection.families = {tune.families.begin(), tune.families.end()};
  for (const std::string& name : tune.families) LATHE_CHECK(compiler::current_revision(name));
  if (!tune.model.empty()) {
    LATHE_TRY(selection.problems, model_problems(tune));
  } else if (!tune.problems.empty()) {
    selection.problems.emplace();
    for (const std::string& line : tune.problems) {
      LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(line));
      selection.problems->insert(problem.line());
    }
  }
  return selection;
}

}  // namespace

Result<int> pack_command(const CommonOptions& common, const TuneOptions& tune,
                         const PackOptions& options) {
  LATHE_CHECK(check_kind(options.as));
  LATHE_TRY(const tuner::Selection selection, selection_of(common, tune, options));
  std::optional<packages::SecretKey> key;
  std::string signer;
  if (!options.sign.empty()) {
    LATHE_TRY(key, packages::SecretKey::read(options.sign));
    LATHE_TRY(signer, packages::fingerprint(key->public_key()));
  }
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_only));
  LATHE_TRY(const tuner::SelectedRecipes selected, tuner::select_recipes(store, selection));
  const size_t kernels = selected.recipes.winners.size();
  const std::string left_out =
      fmt::format("left out: {} of another code generator or revision, {} that were never checked",
                  selected.outdated, selected.unchecked);
  if (kernels == 0) {
    return fail(
        ErrorCode::not_found,
        "the store {} has no records to pack ({}); tune first, ask for others, or for those "
        "of other machines by --all-hosts",
        store.path().string(), left_out);
  }
  LATHE_TRY(const std::string bytes,
            tuner::make_package(selected.recipes, LATHE_VERSION, key ? &*key : nullptr));
  {
    const PrivateWrites only_ours;
    LATHE_CHECK(support::write_file(options.out, bytes, support::ExistingFile::replaced));
  }
  if (common.json) {
    print_json({{"out", options.out},
                {"bytes", bytes.size()},
                {"kernels", kernels},
                {"hosts", selected.recipes.hosts.size()},
                {"outdated", selected.outdated},
                {"unchecked", selected.unchecked},
                {"signer", key ? nlohmann::json(signer) : nlohmann::json()}});
  } else {
    fmt::print("{}: {} records of {} machine{}, {} KiB, {}; {}\n", options.out, kernels,
               selected.recipes.hosts.size(), selected.recipes.hosts.size() == 1 ? "" : "s",
               (bytes.size() + 1023) / 1024,
               key ? "signed by " + signer : std::string("unsigned (--sign KEY)"), left_out);
  }
  return kSuccess;
}

Result<int> keygen_command(const CommonOptions& common, const std::string& name) {
  LATHE_TRY(const packages::PublicKey key, packages::make_key_files(name));
  LATHE_TRY(const std::string fingerprint, packages::fingerprint(key));
  if (common.json) {
    print_json(
        {{"key", name + ".key"}, {"public_key", name + ".pub"}, {"fingerprint", fingerprint}});
    return kSuccess;
  }
  fmt::print("{}.key  the secret key: pack --sign {}.key\n", name, name);
  if (const auto folder = packages::trust_folder()) {
    fmt::print("{}.pub  the public key: who copies it to {} takes your packages\n", name,
               folder->string());
  }
  fmt::print("fingerprint {}\n", fingerprint);
  return kSuccess;
}

}  // namespace lathe::tools
