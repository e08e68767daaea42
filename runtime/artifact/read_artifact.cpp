// Artifacts from bytes: nothing in them is believed before it is checked.
#include <algorithm>
#include <array>
#include <charconv>

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/image_format.h"
#include "runtime/artifact/json_field.h"
#include "support/hash.h"
#include "support/text.h"

namespace lathe::runtime {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostText = 1 << 16;  // bytes of a problem's line
constexpr size_t kMostName = 256;
constexpr size_t kMostKnobs = 64;
constexpr size_t kMostOperands = 64;
constexpr size_t kMostImages = 256;
constexpr size_t kMostLines = 1 << 16;
constexpr int64_t kMostRegisters = 64;

constexpr std::string_view kArtifactMagic = "lathe-artifact ";

template <typename... Args>
tl::unexpected<Error> bad_artifact(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::parse_error, "artifact: {}",
              fmt::format(format, std::forward<Args>(args)...));
}

// Bytes that are not those that were written.
tl::unexpected<Error> corrupt_artifact(std::string_view message) {
  return fail(ErrorCode::corrupt, "artifact: {}", message);
}

std::string checksum_of(std::string_view bytes) {
  return fmt::format("{:016x}", support::hash64(bytes));
}

// The bytes' first line: which format, and what the header is.
struct FirstLine {
  std::string_view header;
  std::string_view images;  // all that follows
};

// The number before a blank; consumes both.
Result<int64_t> take_number(std::string_view& line, std::string_view what) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc() || end == line.data() + line.size() || *end != ' ' || number < 0)
    return bad_artifact("first line: found '{}', expected {} and a blank", support::printable(line),
                        what);
  line.remove_prefix(static_cast<size_t>(end - line.data()) + 1);
  return number;
}

Result<FirstLine> read_first_line(std::string_view bytes) {
  constexpr size_t kMostLine = 80;
  if (static_cast<int64_t>(bytes.size()) > kMostArtifactBytes)
    return bad_artifact("found {} bytes, expected at most {}", bytes.size(), kMostArtifactBytes);
  if (!bytes.starts_with(kArtifactMagic))
    return bad_artifact("found other bytes than '{}' at the start: this is no artifact",
                        kArtifactMagic);
  const size_t end = bytes.substr(0, kMostLine).find('\n');
  if (end == std::string_view::npos) return bad_artifact("first line: found no end of it");
  std::string_view line = bytes.substr(kArtifactMagic.size(), end - kArtifactMagic.size());
  LATHE_TRY(const int64_t format, take_number(line, "the format's number"));
  if (format != kArtifactFormat)
    return fail(ErrorCode::unsupported,
                "artifact: found format {}, expected {}: it was written by another Lathe", format,
                kArtifactFormat);
  LATHE_TRY(const int64_t size, take_number(line, "the header's bytes"));
  const std::string_view rest = bytes.substr(end + 1);
  if (size > kMostHeaderBytes)
    return bad_artifact("first line: found a header of {} bytes, expected at most {}", size,
                        kMostHeaderBytes);
  if (static_cast<size_t>(size) > rest.size())
    return corrupt_artifact(fmt::format(
        "found {} bytes behind the first line, expected a header of {}: it is cut short",
        rest.size(), size));
  const std::string_view header = rest.substr(0, static_cast<size_t>(size));
  if (const std::string checksum = checksum_of(header); line != checksum)
    return corrupt_artifact(
        fmt::format("header: its checksum is {}, the first line says '{}': it is damaged", checksum,
                    support::printable(line)));
  return FirstLine{header, rest.substr(header.size())};
}

Result<Json> parse_header(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    return bad_artifact("header: {}", error.what());
  }
}

// A name of letters, digits, underscores and points; empty where that is allowed.
Result<std::string> read_word(const JsonField& field, std::string_view also = "") {
  LATHE_TRY(std::string text, field.text(kMostName));
  const auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           also.find(c) != std::string_view::npos;
  };
  if (text.empty() || !std::all_of(text.begin(), text.end(), fits))
    return field.wrong(fmt::format("found '{}', expected letters, digits{} and _",
                                   support::printable(text),
                                   also.empty() ? "" : fmt::format(", any of {}", also)));
  return text;
}

