// Reading, checking and printing problem lines.
#include "compiler/problem.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "compiler/family.h"
#include "compiler/fragment.h"
#include "ir/graph/ops.h"

namespace lathe::compiler {
namespace {

constexpr std::string_view kKinds[] = {"an integer", "a number", "true or false",
                                       "a text",     "a type",   "a bucket"};

std::string print(const Value& value) {
  struct Printer {
    std::string operator()(int64_t integer) const { return std::to_string(integer); }
    std::string operator()(double number) const { return fmt::format("{}", number); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(ir::Type type) const { return std::string(ir::name(type)); }
    std::string operator()(const Bucket& bucket) const { return compiler::print(bucket); }
    std::string operator()(const support::VariantGuard&) const { return {}; }  // never held
  };
  return std::visit(Printer{}, value);
}

template <typename T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// `text` as the kind that the parameter's default has.
Result<Value> read(const ParameterSpec& spec, std::string_view text) {
  const auto expected = [&](std::string_view what) {
    return fail(ErrorCode::invalid_argument, "found '{}', expected {}", text, what);
  };
  switch (spec.default_value.index()) {
    case 0: {
      int64_t integer = 0;
      if (!read_number(text, integer)) return expected("an integer");
      return integer;
    }
    case 1: {
      double number = 0;
      if (!read_number(text, number) || !std::isfinite(number)) return expected("a number");
      return number;
    }
    case 2:
      if (text != "true" && text != "false") return expected("true or false");
      return text == "true";
    case 3: return std::string(text);
    case 4: {
      LATHE_TRY(const ir::Type type, ir::parse_type(text));
      return type;
    }
    default: {
      LATHE_TRY(const Bucket bucket, parse_bucket(text));
      return bucket;
    }
  }
}

Status check_range(const ParameterSpec& spec, const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    if (*integer < spec.low || *integer > spec.high) {
      return fail(ErrorCode::invalid_argument, "found {}, expected {}", *integer,
                  spec.high == INT64_MAX ? fmt::format("at least {}", spec.low)
                                         : fmt::format("{} to {}", spec.low, spec.high));
    }
  }
  const bool chosen = spec.choices.empty() || std::find(spec.choices.begin(), spec.choices.end(),
                                                        print(value)) != spec.choices.end();
  if (!chosen) {
    return fail(ErrorCode::invalid_argument, "found '{}', expected one of {}", print(value),
                fmt::join(spec.choices, ", "));
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (text->find_first_of(" \t\n") != std::string::npos) {
      return fail(ErrorCode::invalid_argument, "found '{}', expected a text without blanks", *text);
    }
  }
  return {};
}

/// The value as the canonical line has it, or why the parameter cannot have it.
Result<Value> check_value(const ParameterSpec& spec, Value value) {
  LATHE_CHECK(check_range(spec, value));
  if (!spec.fragment) return value;
  LATHE_TRY(const Fragment fragment, Fragment::parse(std::get<std::string>(value)));
  return fragment.text();
}

tl::unexpected<Error> unknown_parameter(const Family& family, std::string_view name) {
  std::vector<std::string_view> names;
  for (const ParameterSpec& spec : family.parameters) names.push_back(spec.name);
  const std::string_view nearest = ir::graph::nearest_name(name, names);
  return fail(ErrorCode::invalid_argument, "{}: unknown parameter '{}'; {}", family.name, name,
              nearest.empty() ? fmt::format("expected one of {}", fmt::join(names, ", "))
                              : fmt::format("did you mean '{}'?", nearest));
}

bool is_blocks(const Value& value) {
  const auto* type = std::get_if<ir::Type>(&value);
  return type != nullptr && ir::info(*type).block_elements > 1;
}

Error in_parameter(const Family& family, std::string_view name, Error error) {
  error.message = fmt::format("{}: {}: {}", family.name, name, error.message);
  error.code = ErrorCode::invalid_argument;
  return error;
}

}  // namespace

const ParameterSpec* Family::parameter(std::string_view parameter_name) const {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(),
                   [&](const ParameterSpec& spec) { return spec.name == parameter_name; });
  return found == parameters.end() ? nullptr : &*found;
}

ProblemBuilder::ProblemBuilder(const Family& family) : family_(&family) {}

ProblemBuilder& ProblemBuilder::set(std::string_view name, Value value) {
  if (!status_) return *this;
  const ParameterSpec* spec = family_->parameter(name);
  if (spec == nullptr) {
    status_ = unknown_parameter(*family_, name);
    return *this;
  }
  if (spec->default_value.index() != value.index()) {
    status_ = fail(ErrorCode::invalid_argument, "{}: {}: found {}, expected {}", family_->name,
                   name, print(value), kKinds[spec->default_value.index()]);
    return *this;
  }
  auto checked = check_value(*spec, std::move(value));
  if (!checked) {
    status_ = tl::unexpected(in_parameter(*family_, name, std::move(checked).error()));
    return *this;
  }
  values_.insert_or_assign(std::string(name), std::move(*checked));
  return *this;
}

ProblemBuilder& ProblemBuilder::set_text(std::string_view name, std::string_view text) {
  if (!status_) return *this;
  const ParameterSpec* spec = family_->parameter(name);
  if (spec == nullptr) {
    status_ = unknown_parameter(*family_, name);
    return *this;
  }
  auto value = read(*spec, text);
  if (!value) {
    status_ = tl::unexpected(in_parameter(*family_, name, std::move(value).error()));
    return *this;
  }
  return set(name, std::move(*value));
}

Result<Problem> ProblemBuilder::build() {
  LATHE_CHECK(Status(status_));
  Problem problem;
  problem.family_ = family_;
  problem.line_ = family_->name;
  for (const ParameterSpec& spec : family_->parameters) {
    const Value& fallback =
        spec.default_of.empty() || is_blocks(problem.values_.at(spec.default_of))
            ? spec.default_value
            : problem.values_.at(spec.default_of);
    const auto given = values_.find(spec.name);
    if (given == values_.end() && spec.required) {
      return fail(ErrorCode::invalid_argument, "{}: {} is missing: {}", family_->name, spec.name,
                  spec.meaning);
    }
    const Value& value = given == values_.end() ? fallback : given->second;
    if (spec.required || value != fallback) {
      problem.line_ += fmt::format(" {}={}", spec.name, print(value));
    }
    problem.values_.emplace(spec.name, value);
  }
  if (family_->validate != nullptr) {
    if (auto valid = family_->validate(problem); !valid) {
      return fail_with_context(family_->name, std::move(valid).error());
    }
  }
  return problem;
}

Result<Sizes> parse_sizes(std::string_view text) {
  Sizes sizes;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t equals = item.find('=');
    int64_t size = 0;
    if (equals == 0 || equals == std::string_view::npos ||
        !read_number(item.substr(equals + 1), size) || size < 0) {
      return fail(ErrorCode::invalid_argument,
                  "sizes: found '{}', expected name=size such as rows=512", item);
    }
    sizes.insert_or_assign(std::string(item.substr(0, equals)), size);
  }
  return sizes;
}

std::string print(const Sizes& sizes) {
  std::vector<std::string> parts;
  for (const auto& [name, size] : sizes) parts.push_back(fmt::format("{}={}", name, size));
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace lathe::compiler
