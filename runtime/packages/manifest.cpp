// The manifest as JSON.
#include "runtime/packages/manifest.h"

#include <algorithm>
#include <set>

#include "runtime/packages/container.h"
#include "runtime/packages/json_fields.h"
#include "support/text.h"

namespace lathe::runtime::packages {
namespace {

constexpr std::string_view kFormat = "lathe package";
constexpr support::JsonRules kManifestRules{kMostManifestBytes, 8, "a package's manifest"};

PrintedJson manifest_json(const Manifest& manifest) {
  PrintedJson members = PrintedJson::array(), hosts = PrintedJson::array(),
              kernels = PrintedJson::array();
  for (const Member& member : manifest.members) {
    members.push_back({{"name", member.name},
                       {"kind", member.kind},
                       {"version", member.version},
                       {"bytes", member.bytes},
                       {"blake2b", member.blake2b}});
  }
  for (const store::Host& host : manifest.hosts) add_fields(hosts.emplace_back(), host);
  for (const Kernel& kernel : manifest.kernels) {
    PrintedJson& json = kernels.emplace_back();
    json["member"] = kernel.member;
    add_fields(json, kernel.key);
    json.update({{"needs", kernel.needs},
                 {"schedule", kernel.schedule},
                 {"tuned_ns", kernel.tuned_ns},
                 {"default_ns", kernel.default_ns},
                 {"confidence", kernel.confidence},
                 {"verified", kernel.verified}});
  }
  return {{"format", kFormat},
          {"version", kManifestVersion},
          {"lathe_version", manifest.lathe_version},
          {"compiler_version", manifest.compiler_version},
          {"members", std::move(members)},
          {"hosts", std::move(hosts)},
          {"kernels", std::move(kernels)}};
}

Result<Member> parse_member(const Json& json, const std::string& where) {
  Member member;
  Fields fields(json, where);
  fields.read("name", member.name);
  fields.read("kind", member.kind);
  fields.read("version", member.version);
  fields.read("bytes", member.bytes);
  fields.read("blake2b", member.blake2b);
  LATHE_CHECK(fields.status());
  if (!is_plain_name(member.name) || member.name == kManifestName ||
      member.name == kSignatureName) {
    return fail(ErrorCode::parse_error,
                "{} is named '{}', which no member of a package may be: expected plain names "
                "without '..', '\\' and a leading '/'",
                where, support::printable(member.name));
  }
  return member;
}

Result<Kernel> parse_kernel(const Json& json, const std::string& where) {
  Kernel kernel;
  Fields fields(json, where);
  fields.read("member", kernel.member);
  fields.read_record(kernel.key);
  fields.read("needs", kernel.needs);
  fields.read("schedule", kernel.schedule);
  fields.read("tuned_ns", kernel.tuned_ns);
  fields.read("default_ns", kernel.default_ns);
  fields.read("confidence", kernel.confidence);
  fields.read("verified", kernel.verified);
  LATHE_CHECK(fields.status());
  return kernel;
}

/// Reads a list's entries; `name` is that of the list and of one entry.
template <typename Parse>
Status parse_list(Fields& fields, const char* list, const std::string& one, Parse&& parse) {
  const Json* const entries = fields.list(list);
  LATHE_CHECK(fields.status());
  std::size_t number = 0;
  for (const Json& entry : *entries) {
    LATHE_CHECK(parse(entry, fmt::format("{} {}", one, ++number)));
  }
  return {};
}

}  // namespace

std::string print(const Manifest& manifest) { return manifest_json(manifest).dump(1) + "\n"; }

Result<Manifest> parse_manifest(std::string_view text, const std::string& origin) {
  LATHE_TRY(const Json document, parse_document(text, kManifestRules, origin));
  Fields fields(document, origin);
  std::string format;
  std::int64_t version = 0;
  fields.read("format", format);
  fields.read("version", version);
  LATHE_CHECK(fields.status());
  if (format != kFormat) {
    return fail(ErrorCode::parse_error, "{} says that it is of the format '{}', expected '{}'",
                origin, support::printable(format), kFormat);
  }
  if (version != kManifestVersion) {
    return fail(ErrorCode::unsupported, "{} is of version {}, this Lathe reads version {}: {}",
                origin, version, kManifestVersion,
                version > kManifestVersion ? "update it" : "make the package anew");
  }
  Manifest manifest;
  fields.read("lathe_version", manifest.lathe_version);
  fields.read("compiler_version", manifest.compiler_version);
  std::set<std::string> names;
  std::uint64_t bytes = 0;
  LATHE_CHECK(parse_list(
      fields, "members", origin + ": member",
      [&](const Json& json, const std::string& where) -> Status {
        LATHE_TRY(Member member, parse_member(json, where));
        if (!names.insert(member.name).second) {
          return fail(ErrorCode::parse_error, "{} has the name of another, '{}'", where,
                      member.name);
        }
        if (member.bytes > kMostMemberBytes || (bytes += member.bytes) > kMostMemberBytes) {
          return fail(ErrorCode::parse_error, "{} and those before it have more than {} bytes",
                      where, kMostMemberBytes);
        }
        manifest.members.push_back(std::move(member));
        return {};
      }));
  LATHE_CHECK(parse_list(fields, "hosts", origin + ": host",
                         [&](const Json& json, const std::string& where) -> Status {
                           Fields of_host(json, where);
                           of_host.read_record(manifest.hosts.emplace_back());
                           return of_host.status();
                         }));
  LATHE_CHECK(parse_list(fields, "kernels", origin + ": kernel",
                         [&](const Json& json, const std::string& where) -> Status {
                           LATHE_TRY(Kernel kernel, parse_kernel(json, where));
                           if (!names.contains(kernel.member)) {
                             return fail(ErrorCode::parse_error,
                                         "{} is in the member '{}', which there is not", where,
                                         support::printable(kernel.member));
                           }
                           manifest.kernels.push_back(std::move(kernel));
                           return {};
                         }));
  if (manifest.members.empty())
    return fail(ErrorCode::parse_error, "{} names no members, expected one at least", origin);
  return manifest;
}

}  // namespace lathe::runtime::packages
