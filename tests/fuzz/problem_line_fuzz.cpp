// Any problem line is refused with a message, or prints as a canonical line that stands for itself.
#include <cstdint>
#include <string>
#include <string_view>

#include "compiler/family.h"
#include "compiler/problem.h"
#include "tests/fuzz/require.h"

using lathe::fuzz::require;
namespace compiler = lathe::compiler;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto problem = compiler::parse_problem(line);
  if (!problem) {
    require(!problem.error().message.empty(), "an error says what was found", line);
    return 0;
  }
  const auto again = compiler::parse_problem(problem->line());
  require(again.has_value(), "a canonical line parses",
          again ? "" : again.error().message + "\nin: " + problem->line());
  require(again->line() == problem->line(), "a canonical line is its own canonical line",
          problem->line() + " | " + again->line());
  const auto reference = problem->family().reference(*problem);
  require(reference.has_value(), "a valid problem has a reference graph",
          reference ? "" : reference.error().message + "\nfor: " + problem->line());
  return 0;
}
