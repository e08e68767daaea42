// Commands on packages and other stores: verify, inspect, install, merge, export.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/packages/package.h"
#include "runtime/packages/usability.h"
#include "store/store.h"
#include "support/hardware.h"
#include "support/text.h"
#include "tools/common/arguments.h"
#include "tools/common/output.h"
#include "tools/qwen3vl_tune/commands.h"

namespace lathe::tools {
namespace {

namespace packages = runtime::packages;
using packages::Package;
using packages::Use;

nlohmann::json signer_json(const std::optional<packages::Signer>& signer) {
  if (!signer) return nullptr;
  return {{"fingerprint", signer->fingerprint}, {"known_as", signer->known_as}};
}

std::string signer_text(const std::optional<packages::Signer>& signer) {
  if (!signer) return "unsigned";
  return fmt::format(
      "signed by {}{}", signer->fingerprint,
      signer->known_as.empty() ? std::string() : " (" + support::printable(signer->known_as) + ")");
}

std::string made_by(const packages::Manifest& manifest) {
  return fmt::format("made by Lathe {} (code generator {})",
                     support::printable(manifest.lathe_version),
                     support::printable(manifest.compiler_version));
}

nlohmann::json unknown_json(const Package& package) {
  nlohmann::json list = nlohmann::json::array();
  for (const packages::UnknownMember& member : package.unknown_members)
    list.push_back({{"member", member.name}, {"why", member.why}});
  return list;
}

std::string unknown_text(const Package& package) {
  std::string text;
  for (const packages::UnknownMember& member : package.unknown_members)
    text += fmt::format("left out {}: {}\n", member.name, support::printable(member.why));
  return text;
}

// A package's records in one list: they are taken over all or none.
packages::Recipes all_recipes(const Package& package) {
  packages::Recipes all;
  for (const packages::Recipes& recipes : package.recipes) {
    all.hosts.insert(all.hosts.end(), recipes.hosts.begin(), recipes.hosts.end());
    all.winners.insert(all.winners.end(), recipes.winners.begin(), recipes.winners.end());
  }
  return all;
}

struct InstalledRecord {
  store::Key key;
  store::Taken taken;
  packages::Usability usability;
};

struct Installed {
  Package package;
  std::string store;
  std::vector<InstalledRecord> records;

  int64_t count(store::Taken taken) const {
    return std::count_if(records.begin(), records.end(),
                         [&](const InstalledRecord& record) { return record.taken == taken; });
  }
  int64_t count(Use use) const {
    return std::count_if(records.begin(), records.end(), [&](const InstalledRecord& record) {
      return record.usability.use == use;
    });
  }
};

// The store is opened, and made where there is none, once all of the package has been checked.
Result<Installed> take_package(const CommonOptions& common, const std::string& file,
                               const TrustOptions& trust, const runtime::Backends& backends) {
  Installed installed;
  LATHE_TRY(installed.package, packages::read_package(file, trust));
  const packages::Recipes recipes = all_recipes(installed.package);
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_write));
  installed.store = store.path().string();
  LATHE_TRY(const std::vector<store::Taken> taken, store.take_over(recipes.hosts, recipes.winners));
  const packages::UsabilityHere here(backends);
  for (size_t i = 0; i < taken.size(); ++i) {
    const store::KeyedWinner& record = recipes.winners[i];
    const auto host =
        std::find_if(recipes.hosts.begin(), recipes.hosts.end(),
                     [&](const store::Host& one) { return one.id == record.key.host; });
    installed.records.push_back({record.key, taken[i], here.of(record, *host)});
  }
  return installed;
}

std::string_view to_string(store::Taken taken) {
  switch (taken) {
    case store::Taken::added: return "added";
    case store::Taken::replaced: return "replaced";
    case store::Taken::kept: return "kept";
  }
  return "";
}

std::string_view to_string(Use use) {
  switch (use) {
    case Use::exact: return "exact";
    case Use::other_host: return "other_host";
    case Use::none: return "unused";
  }
  return "";
}

