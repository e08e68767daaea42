// qwen3vl-tune: finds the best schedule of every kernel that a Qwen3-VL model needs on this
// machine.
#include <algorithm>
#include <exception>

#include <CLI/CLI.hpp>

#include <lathe/backends.h>

#include "support/interrupt.h"
#include "tools/common/output.h"
#include "tools/qwen3vl_tune/commands.h"
#include "tuner/session.h"

namespace {

using lathe::ErrorCode;
using lathe::Result;
using namespace lathe::tools;

constexpr const char* kProgram = "qwen3vl-tune";
constexpr const char* kDescription =
    "Tunes every kernel of a Qwen3-VL model for this machine, chooses the layout that each weight "
    "is\n"
    "packed in and the one of the cache of keys and values, and keeps the winners.\n\n"
    "  qwen3vl-tune --model qwen3-vl-2b --budget 60s\n"
    "  qwen3vl-tune --problem \"softmax rows=512 width=2048\" --cache warm\n";

lathe::runtime::Backends linked_backends() {
  lathe::runtime::Backends backends = lathe::default_backends();
#if LATHE_HAS_CODEGEN_LLVM
  backends.push_back(lathe::llvm_backend());
#endif
  return backends;
}

// Before the options are parsed, and where they are not.
bool wants_json(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](const char* text) { return std::string_view(text) == "--json"; });
}

void add_trust_options(CLI::App& command, TrustOptions& trust, std::string& folder) {
  command.add_option("--trust", folder,
                     "the folder of the public keys (*.pub) whose packages are taken (default: "
                     "lathe/trust in the user's configuration folder)");
  command.add_flag("--allow-unsigned", trust.allow_unsigned, "take a package without a signature");
  command.add_option("--accept-signer", trust.accepted_signers,
                     "take packages of the key with this fingerprint; may be given several times");
}

