// Built-in sizes (docs/tuning.md names their sources), and where a config.json is looked for.
#include "compiler/models/model_config.h"

#include "compiler/models/config_json.h"
#include "support/files.h"

namespace lathe::compiler::models {
namespace {

ModelConfig builtin(std::string name, int64_t hidden, int64_t layers, int64_t heads, int64_t mlp,
                    bool tied, int64_t depth, int64_t vision_width, int64_t vision_mlp,
                    std::vector<int64_t> deepstack) {
  ModelConfig model;
  model.name = std::move(name);
  model.tied_embeddings = tied;
  model.text.hidden_size = hidden;
  model.text.layers = layers;
  model.text.attention_heads = heads;
  model.text.key_value_heads = 8;
  model.text.intermediate_size = mlp;
  model.vision.depth = depth;
  model.vision.hidden_size = vision_width;
  model.vision.intermediate_size = vision_mlp;
  model.vision.out_hidden_size = hidden;
  model.vision.deepstack_layers = std::move(deepstack);
  return model;
}

std::vector<ModelConfig> builtin_configs() {
  return {
      builtin("qwen3-vl-2b", 2048, 28, 16, 6144, true, 24, 1024, 4096, {5, 11, 17}),
      builtin("qwen3-vl-4b", 2560, 36, 32, 9728, true, 24, 1024, 4096, {5, 11, 17}),
      builtin("qwen3-vl-8b", 4096, 36, 32, 12288, false, 27, 1152, 4304, {8, 16, 24}),
      builtin("qwen3-vl-32b", 5120, 64, 64, 25600, false, 27, 1152, 4304, {8, 16, 24}),
  };
}

}  // namespace

const std::vector<std::string>& builtin_models() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const ModelConfig& model : builtin_configs()) list.push_back(model.name);
    return list;
  }();
  return names;
}

Result<ModelConfig> load_model(const std::string& name_or_path) {
  for (ModelConfig& model : builtin_configs())
    if (model.name == name_or_path) return std::move(model);
  std::filesystem::path path = name_or_path;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) path /= "config.json";
  const auto text = support::read_file(path, kMaxConfigBytes);
  if (text) return parse_model_config(*text, path.string());
  if (text.error().code != ErrorCode::not_found) return tl::unexpected(text.error());
  return fail(ErrorCode::not_found, "no model '{}': expected {} or a folder with a config.json",
              name_or_path, fmt::join(builtin_models(), ", "));
}

}  // namespace lathe::compiler::models
