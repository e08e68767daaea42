// Any bytes read as .npy or .npz are refused, or give tensors that survive being written again.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "ir/npy.h"
#include "ir/npz.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace ir = lathe::ir;

namespace {

void check_round_trip(const ir::Tensor& tensor) {
  const auto again = ir::parse_npy(ir::format_npy(tensor));
  require(again.has_value(), "a written tensor is read", again ? "" : again.error().message);
  require(again->shape() == tensor.shape() && again->type() == tensor.type() &&
              (tensor.bytes() == 0 ||
               std::memcmp(again->data(), tensor.data(), static_cast<size_t>(tensor.bytes())) == 0),
          "reading gives what was written", "a different tensor");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (const auto tensor = ir::parse_npy(bytes)) check_round_trip(*tensor);
  const auto archive = ir::Npz::parse(bytes);
  if (!archive) return 0;
  for (const std::string& name : archive->names()) {
    if (const auto tensor = archive->read(name)) check_round_trip(*tensor);
  }
  return 0;
}