template <typename T>
Status read_number(const JsonField& object, std::string_view key, int64_t low, int64_t high,
                   T& number) {
  LATHE_TRY(const JsonField field, object[key]);
  LATHE_TRY(const int64_t value, field.integer(low, high));
  number = static_cast<T>(value);
  return {};
}

Status read_flag(const JsonField& object, std::string_view key, bool& flag) {
  LATHE_TRY(const JsonField field, object[key]);
  LATHE_TRY(flag, field.flag());
  return {};
}

Status read_name(const JsonField& object, std::string_view key, std::string_view also,
                 std::string& name) {
  LATHE_TRY(const JsonField field, object[key]);
  LATHE_TRY(name, read_word(field, also));
  return {};
}

Result<compiler::Problem> read_problem(const JsonField& field) {
  LATHE_TRY(const std::string line, field.text(kMostText));
  auto problem = compiler::parse_problem(line);
  if (!problem) return field.within(std::move(problem).error());
  if (problem->line() == line) return problem;
  return field.wrong(
      fmt::format("found a line that is not canonical, expected '{}'", problem->line()));
}

Result<compiler::Schedule> read_schedule(const JsonField& field) {
  compiler::Schedule schedule;
  LATHE_TRY(const auto knobs, field.list(kMostKnobs));
  for (const JsonField& knob : knobs) {
    LATHE_TRY(const auto pair, knob.list(2));
    if (pair.size() != 2) return knob.wrong("found one entry, expected a knob and its value");
    LATHE_TRY(const std::string name, read_word(pair[0]));
    LATHE_TRY(const int64_t value, pair[1].integer(INT64_MIN, INT64_MAX));
    if (schedule.has(name)) return knob.wrong(fmt::format("found '{}' a second time", name));
    schedule.set(name, value);
  }
  return schedule;
}

Result<ir::Target> read_target(const JsonField& field) {
  ir::Target target;
  LATHE_CHECK(read_name(field, "name", "", target.name));
  LATHE_TRY(const JsonField isa, field["isa"]);
  LATHE_TRY(const std::string path, isa.text(kMostName));
  auto parsed = ir::parse_isa(path);
  if (!parsed) return isa.within(std::move(parsed).error());
  target.isa = *parsed;
  LATHE_CHECK(read_number(field, "lanes", 1, 64, target.lanes));
  LATHE_CHECK(read_number(field, "vector_registers", 0, kMostRegisters, target.vector_registers));
  LATHE_CHECK(read_number(field, "mask_registers", 0, kMostRegisters, target.mask_registers));
  LATHE_CHECK(read_number(field, "general_registers", 0, kMostRegisters, target.general_registers));
  LATHE_CHECK(read_flag(field, "fused", target.fused));
  LATHE_CHECK(read_flag(field, "f16c", target.f16c));
  LATHE_CHECK(read_flag(field, "vnni", target.vnni));
  LATHE_TRY(const JsonField cpu, field["cpu"]);
  LATHE_TRY(target.cpu, cpu.text(kMostName));
  return target;
}

// "rows", "4*patches" or a number.
Result<ir::graph::Dim> read_dimension(const JsonField& field) {
  using ir::graph::Dim;
  using ir::graph::kMaxDim;
  if (!field.is_text()) {
    LATHE_TRY(const int64_t number, field.integer(0, kMaxDim));
    return Dim(number);
  }
  LATHE_TRY(const std::string text, read_word(field, "*"));
  const size_t star = text.find('*');
  Dim dim(star == std::string::npos ? text : text.substr(star + 1));
  if (star != std::string::npos) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + star, dim.factor);
    if (error != std::errc() || end != text.data() + star || dim.factor < 1 || dim.factor > kMaxDim)
      return field.wrong(fmt::format("found '{}', expected a number before the *", text));
  }
  if (dim.symbol.empty() || dim.symbol.find('*') != std::string::npos)
    return field.wrong(fmt::format("found '{}', expected a dimension's name", text));
  return dim;
}

