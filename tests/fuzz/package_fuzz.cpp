// Any bytes under a seal that fits them are refused with a message, or are a package whose manifest
// lists what it has: what somebody meets who takes unsigned packages.
#include <cstdint>
#include <string>

#include "runtime/packages/digest.h"
#include "runtime/packages/package.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace packages = lathe::runtime::packages;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kSealDigits = 64;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size >= kSealDigits) {
    bytes.resize(size - kSealDigits);
    bytes += *packages::blake2b(bytes);
  }
  const auto package = packages::parse_package(bytes, "p.lathe", packages::TrustedKeys());
  if (!package) {
    require(!package.error().message.empty(), "an error says what was found", "no message");
    return 0;
  }
  size_t records = 0;
  for (const packages::Recipes& recipes : package->recipes) records += recipes.winners.size();
  require(records <= package->manifest.kernels.size(), "the manifest lists every record",
          packages::print(package->manifest));
  return 0;
}
