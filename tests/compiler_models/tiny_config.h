// The config.json of a tiny Qwen3-VL, which tests change.
#pragma once

#include <string_view>

namespace lathe::compiler::models {

inline constexpr std::string_view kTinyConfig = R"({
  "model_type": "qwen3_vl",
  "text_config": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "intermediate_size": 232, "vocab_size": 512,
    "rms_norm_eps": 1e-06, "rope_parameters": {"mrope_section": [6, 5, 5], "rope_theta": 5000000.0}},
  "vision_config": {"depth": 2, "hidden_size": 48, "intermediate_size": 100, "num_heads": 4,
    "out_hidden_size": 64, "deepstack_visual_indexes": [1]},
  "tie_word_embeddings": false})";

}  // namespace lathe::compiler::models
