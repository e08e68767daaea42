// Sizes of a Qwen3-VL model: built in for the published ones, or read from a Hugging Face
// config.json.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace lathe::compiler::models {

/// Names as in config.json; widths in elements.
struct TextConfig {
  int64_t hidden_size = 0;
  int64_t layers = 0;
  int64_t attention_heads = 0;
  int64_t key_value_heads = 0;
  int64_t head_dim = 128;
  int64_t intermediate_size = 0;
  int64_t vocabulary = 151936;
  double rms_norm_eps = 1e-6;
  double rope_theta = 5e6;
  std::array<int64_t, 3> mrope_section = {24, 20, 20};
};

struct VisionConfig {
  int64_t depth = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t heads = 16;
  int64_t patch_size = 16;
  int64_t spatial_merge_size = 2;
  int64_t temporal_patch_size = 2;
  int64_t out_hidden_size = 0;
  int64_t position_embeddings = 48 * 48;
  std::vector<int64_t> deepstack_layers;
};

struct ModelConfig {
  std::string name;  ///< "qwen3-vl-2b", or the folder's name
  TextConfig text;
  VisionConfig vision;
  bool tied_embeddings = false;
  std::string weights;  ///< the type that the file names: f32, f16 or bf16; empty: none
};

/// "qwen3-vl-2b", "qwen3-vl-4b", "qwen3-vl-8b", "qwen3-vl-32b".
const std::vector<std::string>& builtin_models();

/// A built-in name, a folder with a config.json, or the file itself. Errors: not_found naming what
/// was looked for; io_error for a file that cannot be read or is larger than 4 MiB; and those
/// below.
Result<ModelConfig> load_model(const std::string& name_or_path);

/// The same from the text of a config.json; `origin` is named in errors. A field that is missing or
/// null has the default of the reference implementation; the text's fields may stand in text_config
/// or beside vision_config, under their names of today or older ones. Fields that change nothing
/// here are not read. Errors name the field, what was found, what was expected and what to do:
/// parse_error for a text that is no JSON object, or a doubtful one (config_json.h); unsupported
/// for another architecture, mixture of experts, or operations that Lathe's kernels do not compute
/// (another activation, biases, scaled positions); invalid_argument for an impossible value, one
/// far beyond any model, sizes that do not fit each other, or two places that disagree (but the
/// dtype of the file itself goes before that of its text_config).
/// Thread-safe.
Result<ModelConfig> parse_model_config(std::string_view json, const std::string& origin);

}  // namespace lathe::compiler::models
