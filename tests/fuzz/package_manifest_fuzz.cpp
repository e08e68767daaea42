// Any text read as a package's manifest or recipes is refused with a message, or prints to text
// that reads as the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/packages/container.h"
#include "runtime/packages/manifest.h"
#include "runtime/packages/recipes.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace packages = lathe::runtime::packages;

namespace {

void check_manifest(std::string_view text) {
  const auto manifest = packages::parse_manifest(text, "manifest");
  if (!manifest) {
    require(!manifest.error().message.empty(), "an error says what was found", text);
    return;
  }
  for (const packages::Member& member : manifest->members)
    require(packages::is_plain_name(member.name), "members have plain names", member.name);
  const std::string printed = packages::print(*manifest);
  const auto again = packages::parse_manifest(printed, "manifest");
  require(again.has_value(), "a printed manifest is read",
          again ? "" : again.error().message + "\nin:\n" + printed);
  require(packages::print(*again) == printed, "printing is stable", printed);
}

void check_recipes(std::string_view text) {
  const auto recipes = packages::parse_recipes(text, "recipes");
  if (!recipes) {
    require(!recipes.error().message.empty(), "an error says what was found", text);
    return;
  }
  const auto printed = packages::print(*recipes);
  require(printed.has_value(), "what was read is UTF-8", text);
  const auto again = packages::parse_recipes(*printed, "recipes");
  require(again.has_value() && *packages::print(*again) == *printed, "printing is stable",
          *printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_manifest(text);
  check_recipes(text);
  return 0;
}
