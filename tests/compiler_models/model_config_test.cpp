// Built-in sizes, where a config.json is found, and texts that are none.
#include "compiler/models/model_config.h"

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/models/config_json.h"
#include "tests/compiler_models/tiny_config.h"
#include "tests/temporary_folder.h"

namespace lathe::compiler::models {
namespace {

using testing::HasSubstr;

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
  std::ofstream(folder / "config.json") << kTinyConfig;
  const auto model = load_model(folder.path().string());
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ(model->name, folder.path().filename().string());
  EXPECT_EQ(model->text.head_dim, 32);
  EXPECT_EQ(model->text.mrope_section, (std::array<int64_t, 3>{6, 5, 5}));
  EXPECT_EQ(model->vision.hidden_size, 48);
  EXPECT_FALSE(model->tied_embeddings);
}

TEST(ModelConfigErrors, AMissingModelNamesTheKnownOnes) {
  const auto model = load_model("qwen3-vl-3b");
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::not_found);
  EXPECT_THAT(model.error().message, HasSubstr("qwen3-vl-3b"));
  EXPECT_THAT(model.error().message, HasSubstr("qwen3-vl-32b or a folder"));
}

TEST(ModelConfigErrors, AFileThatIsNone) {
  const tests::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "config.json");
  const auto model = load_model(folder.path().string());
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::io_error);
  EXPECT_THAT(model.error().message, HasSubstr("config.json is a folder"));
}

TEST(ModelConfigErrors, AnEndlessFileIsNotReadToItsEnd) {
  const auto model = load_model("/dev/zero");
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::io_error);
  EXPECT_THAT(model.error().message, HasSubstr("larger than"));
}

struct BadText {
  std::string name, text, says;
};

class ModelConfigTexts : public testing::TestWithParam<BadText> {};

TEST_P(ModelConfigTexts, AreRefused) {
  const auto model = parse_model_config(GetParam().text, "dir/config.json");
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::parse_error);
  EXPECT_THAT(model.error().message, HasSubstr("dir/config.json " + GetParam().says));
  EXPECT_THAT(model.error().message, HasSubstr("expected"));
  EXPECT_LT(model.error().message.size(), 500U);
}

std::string repeated(size_t times, std::string_view text) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

// The tiny model's file with `field` put first.
std::string with(const std::string& field) {
  return "{" + field + ", " + std::string(kTinyConfig.substr(kTinyConfig.find('{') + 1));
}

INSTANTIATE_TEST_SUITE_P(
    All, ModelConfigTexts,
    testing::Values(
        BadText{"empty", "", "is not JSON: parse error at line 1, column 1"},
        BadText{"open", "{\n\"model_type\": ", "is not JSON: parse error at line 2"},
        BadText{"no_json", "model_type: qwen3_vl", "is not JSON"},
        BadText{"two_documents", "{} {}", "is not JSON"},
        BadText{"comma", R"({"model_type": "qwen3_vl",})", "is not JSON"},
        BadText{"not_a_number", with("\"eps\": NaN"), "is not JSON"},
        BadText{"overflow", with("\"eps\": 1e999"), "is not JSON"},
        BadText{"long_overflow", with("\"eps\": " + repeated(1 << 20, "9")), "is not JSON"},
        BadText{"not_utf8", with("\"a\": \"\xff\""), "is not JSON"},
        BadText{"zero", std::string(1, '\0'), "is not JSON"},
        BadText{"list", "[]", "is a JSON array, expected an object"},
        BadText{"number", "5", "is a JSON number, expected an object"},
        BadText{"null", "null", "is a JSON null, expected an object"},
        BadText{"text", "\"qwen3_vl\"", "is a JSON string, expected an object"},
        BadText{"deep_lists", with("\"a\": " + repeated(1 << 20, "[")), "nests deeper than 32"},
        BadText{"deep_objects", with("\"a\": " + repeated(1 << 18, "{\"a\":")),
                "nests deeper than 32"},
        BadText{"twice", with("\"model_type\": \"qwen3_vl\""), "gives \"model_type\" twice"},
        BadText{"inner_twice", R"({"a": [{"b": 1, "c": 2, "b": 1}]})", "gives \"b\" twice"},
        BadText{"escaped_twice", R"({"ab": 1, "a\u0062": 1})", "gives \"ab\" twice"},
        BadText{"huge", with("\"a\": \"" + std::string(kMaxConfigBytes, 'a') + "\""), "has 41"}),
    [](const auto& info) { return info.param.name; });

TEST(ModelConfigTexts, AsDeepAndLargeAsAllowedAreRead) {
  // The file's own object is the first level.
  const size_t inner = kMaxConfigDepth - 1;
  const std::string deep = "\"a\": " + repeated(inner, "[") + repeated(inner, "]");
  EXPECT_TRUE(parse_model_config(with(deep), "config.json").has_value());
  const std::string rest = with("\"a\": \"\"");
  const std::string large(static_cast<size_t>(kMaxConfigBytes) - rest.size(), 'a');
  EXPECT_TRUE(parse_model_config(with("\"a\": \"" + large + "\""), "config.json").has_value());
}

}  // namespace
}  // namespace lathe::compiler::models