nlohmann::json installed_json(const Installed& installed) {
  nlohmann::json records = nlohmann::json::array();
  for (const InstalledRecord& record : installed.records) {
    records.push_back({{"problem", record.key.problem},
                       {"at", record.key.at},
                       {"target", record.key.target},
                       {"threads", record.key.threads},
                       {"cache", record.key.cache},
                       {"taken", to_string(record.taken)},
                       {"match", to_string(record.usability.use)}});
    if (record.usability.use == Use::none) records.back()["unused_because"] = record.usability.why;
  }
  return {{"package", installed.package.path.string()},
          {"store", installed.store},
          {"signer", signer_json(installed.package.signer)},
          {"winners_added", installed.count(store::Taken::added)},
          {"winners_replaced", installed.count(store::Taken::replaced)},
          {"winners_kept", installed.count(store::Taken::kept)},
          {"exact", installed.count(Use::exact)},
          {"other_host", installed.count(Use::other_host)},
          {"unused", installed.count(Use::none)},
          {"records", std::move(records)},
          {"left_out", unknown_json(installed.package)}};
}

// Records of no use here by their reasons, the most frequent first.
std::string unused_text(const Installed& installed) {
  std::map<std::string, int64_t> reasons;
  for (const InstalledRecord& record : installed.records)
    if (record.usability.use == Use::none) ++reasons[record.usability.why];
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [why, count] : reasons) sorted.emplace_back(count, why);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [count, why] : sorted)
    text += fmt::format("  {} of no use here: {}\n", count, support::printable(why));
  return text;
}

std::string installed_text(const Installed& installed) {
  std::string text =
      fmt::format("{}: {}, {}\n", installed.package.path.string(),
                  signer_text(installed.package.signer), made_by(installed.package.manifest));
  text += fmt::format("{}: {} records added, {} replaced, {} kept (ours was as good, or better)\n",
                      installed.store, installed.count(store::Taken::added),
                      installed.count(store::Taken::replaced), installed.count(store::Taken::kept));
  text += fmt::format("  {} of this machine, {} of other machines that are of use here\n",
                      installed.count(Use::exact), installed.count(Use::other_host));
  return text + unused_text(installed) + unknown_text(installed.package);
}

void print_installed(const CommonOptions& common, const Installed& installed) {
  if (common.json) {
    print_json(installed_json(installed));
  } else {
    fmt::print("{}", installed_text(installed));
  }
}

// What verify answers with exit status 1: the package itself is not as it should be.
bool is_about_content(const Error& error) {
  return error.code == ErrorCode::corrupt || error.code == ErrorCode::parse_error ||
         error.code == ErrorCode::unsupported || error.code == ErrorCode::mismatch;
}

std::string kernels_table(const packages::Manifest& manifest) {
  std::vector<std::vector<std::string>> rows = {{"problem", "at", "target", "threads", "cache",
                                                 "default", "tuned", "gain", "sure", "schedule"}};
  for (const packages::Kernel& kernel : manifest.kernels) {
    rows.push_back({kernel.key.problem, kernel.key.at, kernel.key.target,
                    std::to_string(kernel.key.threads), kernel.key.cache,
                    format_ns(kernel.default_ns), format_ns(kernel.tuned_ns),
                    fmt::format("{:.2f}x", kernel.default_ns / kernel.tuned_ns),
                    fmt::format("{:.3f}", kernel.confidence), kernel.schedule});
  }
  return fit_table(rows, output_columns(), {9, 0, 1});
}

std::string inspection_text(const packages::Inspection& inspection) {
  const Package& package = inspection.package;
  std::string text = fmt::format("{}: {}, {}\n", package.path.string(), signer_text(package.signer),
                                 made_by(package.manifest));
  if (!inspection.trust)
    text += fmt::format("not to be taken: {}\n", inspection.trust.error().message);
  for (const packages::Member& member : package.manifest.members) {
    text += fmt::format("member {}: {} {}, {} bytes, blake2b {}\n", member.name,
                        support::printable(member.kind), member.version, member.bytes,
                        support::printable(member.blake2b));
  }
  for (const store::Host& host : package.manifest.hosts) {
    text += fmt::format("machine {}: {} ({})\n", support::printable(host.id),
                        support::printable(host.description), support::printable(host.identity));
  }
  return text + unknown_text(package) + "\n" + kernels_table(package.manifest);
}

