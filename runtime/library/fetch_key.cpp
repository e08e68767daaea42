// Members of operations as parameters of problems.
#include "runtime/library/fetch_key.h"

#include <variant>

namespace lathe::runtime {
namespace detail {

void ProblemWriter::operator()(std::string_view name, int64_t value) {
  const compiler::ParameterSpec* spec = family_.parameter(name);
  const bool is_bucket =
      spec != nullptr && std::holds_alternative<compiler::Bucket>(spec->default_value);
  if (!is_bucket) {
    builder_.set(name, value);
  } else if (value >= 1) {
    builder_.set(name, compiler::bucket_of(value));
  } else if (status_) {
    status_ = fail(ErrorCode::invalid_argument, "{}: {} is {}, expected at least 1", family_.name,
                   name, value);
  }
}

void ProblemWriter::operator()(std::string_view name, DataType value) {
  if (static_cast<unsigned>(value) <= static_cast<unsigned>(DataType::q4_K)) {
    builder_.set(name, static_cast<ir::Type>(value));
  } else if (status_) {
    status_ = fail(ErrorCode::invalid_argument, "{}: {} number {} is unknown", family_.name, name,
                   static_cast<int>(value));
  }
}

Result<compiler::Problem> ProblemWriter::build() {
  if (!status_) return tl::unexpected(status_.error());
  return builder_.build();
}

}  // namespace detail
}  // namespace lathe::runtime
