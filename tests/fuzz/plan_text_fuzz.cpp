// Any plan text is refused with a message, or is a plan that verifies and prints as a text that
// stands for it.
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/plan/plan.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace plan = lathe::ir::plan;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = plan::parse_plan(text);
  if (!read) {
    require(!read.error().message.empty(), "an error says what was found", text);
    return 0;
  }
  const auto verified = plan::verify(*read);
  require(verified.has_value(), "a plan that is read verifies",
          verified ? "" : verified.error().message);
  const std::string printed = plan::print_complete(*read);
  const auto again = plan::parse_plan(printed);
  require(again.has_value(), "a plan's text is read back",
          again ? "" : again.error().message + "\nin: " + printed);
  require(plan::equal_but_for_code(*again, *read), "a plan is read back as it was", printed);
  return 0;
}
