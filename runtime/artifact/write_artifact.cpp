// Artifacts as bytes: a line, a header in JSON, the images.
#include <nlohmann/json.hpp>

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/image_format.h"
#include "support/hash.h"

namespace lathe::runtime {
namespace {

using Json = nlohmann::ordered_json;

std::string_view code_of(const codegen::KernelImage& image) {
  return {reinterpret_cast<const char*>(image.code.data()), image.code.size()};
}

Json target_json(const ir::Target& target) {
  return {{"name", target.name},
          {"isa", ir::name(target.isa)},
          {"lanes", target.lanes},
          {"vector_registers", target.vector_registers},
          {"mask_registers", target.mask_registers},
          {"general_registers", target.general_registers},
          {"fused", target.fused},
          {"f16c", target.f16c},
          {"vnni", target.vnni},
          {"cpu", target.cpu}};
}

Json operand_json(const OperandRule& rule) {
  Json shape = Json::array();
  for (const OperandRule::Dimension& dimension : rule.shape) {
    if (dimension.symbol.empty()) {
      shape.push_back(dimension.factor);
    } else {
      shape.push_back(ir::graph::to_string(dimension.factor * ir::graph::Dim(dimension.symbol)));
    }
  }
  return {{"name", rule.name},
          {"type", ir::name(rule.type)},
          {"shape", std::move(shape)},
          {"output", rule.output}};
}

Result<Json> image_json(const codegen::KernelImage& image) {
  LATHE_TRY(const std::string_view format, image_format_name(image.format));
  return Json{{"name", image.name},
              {"format", format},
              {"backend", image.backend},
              {"required_isa", support::to_string(image.required_isa)},
              {"bytes", image.code.size()},
              {"code_bytes", image.code_bytes},
              {"entry", image.entry},
              {"vector_registers", image.vector_registers_used},
              {"general_registers", image.general_registers_used},
              {"xxh3", fmt::format("{:016x}", support::hash64(code_of(image)))}};
}

// One a line, as people read them.
Json lines_of(std::string_view text) {
  Json lines = Json::array();
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

Result<std::string> header_of(const Artifact& artifact) {
  Json knobs = Json::array(), operands = Json::array(), images = Json::array();
  for (const auto& [knob, value] : artifact.schedule.knobs())
    knobs.push_back(Json::array({knob, value}));
  for (const OperandRule& rule : artifact.operands) operands.push_back(operand_json(rule));
  for (const codegen::KernelImage& image : artifact.images) {
    LATHE_TRY(images.emplace_back(), image_json(image));
  }
  const Json header = {{"problem", artifact.problem.line()},
                       {"compiler", artifact.compiler_version},
                       {"revision", artifact.revision},
                       {"required_isa", support::to_string(artifact.required_isa())},
                       {"target", target_json(artifact.target)},
                       {"schedule", std::move(knobs)},
                       {"operands", std::move(operands)},
                       {"plan", lines_of(ir::plan::print_complete(artifact.plan))},
                       {"images", std::move(images)}};
  return header.dump(1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string print(const Artifact& artifact) {
  auto header = header_of(artifact);
  return header ? std::move(*header) : header.error().message + "\n";
}

Result<std::string> write_artifact(const Artifact& artifact) {
  LATHE_TRY(const std::string header, header_of(artifact));
  std::string bytes = fmt::format("lathe-artifact {} {} {:016x}\n", kArtifactFormat, header.size(),
                                  support::hash64(header));
  bytes += header;
  for (const codegen::KernelImage& image : artifact.images) bytes += code_of(image);
  if (static_cast<int64_t>(header.size()) <= kMostHeaderBytes &&
      static_cast<int64_t>(bytes.size()) <= kMostArtifactBytes)
    return bytes;
  return fail(ErrorCode::invalid_argument,
              "{}: found a header of {} bytes and {} bytes in all, expected at most {} and {}",
              artifact.problem.line(), header.size(), bytes.size(), kMostHeaderBytes,
              kMostArtifactBytes);
}

}  // namespace lathe::runtime