Result<compiler::Signature> read_operands(const JsonField& field) {
  compiler::Signature signature;
  LATHE_TRY(const auto operands, field.list(kMostOperands));
  for (const JsonField& operand : operands) {
    compiler::Port& port = signature.emplace_back();
    LATHE_CHECK(read_name(operand, "name", ".", port.name));
    LATHE_TRY(const JsonField type, operand["type"]);
    LATHE_TRY(const std::string type_name, type.text(kMostName));
    auto parsed = ir::parse_type(type_name);
    if (!parsed) return type.within(std::move(parsed).error());
    port.type = *parsed;
    LATHE_TRY(const JsonField shape, operand["shape"]);
    LATHE_TRY(const auto dimensions, shape.list(ir::graph::kMaxRank));
    for (const JsonField& dimension : dimensions) {
      LATHE_TRY(port.shape.emplace_back(), read_dimension(dimension));
    }
    LATHE_CHECK(read_flag(operand, "output", port.output));
  }
  return signature;
}

// A call is checked against what was written, and made for what the family says today.
Status check_signature(const JsonField& field, const compiler::Problem& problem,
                       const compiler::Signature& found) {
  const compiler::Signature expected = problem.family().signature(problem);
  if (found.size() != expected.size())
    return field.wrong(fmt::format("found {} operands, expected the {} of {}", found.size(),
                                   expected.size(), problem.family().name));
  const auto text = [](const compiler::Port& port) {
    return fmt::format("{} {}: {}{}", port.output ? "output" : "input", port.name,
                       ir::name(port.type), ir::graph::to_string(port.shape));
  };
  for (size_t i = 0; i < found.size(); ++i) {
    if (text(found[i]) == text(expected[i])) continue;
    return field.wrong(fmt::format("found {}, expected {}: it was made for another revision of {}",
                                   text(found[i]), text(expected[i]), problem.family().name));
  }
  return {};
}

Result<support::IsaMask> read_isa(const JsonField& object) {
  LATHE_TRY(const JsonField field, object["required_isa"]);
  LATHE_TRY(const std::string text, field.text(kMostName * 4));
  auto mask = support::parse_isa_mask(text);
  if (mask) return mask;
  Error error = std::move(mask).error();
  error.code = ErrorCode::unsupported;
  error.message += ": this needs a newer Lathe, or a device that this one does not run";
  return field.within(std::move(error));
}

Result<ir::plan::Plan> read_plan(const JsonField& field, const ir::Target& target) {
  std::string text;
  LATHE_TRY(const auto lines, field.list(kMostLines));
  for (const JsonField& line : lines) {
    LATHE_TRY(const std::string each, line.text(kMostText));
    text += each + "\n";
  }
  auto plan = ir::plan::parse_plan(text);
  if (!plan) return field.within(std::move(plan).error());
  for (ir::program::Program& program : plan->programs) program.target = target;
  return plan;
}

