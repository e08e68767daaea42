// Built-in sizes (docs/tuning.md names their sources) and the config.json reader.
#include "compiler/models/model_config.h"

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

namespace lathe::compiler::models {
namespace {

using Json = nlohmann::json;

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

// Reads fields of one JSON object; the first problem is kept and named with its path.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) note("expected an object");
  }

  void integer(const char* field, int64_t& value, bool required, int64_t low = 1,
               int64_t high = int64_t{1} << 24) {
    const Json* found = find(field, required);
    if (found == nullptr) return;
    if (!found->is_number_integer()) return note(field, *found, "an integer");
    const auto number = found->get<int64_t>();
    if (number < low || number > high)
      return note(field, *found, fmt::format("an integer in {}..{}", low, high));
    value = number;
  }

  void number(const char* field, double& value) {
    const Json* found = find(field, false);
    if (found == nullptr) return;
    if (!found->is_number() || !(found->get<double>() > 0))
      return note(field, *found, "a positive number");
    value = found->get<double>();
  }

  const Json* find(const char* field, bool required) {
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(field);
    if (it != object_.end() && !it->is_null()) return &*it;
    if (required) note(fmt::format("field '{}' is missing", field));
    return nullptr;
  }

  void note(const char* field, const Json& found, std::string_view expected) {
    note(fmt::format("field '{}' is {}, expected {}", field, found.dump().substr(0, 60), expected));
  }
  void note(std::string message) {
    if (status_) status_ = fail(ErrorCode::invalid_argument, "{}: {}", where_, message);
  }
  const Status& status() const { return status_; }

 private:
  const Json& object_;
  std::string where_;
  Status status_;
};

// Positions: transformers 5 writes rope_parameters, older ones rope_theta and rope_scaling.
Status read_rope(const Json& object, const std::string& where, TextConfig& text) {
  Reader outer(object, where);
  outer.number("rope_theta", text.rope_theta);
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    const Json* rope = outer.find(field, false);
    if (rope == nullptr) continue;
    Reader reader(*rope, where + "." + field);
    reader.number("rope_theta", text.rope_theta);
    if (const Json* section = reader.find("mrope_section", false)) {
      bool good = section->is_array() && section->size() == 3;
      for (size_t i = 0; good && i < 3; ++i) {
        good = (*section)[i].is_number_integer() && (*section)[i].get<int64_t>() >= 0;
        if (good) text.mrope_section[i] = (*section)[i].get<int64_t>();
      }
      if (!good) reader.note("mrope_section", *section, "three integers");
    }
    LATHE_CHECK(reader.status());
  }
  LATHE_CHECK(outer.status());
  const auto& s = text.mrope_section;
  if (s[0] + s[1] + s[2] != text.head_dim / 2) {
    return fail(ErrorCode::invalid_argument,
                "{}: mrope_section {}, {}, {} sums to {}, expected head_dim / 2 = {}", where, s[0],
                s[1], s[2], s[0] + s[1] + s[2], text.head_dim / 2);
  }
  return {};
}

Status read_text(const Json& object, const std::string& where, TextConfig& text) {
  Reader reader(object, where);
  reader.integer("hidden_size", text.hidden_size, true);
  reader.integer("num_hidden_layers", text.layers, true, 1, 4096);
  reader.integer("num_attention_heads", text.attention_heads, true, 1, 4096);
  text.key_value_heads = text.attention_heads;
  reader.integer("num_key_value_heads", text.key_value_heads, false, 1, 4096);
  LATHE_CHECK(reader.status());
  text.head_dim = text.hidden_size / text.attention_heads;
  reader.integer("head_dim", text.head_dim, false, 2, 4096);
  reader.integer("intermediate_size", text.intermediate_size, true);
  reader.integer("vocab_size", text.vocabulary, true);
  reader.number("rms_norm_eps", text.rms_norm_eps);
  LATHE_CHECK(reader.status());
  if (text.head_dim % 2 != 0 || text.attention_heads % text.key_value_heads != 0) {
    return fail(
        ErrorCode::invalid_argument,
        "{}: head_dim {} must be even, and {} attention heads a multiple of {} key-value heads",
        where, text.head_dim, text.attention_heads, text.key_value_heads);
  }
  return read_rope(object, where, text);
}

Status read_vision(const Json& object, const std::string& where, VisionConfig& vision) {
  Reader reader(object, where);
  reader.integer("depth", vision.depth, true, 1, 4096);
  reader.integer("hidden_size", vision.hidden_size, true);
  reader.integer("intermediate_size", vision.intermediate_size, true);
  reader.integer("num_heads", vision.heads, true, 1, 4096);
  reader.integer("patch_size", vision.patch_size, false, 1, 1024);
  reader.integer("spatial_merge_size", vision.spatial_merge_size, false, 1, 64);
  reader.integer("temporal_patch_size", vision.temporal_patch_size, false, 1, 64);
  reader.integer("out_hidden_size", vision.out_hidden_size, true);
  reader.integer("num_position_embeddings", vision.position_embeddings, false);
  if (const Json* layers = reader.find("deepstack_visual_indexes", false)) {
    for (const Json& layer : *layers) {
      if (!layer.is_number_integer()) {
        reader.note("deepstack_visual_indexes", *layers, "a list of integers");
        break;
      }
      vision.deepstack_layers.push_back(layer.get<int64_t>());
    }
  }
  LATHE_CHECK(reader.status());
  if (vision.hidden_size % vision.heads != 0 || (vision.hidden_size / vision.heads) % 4 != 0) {
    return fail(ErrorCode::invalid_argument,
                "{}: hidden_size {} over {} heads must give a head size that is a multiple of 4",
                where, vision.hidden_size, vision.heads);
  }
  return {};
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

Result<ModelConfig> parse_model_config(std::string_view json, const std::string& origin) {
  const Json root = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded())
    return fail(ErrorCode::parse_error, "{} is not JSON; expected a Hugging Face config.json",
                origin);
  ModelConfig model;
  Reader reader(root, origin);
  const Json* type = reader.find("model_type", true);
  LATHE_CHECK(reader.status());
  const std::string found =
      type->is_string() ? type->get<std::string>() : type->dump().substr(0, 60);
  if (found != "qwen3_vl") {
    return fail(ErrorCode::unsupported, "{}: model_type is '{}', expected 'qwen3_vl'{}", origin,
                found,
                found == "qwen3_vl_moe" ? " (mixture-of-experts models are not supported)" : "");
  }
  if (const Json* tied = reader.find("tie_word_embeddings", false))
    model.tied_embeddings = tied->is_boolean() && tied->get<bool>();
  const Json* text = reader.find("text_config", true);
  const Json* vision = reader.find("vision_config", true);
  LATHE_CHECK(reader.status());
  LATHE_CHECK(read_text(*text, origin + ": text_config", model.text));
  LATHE_CHECK(read_vision(*vision, origin + ": vision_config", model.vision));
  model.name = std::filesystem::path(origin).parent_path().filename().string();
  if (model.name.empty()) model.name = origin;
  return model;
}

Result<ModelConfig> load_model(const std::string& name_or_path) {
  for (ModelConfig& model : builtin_configs())
    if (model.name == name_or_path) return std::move(model);
  std::filesystem::path path = name_or_path;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) path /= "config.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::string known;
    for (const std::string& name : builtin_models()) known += name + ", ";
    return fail(ErrorCode::not_found, "no model '{}': expected {}or a folder with a config.json",
                name_or_path, known);
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse_model_config(text.str(), path.string());
}

}  // namespace lathe::compiler::models
