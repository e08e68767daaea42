// Reads a Qwen3-VL config.json as the reference implementation does (transformers 5.23,
// configuration_qwen3_vl.py: its defaults, its older names), and refuses what Lathe's kernels would
// not compute.
#include <algorithm>
#include <filesystem>
#include <set>

#include "compiler/models/config_json.h"
#include "compiler/models/model_config.h"

namespace lathe::compiler::models {
namespace {

// Far beyond any published model, and near enough that no product of two overflows.
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxHeads = 4096;

constexpr std::string_view kOtherModel =
    "Lathe has the kernels of Qwen3-VL only: choose such a model, or correct the file";
constexpr std::string_view kOtherExperts =
    "mixture-of-experts models are not supported: choose a dense one";

// The defaults of the reference's classes; no published model has them all.
ModelConfig reference_defaults() {
  ModelConfig model;
  model.text = {.hidden_size = 4096,
                .layers = 32,
                .attention_heads = 32,
                .key_value_heads = 32,
                .head_dim = 128,
                .intermediate_size = 22016,
                .vocabulary = 151936,
                .rms_norm_eps = 1e-6,
                .rope_theta = 5e5,
                .mrope_section = {24, 20, 20}};
  model.vision = {.depth = 27,
                  .hidden_size = 1152,
                  .intermediate_size = 4304,
                  .heads = 16,
                  .patch_size = 16,
                  .spatial_merge_size = 2,
                  .temporal_patch_size = 2,
                  .out_hidden_size = 3584,
                  .position_embeddings = 48 * 48,
                  .deepstack_layers = {8, 16, 24}};
  return model;
}

// Positions: transformers 5 writes rope_parameters, older ones rope_scaling and rope_theta.
Status read_rope(const std::string& origin, ConfigReader& outer,
                 const std::vector<ConfigScope>& scopes, TextConfig& text) {
  const std::vector<ConfigScope> inner = outer.objects({"rope_parameters", "rope_scaling"});
  LATHE_CHECK(outer.status());
  std::vector<ConfigScope> all = inner;
  all.insert(all.end(), scopes.begin(), scopes.end());
  ConfigReader theta(origin, std::move(all));
  theta.number({"rope_theta"}, text.rope_theta, 1e30);
  theta.only({"partial_rotary_factor"}, {1, 1.0}, kOtherModel);
  LATHE_CHECK(theta.status());

  ConfigReader rope(origin, inner);
  constexpr std::string_view kScaled =
      "Lathe computes unscaled positions only; sizes and kernels do not depend on the angles, so "
      "to tune, set it to \"default\"";
  rope.only({"rope_type"}, {"default", "mrope"}, kScaled);
  rope.only({"type"}, {"default", "mrope"}, kScaled);
  rope.only(
      {"mrope_interleaved"}, {true},
      "Lathe interleaves the axes as Qwen3-VL does: choose such a model, or correct the file");
  if (const auto section = rope.find({"mrope_section"})) {
    const Json& list = *section.value;
    bool good = list.is_array() && list.size() == text.mrope_section.size();
    for (size_t i = 0; good && i < list.size(); ++i) {
      good = list[i].is_number_unsigned() && list[i].get<uint64_t>() <= uint64_t{kMaxHeads};
      if (good) text.mrope_section[i] = list[i].get<int64_t>();
    }
    if (!good)
      rope.refuse(section, "three integers from 0 on, their sum half of head_dim", "correct it");
  }
  LATHE_CHECK(rope.status());
  const auto& s = text.mrope_section;
  if (s[0] + s[1] + s[2] != text.head_dim / 2) {
    rope.refuse(fmt::format(
        "{}, which sums to {}, expected head_dim / 2 = {}; correct mrope_section or head_dim",
        rope.describe({"mrope_section"}, fmt::format("[{}]", fmt::join(s, ", "))),
        s[0] + s[1] + s[2], text.head_dim / 2));
  }
  return rope.status();
}

void refuse_other_decoders(ConfigReader& reader) {
  reader.only({"hidden_act", "hidden_activation"}, {"silu", "swish"}, kOtherModel);
  reader.only({"attention_bias"}, {false}, kOtherModel);
  reader.only({"mlp_bias"}, {false}, kOtherModel);
  reader.only({"use_sliding_window"}, {false}, kOtherModel);
  reader.only({"num_experts", "num_local_experts"}, {0}, kOtherExperts);
  if (const auto types = reader.find({"layer_types"})) {
    const bool full = types.value->is_array() &&
                      std::all_of(types.value->begin(), types.value->end(),
                                  [](const Json& type) { return type == "full_attention"; });
    if (!full)
      reader.refuse(types, "\"full_attention\" for every layer", kOtherModel,
                    ErrorCode::unsupported);
  }
}

Status read_text(const std::string& origin, const std::vector<ConfigScope>& scopes,
                 TextConfig& text) {
  ConfigReader reader(origin, scopes);
  refuse_other_decoders(reader);
  reader.integer({"hidden_size"}, text.hidden_size, 1, kMaxWidth);
  reader.integer({"num_hidden_layers"}, text.layers, 1, kMaxLayers);
  if (const auto types = reader.find({"layer_types"});
      types && types.value->size() != static_cast<size_t>(text.layers)) {
    reader.refuse(types, fmt::format("one for each of num_hidden_layers = {}", text.layers),
                  "correct one of them");
  }
  reader.integer({"num_attention_heads"}, text.attention_heads, 1, kMaxHeads);
  // Missing is the class's default; null is one for each head.
  if (reader.is_null({"num_key_value_heads"})) text.key_value_heads = text.attention_heads;
  reader.integer({"num_key_value_heads"}, text.key_value_heads, 1, kMaxHeads);
  reader.integer({"head_dim"}, text.head_dim, 2, 4096);
  reader.integer({"intermediate_size"}, text.intermediate_size, 1, kMaxWidth);
  reader.integer({"vocab_size"}, text.vocabulary, 1, kMaxVocabulary);
  reader.number({"rms_norm_eps"}, text.rms_norm_eps, 1);
  LATHE_CHECK(reader.status());
  if (text.attention_heads % text.key_value_heads != 0) {
    reader.refuse(
        fmt::format("{}, expected a divisor of num_attention_heads = {}; correct one of them",
                    reader.describe({"num_key_value_heads"}, std::to_string(text.key_value_heads)),
                    text.attention_heads));
  }
  if (text.head_dim % 2 != 0) {
    reader.refuse(fmt::format("{}, expected an even number: positions turn pairs; correct it",
                              reader.describe({"head_dim"}, std::to_string(text.head_dim))));
  }
  if (text.attention_heads * text.head_dim > kMaxWidth) {
    reader.refuse(fmt::format(
        "{} for {} attention heads, expected at most {} elements in all heads; correct one of them",
        reader.describe({"head_dim"}, std::to_string(text.head_dim)), text.attention_heads,
        kMaxWidth));
  }
  LATHE_CHECK(reader.status());
  return read_rope(origin, reader, scopes, text);
}

// Which layers' outputs the text decoder gets, one after each of its own first layers.
void read_deepstack(ConfigReader& reader, VisionConfig& vision, int64_t text_layers) {
  ConfigReader::Names names = {"deepstack_visual_indexes"};
  const auto field = reader.find(names);
  bool good = true;
  if (field) {
    good = field.value->is_array();
    vision.deepstack_layers.clear();
    for (size_t i = 0; good && i < field.value->size(); ++i) {
      const Json& layer = (*field.value)[i];
      good = layer.is_number_unsigned() && layer.get<uint64_t>() < uint64_t{kMaxLayers};
      if (good) vision.deepstack_layers.push_back(layer.get<int64_t>());
    }
  }
  const std::vector<int64_t>& layers = vision.deepstack_layers;
  const std::set<int64_t> different(layers.begin(), layers.end());
  good = good && different.size() == layers.size() &&
         (layers.empty() || *different.rbegin() < vision.depth);
  const std::string found =
      field ? abridged(*field.value) : fmt::format("[{}]", fmt::join(layers, ", "));
  if (!good) {
    reader.refuse(fmt::format(
        "{}, expected a list of different integers in 0..{}, as depth is {}; list layers of this "
        "vision tower, or [] for none",
        reader.describe(names, found), vision.depth - 1, vision.depth));
  } else if (static_cast<int64_t>(layers.size()) > text_layers) {
    reader.refuse(fmt::format(
        "{}, expected at most {} layers, as many as num_hidden_layers of the text; correct one of "
        "them",
        reader.describe(names, found), text_layers));
  }
}

Status read_vision(const std::string& origin, ConfigScope scope, const TextConfig& text,
                   VisionConfig& vision) {
  ConfigReader reader(origin, {scope});
  reader.only({"model_type"}, {"qwen3_vl", "qwen3_vl_vision"}, kOtherModel);
  reader.only({"hidden_act", "hidden_activation"}, {"gelu_pytorch_tanh"}, kOtherModel);
  reader.only({"in_channels", "in_chans"}, {3}, kOtherModel);
  for (const ConfigScope& inner : reader.objects({"rope_parameters", "rope_scaling"})) {
    ConfigReader rope(origin, {inner});
    rope.only({"rope_type", "type"}, {"axial", "default"}, kOtherModel);
    rope.only({"rope_theta"}, {10000, 10000.0}, kOtherModel);
    LATHE_CHECK(rope.status());
  }
  reader.integer({"depth", "num_hidden_layers"}, vision.depth, 1, kMaxLayers);
  reader.integer({"hidden_size"}, vision.hidden_size, 1, kMaxWidth);
  reader.integer({"intermediate_size"}, vision.intermediate_size, 1, kMaxWidth);
  reader.integer({"num_heads", "num_attention_heads"}, vision.heads, 1, kMaxHeads);
  reader.integer({"patch_size"}, vision.patch_size, 1, 1024);
  reader.integer({"spatial_merge_size"}, vision.spatial_merge_size, 1, 64);
  reader.integer({"temporal_patch_size"}, vision.temporal_patch_size, 1, 64);
  reader.integer({"out_hidden_size"}, vision.out_hidden_size, 1, kMaxWidth);
  reader.integer({"num_position_embeddings"}, vision.position_embeddings, 1, kMaxVocabulary);
  LATHE_CHECK(reader.status());

  const auto refuse = [&](ConfigReader::Names names, int64_t value, std::string_view expected) {
    reader.refuse(
        fmt::format("{}, expected {}", reader.describe(names, std::to_string(value)), expected));
  };
  if (vision.hidden_size % (4 * vision.heads) != 0) {
    refuse({"hidden_size"}, vision.hidden_size,
           fmt::format("a multiple of 4 for each of {} heads: positions turn pairs of rows and of "
                       "columns; correct one of them",
                       vision.heads));
  }
  const int64_t merged = vision.spatial_merge_size * vision.spatial_merge_size * vision.hidden_size;
  if (merged > kMaxWidth) {
    refuse({"spatial_merge_size"}, vision.spatial_merge_size,
           fmt::format("its square times hidden_size = {} to be at most {}; correct one of them",
                       vision.hidden_size, kMaxWidth));
  }
  const int64_t pixels = 3 * vision.temporal_patch_size * vision.patch_size * vision.patch_size;
  if (pixels > kMaxWidth) {
    refuse({"patch_size"}, vision.patch_size,
           fmt::format("a patch of {} frames to have at most {} values; correct patch_size or "
                       "temporal_patch_size",
                       vision.temporal_patch_size, kMaxWidth));
  }
  int64_t side = 1;
  while (side * side < vision.position_embeddings) ++side;
  if (side * side != vision.position_embeddings) {
    refuse({"num_position_embeddings"}, vision.position_embeddings,
           "a square number, the table's side times itself; correct it");
  }
  if (vision.out_hidden_size != text.hidden_size) {
    refuse({"out_hidden_size"}, vision.out_hidden_size,
           fmt::format("the text's hidden_size = {}: image tokens take the place of text tokens; "
                       "correct one of them",
                       text.hidden_size));
  }
  read_deepstack(reader, vision, text.layers);
  return reader.status();
}

// The weights' type, as the file's object or else the text's names it.
Status read_dtype(const std::string& origin, const ConfigScope& root, const ConfigScope& text,
                  std::string& weights) {
  for (const ConfigScope& scope : {root, text}) {
    ConfigReader reader(origin, {scope});
    const auto field = reader.find({"dtype", "torch_dtype"});
    LATHE_CHECK(reader.status());
    if (!field || *field.value == "auto") continue;
    for (const auto& [name, type] : {std::pair{"float32", "f32"}, std::pair{"float16", "f16"},
                                     std::pair{"bfloat16", "bf16"}}) {
      if (*field.value == name || *field.value == std::string("torch.") + name) weights = type;
    }
    if (weights.empty()) {
      reader.refuse(field, "\"float32\", \"float16\" or \"bfloat16\"",
                    "correct it, or leave it out and give --weights", ErrorCode::unsupported);
    }
    return reader.status();
  }
  return {};
}

}  // namespace

Result<ModelConfig> parse_model_config(std::string_view json, const std::string& origin) {
  LATHE_TRY(const Json document, parse_config_json(json, origin));
  const ConfigScope root{&document, ""};
  ConfigReader reader(origin, {root});
  const auto type = reader.find({"model_type"});
  if (!type) {
    reader.refuse("model_type is missing, expected \"qwen3_vl\"; choose a Qwen3-VL model",
                  ErrorCode::unsupported);
  } else if (*type.value != "qwen3_vl") {
    reader.refuse(type, "\"qwen3_vl\"", *type.value == "qwen3_vl_moe" ? kOtherExperts : kOtherModel,
                  ErrorCode::unsupported);
  }
  ModelConfig model = reference_defaults();
  const std::vector<ConfigScope> nested = reader.objects({"text_config"});
  const std::vector<ConfigScope> tower = reader.objects({"vision_config"});
  LATHE_CHECK(reader.status());
  // The text's fields stand in text_config, in older files beside vision_config.
  const ConfigScope inner = nested.empty() ? ConfigScope{nullptr, "text_config."} : nested.front();
  std::vector<ConfigScope> text = nested;
  text.push_back(root);
  ConfigReader decoder(origin, text);
  decoder.flag({"tie_word_embeddings"}, model.tied_embeddings);
  LATHE_CHECK(decoder.status());
  ConfigReader kind(origin, {inner});
  kind.only({"model_type"}, {"qwen3_vl_text", "qwen3_vl"}, kOtherModel);
  LATHE_CHECK(kind.status());
  LATHE_CHECK(read_dtype(origin, root, inner, model.weights));
  LATHE_CHECK(read_text(origin, text, model.text));
  LATHE_CHECK(read_vision(origin,
                          tower.empty() ? ConfigScope{nullptr, "vision_config."} : tower.front(),
                          model.text, model.vision));
  model.name = std::filesystem::path(origin).parent_path().filename().string();
  if (model.name.empty()) model.name = origin;
  return model;
}

}  // namespace lathe::compiler::models
