// The conditions, in the order in which a person would want to know of them.
#include "runtime/library/record_trust.h"

#include <string>

#include "support/text.h"

namespace lathe::runtime {

Result<compiler::Schedule> usable_schedule(const store::Winner& record,
                                           const compiler::SearchSpace& space) {
  for (const std::string* text : {&record.schedule, &record.runner_up, &record.bound,
                                  &record.verified, &record.why, &record.session}) {
    if (!support::is_printable(*text)) {
      return fail(ErrorCode::mismatch, "the record has text that no writer of ours makes: '{}'",
                  support::printable(*text));
    }
  }
  if (record.verified.empty()) return fail(ErrorCode::mismatch, "the record was never checked");
  auto schedule = space.parse(record.schedule);
  if (!schedule || !space.holds(*schedule)) {
    return fail(ErrorCode::mismatch, "the record's schedule '{}' is not in today's search space",
                record.schedule);
  }
  return std::move(*schedule);
}

}  // namespace lathe::runtime
