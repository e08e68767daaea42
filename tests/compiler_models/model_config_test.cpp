// Built-in sizes, config.json, and everything a config.json can get wrong.
#include "compiler/models/model_config.h"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace lathe::compiler::models {
namespace {

constexpr std::string_view kConfig = R"({
  "model_type": "qwen3_vl",
  "text_config": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "intermediate_size": 232, "vocab_size": 512,
    "rms_norm_eps": 1e-06, "rope_parameters": {"mrope_section": [6, 5, 5], "rope_theta": 5000000.0}},
  "vision_config": {"depth": 2, "hidden_size": 48, "intermediate_size": 100, "num_heads": 4,
    "out_hidden_size": 64, "deepstack_visual_indexes": [1]},
  "tie_word_embeddings": false})";

std::string replaced(std::string from, std::string to) {
  std::string text(kConfig);
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST(ModelConfig, BuiltInModels) {
  EXPECT_EQ(builtin_models().size(), 4U);
  const auto model = load_model("qwen3-vl-2b");
  ASSERT_TRUE(model.has_value());
  EXPECT_EQ(model->text.hidden_size, 2048);
  EXPECT_EQ(model->text.key_value_heads, 8);
  EXPECT_EQ(model->vision.deepstack_layers, (std::vector<int64_t>{5, 11, 17}));
}

TEST(ModelConfig, ReadsAFolder) {
  const tests::TemporaryFolder folder;
  std::ofstream(folder / "config.json") << kConfig;
  const auto model = load_model(folder.path().string());
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ(model->name, folder.path().filename().string());
  EXPECT_EQ(model->text.head_dim, 32);
  EXPECT_EQ(model->text.mrope_section, (std::array<int64_t, 3>{6, 5, 5}));
  EXPECT_EQ(model->vision.hidden_size, 48);
  EXPECT_FALSE(model->tied_embeddings);
}

struct Mistake {
  std::string name, from, to, says;
  ErrorCode code;
};

class ModelConfigMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(ModelConfigMistakes, AreNamed) {
  const Mistake& mistake = GetParam();
  const auto model = parse_model_config(replaced(mistake.from, mistake.to), "dir/config.json");
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, mistake.code) << model.error().message;
  EXPECT_NE(model.error().message.find(mistake.says), std::string::npos) << model.error().message;
  EXPECT_NE(model.error().message.find("dir/config.json"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All, ModelConfigMistakes,
    testing::Values(
        Mistake{"architecture", "qwen3_vl", "llama", "'llama', expected 'qwen3_vl'",
                ErrorCode::unsupported},
        Mistake{"moe", "qwen3_vl", "qwen3_vl_moe", "mixture-of-experts", ErrorCode::unsupported},
        Mistake{"not_json", "{", "[", "not JSON", ErrorCode::parse_error},
        Mistake{"missing", "\"hidden_size\": 64, ", "", "'hidden_size' is missing",
                ErrorCode::invalid_argument},
        Mistake{"text", "\"hidden_size\": 64", "\"hidden_size\": \"64\"", "expected an integer",
                ErrorCode::invalid_argument},
        Mistake{"zero", "\"depth\": 2", "\"depth\": 0", "expected an integer in 1..",
                ErrorCode::invalid_argument},
        Mistake{"huge", "\"vocab_size\": 512", "\"vocab_size\": 99999999999",
                "expected an integer in", ErrorCode::invalid_argument},
        Mistake{"sections", "[6, 5, 5]", "[6, 5, 6]", "sums to 17, expected head_dim / 2 = 16",
                ErrorCode::invalid_argument},
        Mistake{"section_text", "[6, 5, 5]", "[6, 5, null]", "expected three integers",
                ErrorCode::invalid_argument},
        Mistake{"eps", "1e-06", "-1", "expected a positive number", ErrorCode::invalid_argument},
        Mistake{"heads", "\"num_heads\": 4", "\"num_heads\": 5", "multiple of 4",
                ErrorCode::invalid_argument},
        Mistake{"no_vision", "\"vision_config\"", "\"vision\"", "'vision_config' is missing",
                ErrorCode::invalid_argument}),
    [](const auto& info) { return info.param.name; });

TEST(ModelConfig, AMissingModelNamesTheKnownOnes) {
  const auto model = load_model("qwen3-vl-3b");
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::not_found);
  EXPECT_NE(model.error().message.find("qwen3-vl-32b"), std::string::npos);
}

}  // namespace
}  // namespace lathe::compiler::models
