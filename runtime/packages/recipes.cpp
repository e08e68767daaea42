// Recipes as JSON, and as the manifest lists them.
#include "runtime/packages/recipes.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "ir/target.h"
#include "runtime/library/target_selection.h"
#include "runtime/packages/json_fields.h"
#include "support/text.h"

namespace lathe::runtime::packages {
namespace {

constexpr support::JsonRules kRecipesRules{kMostMemberBytes, 8, "a package's recipes"};

auto fields_of(const store::Host& host) {
  return std::tie(host.id, host.device, host.identity, host.description);
}

bool is_same(const store::Host& a, const store::Host& b) { return fields_of(a) == fields_of(b); }

}  // namespace

Result<std::string> print(const Recipes& recipes) {
  PrintedJson hosts = PrintedJson::array(), winners = PrintedJson::array();
  for (const store::Host& host : recipes.hosts) add_fields(hosts.emplace_back(), host);
  for (const store::KeyedWinner& record : recipes.winners) {
    PrintedJson& json = winners.emplace_back();
    add_fields(json["key"], record.key);
    add_fields(json, record.winner);
  }
  const PrintedJson document = {{"hosts", std::move(hosts)}, {"winners", std::move(winners)}};
  try {
    return document.dump(1) + "\n";
  } catch (const PrintedJson::type_error& error) {
    return fail(ErrorCode::invalid_argument, "a record or a host is not UTF-8: {}", error.what());
  }
}

Result<Recipes> parse_recipes(std::string_view text, const std::string& origin) {
  LATHE_TRY(const Json document, parse_document(text, kRecipesRules, origin));
  Fields fields(document, origin);
  const Json* const hosts = fields.list("hosts");
  const Json* const winners = fields.list("winners");
  LATHE_CHECK(fields.status());
  Recipes recipes;
  std::set<std::string> ids;
  for (const Json& entry : *hosts) {
    Fields of_host(entry, fmt::format("{}: host {}", origin, recipes.hosts.size() + 1));
    of_host.read_record(recipes.hosts.emplace_back());
    LATHE_CHECK(of_host.status());
    ids.insert(recipes.hosts.back().id);
  }
  for (const Json& entry : *winners) {
    const std::string where = fmt::format("{}: record {}", origin, recipes.winners.size() + 1);
    store::KeyedWinner& record = recipes.winners.emplace_back();
    Fields of_winner(entry, where);
    of_winner.read_record(record.winner);
    const Json* const key = of_winner.object("key");
    LATHE_CHECK(of_winner.status());
    Fields of_key(*key, where + ": its key");
    of_key.read_record(record.key);
    LATHE_CHECK(of_key.status());
    if (!ids.contains(record.key.host)) {
      return fail(ErrorCode::parse_error, "{} is of the host '{}', which is not among the hosts",
                  where, support::printable(record.key.host));
    }
  }
  return recipes;
}

Kernel kernel_of(const store::KeyedWinner& record, const std::string& member) {
  return {.member = member,
          .key = record.key,
          .needs = support::to_string(needs_of(record.key.target)),
          .schedule = record.winner.schedule,
          .tuned_ns = record.winner.tuned_ns,
          .default_ns = record.winner.default_ns,
          .confidence = record.winner.confidence,
          .verified = record.winner.verified};
}

Status check_listed(const Recipes& recipes, const Manifest& manifest, const std::string& member,
                    const std::string& origin) {
  auto listed = manifest.kernels.begin();
  const auto next_of_member = [&] {
    return listed = std::find_if(listed, manifest.kernels.end(),
                                 [&](const Kernel& kernel) { return kernel.member == member; });
  };
  bool same = std::equal(recipes.hosts.begin(), recipes.hosts.end(), manifest.hosts.begin(),
                         manifest.hosts.end(), is_same);
  for (const store::KeyedWinner& record : recipes.winners) {
    if (next_of_member() == manifest.kernels.end() || !(*listed == kernel_of(record, member))) {
      same = false;
      break;
    }
    ++listed;
  }
  if (same && next_of_member() == manifest.kernels.end()) return {};
  return fail(ErrorCode::mismatch,
              "{}: its manifest lists other kernels or hosts than its member {} has", origin,
              member);
}

support::IsaMask needs_of(std::string_view target) {
  const auto known = ir::parse_target(target.substr(0, target.find(':')));
  return known ? required_isa(*known) : support::IsaMask();
}

}  // namespace lathe::runtime::packages