int run(int argc, char** argv) {
  CommonOptions common;
  TuneOptions tune;
  PackOptions pack_options;
  TrustOptions trust;
  std::string problem, file, key_name, trust_folder;
  bool worker = false;

  CLI::App app(kDescription, kProgram);
  app.fallthrough();
  app.add_option("--device", common.device, "cpu")->capture_default_str();
  app.add_option("--target", common.target,
                 "instruction path: scalar, sse, avx2, avx512 or llvm (default: LATHE_TARGET, else "
                 "the widest)");
  app.add_option("--threads", common.threads,
                 "threads to run kernels with (default: the physical cores)");
  app.add_option(
      "--db", common.db,
      "the store; made by tuning, merge and install where there is none, refused where it is "
      "something else (default: lathe/lathe.db in the user's cache folder)");
  app.add_flag("--json", common.json, "print one JSON document on standard output");

  CLI::Option* model =
      app.add_option("--model", tune.model,
                     "qwen3-vl-2b, -4b, -8b, -32b, or a folder with a Hugging Face config.json");
  CLI::Option* problems = app.add_option(
      "--problem", tune.problems,
      "in place of a model: a problem line, such as \"rms_norm rows=512 width=2048\"; "
      "may be given several times");
  app.add_option("--family", tune.families,
                 "only the model's kernels of this family, or without a model its example; may be "
                 "given several times");
  problems->excludes(model);
  app.add_option("--at", tune.at, "sizes to time the problems at, such as rows=512")
      ->excludes(model);
  app.add_option("--cache", tune.cache, "cold or warm: the caches that the problems find")
      ->capture_default_str()
      ->excludes(model);
  app.add_option(
         "--weights", tune.weights,
         "f32, f16, bf16, i8, q8_0, q4_0 or q4_K (default: the dtype that config.json names, "
         "else bf16)")
      ->excludes(problems);
  app.add_option("--tokens", tune.tokens, "token counts to tune for")
      ->capture_default_str()
      ->excludes(problems);
  app.add_option("--context", tune.context, "context lengths to tune for")
      ->capture_default_str()
      ->excludes(problems);
  app.add_option("--image", tune.image, "image size, width x height in pixels")
      ->capture_default_str()
      ->excludes(problems);
  app.add_option("--budget", tune.budget, "time to spend, such as 60s, 5m or 2h (default: none)");
  app.add_option("--effort", tune.effort, "quick, normal or full (every schedule)")
      ->capture_default_str();
  app.add_option("--layouts", tune.layouts,
                 "choose: a layout for each weight and for the cache; default: tune within the "
                 "default ones")
      ->capture_default_str();
  app.add_option("--objective", tune.objective, "what to minimise: time")->capture_default_str();
  app.add_flag(
      "--deterministic", tune.deterministic,
      "one order of accumulation for every thread count (kernels of today always keep it)");
  app.add_flag_callback("--wide", print_wide, "tables as wide as they are, on a terminal, too");
  app.add_flag("--worker", worker)->group("");  // how the program starts its own workers

  CLI::App* status =
      app.add_subcommand("status", "what the store holds, and which layouts were chosen");
  CLI::App* explain = app.add_subcommand(
      "explain",
      "why a problem's kernel and its weight's or cache's layout were chosen, and what bounds it");
  explain
      ->add_option("problem", problem, "a problem line, such as \"rms_norm rows=512 width=2048\"")
      ->required();
  CLI::App* doctor =
      app.add_subcommand("doctor", "checks this machine, the store and the code generators");
  CLI::App* export_all =
      app.add_subcommand("export", "all records, or those of a package, as one JSON document");
  export_all->add_option("file", file, "a package");
  CLI::App* merge =
      app.add_subcommand("merge", "takes over the records of another store, or of a package");
  merge->add_option("file", file, "the other store, or a package")->required();
  CLI::App* pack = app.add_subcommand(
      "pack",
      "writes this machine's winners to one file for other machines: all, or those for --model, "
      "--problem, --family, --target and --threads");
  pack->add_option("-o,--out", pack_options.out, "the package, such as qwen3-vl-2b.lathe")
      ->required();
  pack->add_option("--as", pack_options.as, "what is packed: recipes (tuned schedules)")
      ->capture_default_str();
  pack->add_option("--sign", pack_options.sign, "the secret key to sign with, of keygen");
  pack->add_flag("--all-hosts", pack_options.all_hosts,
                 "the winners of every machine that the store has records of");
  CLI::App* keygen = app.add_subcommand(
      "keygen", "makes a key to sign packages with, NAME.key, and the one to give away, NAME.pub");
  keygen->add_option("-o,--out", key_name, "NAME")->required();
  CLI::App* verify = app.add_subcommand(
      "verify", "whether a package is whole and of a trusted signer: exit status 0 or 1");
  CLI::App* inspect = app.add_subcommand("inspect", "what a package has, and who signed it");
  CLI::App* install = app.add_subcommand(
      "install", "takes over a package's records, and says which are of use on this machine");
  for (CLI::App* command : {verify, inspect, install})
    command->add_option("file", file, "the package")->required();
  for (CLI::App* command : {verify, inspect, install, merge, export_all})
    add_trust_options(*command, trust, trust_folder);
  app.require_subcommand(0, 1);

  const bool json = wants_json(argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return report_error(
        kProgram,
        {ErrorCode::invalid_argument, std::string(error.what()) + "; see qwen3vl-tune --help"},
        json);
  }
  const lathe::runtime::Backends backends = linked_backends();
  if (worker) return lathe::tuner::worker_main(backends);

  trust.folder = trust_folder;
  lathe::support::install_interrupt_handlers();
  Result<int> result = 0;
  if (status->parsed()) {
    result = status_command(common);
  } else if (explain->parsed()) {
    result = explain_command(common, problem, backends);
  } else if (doctor->parsed()) {
    result = doctor_command(common, backends);
  } else if (export_all->parsed()) {
    result = export_command(common, file, trust);
  } else if (merge->parsed()) {
    result = merge_command(common, file, trust, backends);
  } else if (pack->parsed()) {
    result = pack_command(common, tune, pack_options);
  } else if (keygen->parsed()) {
    result = keygen_command(common, key_name);
  } else if (verify->parsed()) {
    result = verify_command(common, file, trust);
  } else if (inspect->parsed()) {
    result = inspect_command(common, file, trust);
  } else if (install->parsed()) {
    result = install_command(common, file, trust, backends);
  } else if (tune.model.empty() && tune.problems.empty() && tune.families.empty()) {
    return report_error(kProgram,
                        {ErrorCode::invalid_argument,
                         "--model is missing: qwen3-vl-2b, -4b, -8b, -32b or a folder with a "
                         "config.json (or --problem or --family in its place); see qwen3vl-tune "
                         "--help"},
                        json);
  } else {
    result = tune_command(common, tune, backends);
  }
  return result ? *result : report_error(kProgram, result.error(), common.json);
}

}  // namespace

int main(int argc, char** argv) {
  lathe::tools::open_standard_descriptors();
  lathe::tools::print_whole_lines();
  int status = 0;
  try {
    status = run(argc, argv);
  } catch (const std::exception& exception) {
    status =
        report_error(kProgram, {ErrorCode::internal, exception.what()}, wants_json(argc, argv));
  }
  return lathe::tools::check_output(kProgram, status);
}