// An image whose code stands at the beginning of `bytes`; consumes it.
Result<codegen::KernelImage> read_image(const JsonField& field, std::string_view& bytes) {
  codegen::KernelImage image;
  LATHE_CHECK(read_name(field, "name", "", image.name));
  LATHE_TRY(const JsonField format, field["format"]);
  LATHE_TRY(const std::string format_name, format.text(kMostName));
  auto known = parse_image_format(format_name);
  if (!known) return format.within(std::move(known).error());
  image.format = *known;
  LATHE_CHECK(read_name(field, "backend", "", image.backend));
  LATHE_TRY(image.required_isa, read_isa(field));
  int64_t size = 0;
  LATHE_CHECK(read_number(field, "bytes", 1, kMostArtifactBytes, size));
  LATHE_CHECK(read_number(field, "entry", 0, size - 1, image.entry));
  LATHE_CHECK(read_number(field, "code_bytes", 0, size - static_cast<int64_t>(image.entry),
                          image.code_bytes));
  LATHE_CHECK(
      read_number(field, "vector_registers", 0, kMostRegisters, image.vector_registers_used));
  LATHE_CHECK(
      read_number(field, "general_registers", 0, kMostRegisters, image.general_registers_used));
  if (static_cast<size_t>(size) > bytes.size())
    return field.wrong(
        fmt::format("found {} bytes left, expected the {} of its code: it is cut short",
                    bytes.size(), size),
        ErrorCode::corrupt);
  const std::string_view code = bytes.substr(0, static_cast<size_t>(size));
  bytes.remove_prefix(code.size());
  LATHE_TRY(const JsonField checksum_field, field["xxh3"]);
  LATHE_TRY(const std::string checksum, checksum_field.text(kMostName));
  if (const std::string found = checksum_of(code); found != checksum)
    return checksum_field.wrong(fmt::format("found '{}', the code's checksum is {}: it is damaged",
                                            support::printable(checksum), found),
                                ErrorCode::corrupt);
  const auto* begin = reinterpret_cast<const std::byte*>(code.data());
  image.code.assign(begin, begin + code.size());
  return image;
}

Status read_images(const JsonField& header, std::string_view bytes, Artifact& artifact) {
  LATHE_TRY(const JsonField field, header["images"]);
  LATHE_TRY(const auto images, field.list(kMostImages));
  if (images.size() != artifact.plan.programs.size())
    return field.wrong(
        fmt::format("found {} images, expected one for each of the plan's {} "
                    "programs",
                    images.size(), artifact.plan.programs.size()));
  for (const JsonField& image : images) {
    LATHE_TRY(artifact.images.emplace_back(), read_image(image, bytes));
  }
  if (!bytes.empty()) return bad_artifact("found {} bytes behind the last image", bytes.size());
  LATHE_TRY(const support::IsaMask isa, read_isa(header));
  if (isa == artifact.required_isa()) return {};
  return header.wrong(fmt::format("found required_isa {}, its images need {}",
                                  support::to_string(isa),
                                  support::to_string(artifact.required_isa())));
}

}  // namespace

Result<Artifact> read_artifact(std::string_view bytes) {
  LATHE_TRY(const FirstLine line, read_first_line(bytes));
  LATHE_TRY(const Json json, parse_header(line.header));
  const JsonField header(json);
  Artifact artifact;
  artifact.has_programs = false;
  LATHE_TRY(const JsonField problem, header["problem"]);
  LATHE_TRY(artifact.problem, read_problem(problem));
  LATHE_CHECK(read_name(header, "compiler", ".-+", artifact.compiler_version));
  LATHE_CHECK(read_number(header, "revision", 0, INT32_MAX, artifact.revision));
  LATHE_TRY(const JsonField target, header["target"]);
  LATHE_TRY(artifact.target, read_target(target));
  LATHE_TRY(const JsonField schedule, header["schedule"]);
  LATHE_TRY(artifact.schedule, read_schedule(schedule));
  LATHE_TRY(const JsonField plan, header["plan"]);
  LATHE_TRY(artifact.plan, read_plan(plan, artifact.target));
  LATHE_TRY(const JsonField operands, header["operands"]);
  LATHE_TRY(const compiler::Signature signature, read_operands(operands));
  LATHE_CHECK(check_signature(operands, artifact.problem, signature));
  auto rules = operand_rules(artifact.problem.family().signature(artifact.problem), artifact.plan);
  if (!rules) return operands.within(std::move(rules).error());
  artifact.operands = std::move(*rules);
  artifact.inputs = count_inputs(artifact.operands);
  LATHE_CHECK(read_images(header, line.images, artifact));
  // Nothing stands in the bytes that was not read, nor twice, nor in another way.
  LATHE_TRY(const std::string again, write_artifact(artifact));
  if (again == bytes) return artifact;
  const auto differs = std::mismatch(again.begin(), again.end(), bytes.begin(), bytes.end());
  return bad_artifact("byte {} is not what Lathe writes for such an artifact",
                      differs.second - bytes.begin());
}

}  // namespace lathe::runtime