Status merge_store(const CommonOptions& common, const std::string& file) {
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_write));
  LATHE_TRY(const store::MergeCounts counts, store.merge(file));
  if (common.json) {
    print_json({{"hosts", counts.hosts},
                {"trials_added", counts.trials_added},
                {"trials_known", counts.trials_known},
                {"winners_added", counts.winners_added},
                {"winners_replaced", counts.winners_replaced},
                {"winners_kept", counts.winners_kept},
                {"damaged", counts.damaged}});
  } else {
    fmt::print(
        "trials: {} added, {} known; winners: {} added, {} replaced, {} kept; {} damaged rows "
        "skipped\n",
        counts.trials_added, counts.trials_known, counts.winners_added, counts.winners_replaced,
        counts.winners_kept, counts.damaged);
  }
  return {};
}

}  // namespace

Result<int> verify_command(const CommonOptions& common, const std::string& file,
                           const TrustOptions& trust) {
  const auto package = packages::read_package(file, trust);
  if (!package) {
    const Error& error = package.error();
    if (!is_about_content(error)) return tl::unexpected(error);
    report_error("qwen3vl-tune", error, common.json);
    return kMismatch;
  }
  if (common.json) {
    print_json({{"package", file},
                {"good", true},
                {"signer", signer_json(package->signer)},
                {"members", package->manifest.members.size()},
                {"kernels", package->manifest.kernels.size()},
                {"left_out", unknown_json(*package)}});
  } else {
    fmt::print("{}: good, {}, {}; {} members, {} kernels\n{}", file, signer_text(package->signer),
               made_by(package->manifest), package->manifest.members.size(),
               package->manifest.kernels.size(), unknown_text(*package));
  }
  return kSuccess;
}

Result<int> inspect_command(const CommonOptions& common, const std::string& file,
                            const TrustOptions& trust) {
  LATHE_TRY(const packages::Inspection inspection, packages::inspect_package(file, trust));
  if (!common.json) {
    fmt::print("{}", inspection_text(inspection));
    return kSuccess;
  }
  nlohmann::json document = {
      {"package", file},
      {"signer", signer_json(inspection.package.signer)},
      {"trusted", inspection.trust.has_value()},
      {"manifest", nlohmann::json::parse(packages::print(inspection.package.manifest))},
      {"left_out", unknown_json(inspection.package)}};
  if (!inspection.trust) document["untrusted_because"] = inspection.trust.error().message;
  print_json(document);
  return kSuccess;
}

Result<int> install_command(const CommonOptions& common, const std::string& file,
                            const TrustOptions& trust, const runtime::Backends& backends) {
  LATHE_TRY(const Installed installed, take_package(common, file, trust, backends));
  print_installed(common, installed);
  if (installed.count(Use::none) < static_cast<int64_t>(installed.records.size())) return kSuccess;
  print_note(fmt::format("qwen3vl-tune: nothing in {} is of use on this machine ({})\n", file,
                         support::host().name));
  return kMismatch;
}

Result<int> merge_command(const CommonOptions& common, const std::string& file,
                          const TrustOptions& trust, const runtime::Backends& backends) {
  if (packages::looks_like_package(file)) {
    LATHE_TRY(const Installed installed, take_package(common, file, trust, backends));
    print_installed(common, installed);
  } else {
    LATHE_CHECK(merge_store(common, file));
  }
  return kSuccess;
}

Result<int> export_command(const CommonOptions& common, const std::string& file,
                           const TrustOptions& trust) {
  if (!file.empty()) {
    LATHE_TRY(const Package package, packages::read_package(file, trust));
    LATHE_TRY(const std::string recipes, packages::print(all_recipes(package)));
    nlohmann::ordered_json document = {{"schema", store::schema_version()}};
    document.update(nlohmann::ordered_json::parse(recipes));
    document["trials"] = nlohmann::ordered_json::array();
    fmt::print("{}\n", document.dump(2));
    return kSuccess;
  }
  LATHE_TRY(store::Store store, open_store(common, store::OpenMode::read_only));
  LATHE_TRY(const std::string document, store.export_json());
  fmt::print("{}\n", document);
  return kSuccess;
}

}  // namespace lathe::tools
