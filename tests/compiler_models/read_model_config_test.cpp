// Every way in which a config.json may say the same, and everything it can get wrong: a line each.
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "compiler/models/model_config.h"
#include "tests/compiler_models/tiny_config.h"

namespace lathe::compiler::models {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

// A line of the tables below: a name, changes to the tiny model's file, and what is read or said
// then.
struct Line {
  std::string name, changes, expected;
  ErrorCode code = ErrorCode::invalid_argument;
};

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (size_t end = 0; end != std::string_view::npos; text.remove_prefix(end + separator.size())) {
    end = text.find(separator);
    std::string_view part = text.substr(0, end);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    parts.emplace_back(part);
    if (end == std::string_view::npos) break;
  }
  return parts;
}

std::vector<Line> table(std::string_view text, ErrorCode code = ErrorCode::invalid_argument) {
  std::vector<Line> lines;
  for (const std::string& line : split(text, "\n")) {
    if (line.empty()) continue;
    const std::vector<std::string> cells = split(line, "|");
    EXPECT_EQ(cells.size(), 3U) << line;
    lines.push_back({cells[0], cells[1], cells[2], code});
  }
  return lines;
}

std::string name_of(const testing::TestParamInfo<Line>& info) { return info.param.name; }

// The file after changes `where = JSON & …`; without JSON the field is removed.
std::string changed(const std::string& changes) {
  Json document = Json::parse(kTinyConfig);
  if (changes.empty()) return document.dump();
  for (const std::string& change : split(changes, "&")) {
    std::string where = "/" + change.substr(0, change.find(' '));
    for (char& c : where) c = c == '.' ? '/' : c;
    for (const std::string part : {"text", "vision"})
      if (where.rfind("/" + part + "/", 0) == 0) where.insert(part.size() + 1, "_config");
    const std::string value = split(change, "=")[1];
    const Json::json_pointer pointer(where);
    if (value.empty()) {
      document[pointer.parent_pointer()].erase(pointer.back());
    } else {
      document[pointer] = Json::parse(value);
    }
  }
  return document.dump();
}

// What was read, as text.
std::string read(const ModelConfig& model, std::string_view field) {
  const TextConfig& text = model.text;
  const VisionConfig& vision = model.vision;
  const auto list = [](const auto& values) { return fmt::format("{}", fmt::join(values, ",")); };
  const std::vector<std::pair<std::string_view, std::string>> fields = {
      {"hidden", std::to_string(text.hidden_size)},
      {"layers", std::to_string(text.layers)},
      {"heads", std::to_string(text.attention_heads)},
      {"kv_heads", std::to_string(text.key_value_heads)},
      {"head_dim", std::to_string(text.head_dim)},
      {"mlp", std::to_string(text.intermediate_size)},
      {"vocabulary", std::to_string(text.vocabulary)},
      {"eps", fmt::format("{}", text.rms_norm_eps)},
      {"theta", fmt::format("{}", text.rope_theta)},
      {"section", list(text.mrope_section)},
      {"tied", fmt::format("{}", model.tied_embeddings)},
      {"weights", model.weights},
      {"depth", std::to_string(vision.depth)},
      {"vision_hidden", std::to_string(vision.hidden_size)},
      {"vision_mlp", std::to_string(vision.intermediate_size)},
      {"vision_heads", std::to_string(vision.heads)},
      {"patch", std::to_string(vision.patch_size)},
      {"merge", std::to_string(vision.spatial_merge_size)},
      {"temporal", std::to_string(vision.temporal_patch_size)},
      {"out_hidden", std::to_string(vision.out_hidden_size)},
      {"positions", std::to_string(vision.position_embeddings)},
      {"deepstack", list(vision.deepstack_layers)},
  };
  for (const auto& [name, value] : fields)
    if (name == field) return value;
  return "no such field";
}

class ModelConfigVariations : public testing::TestWithParam<Line> {};

TEST_P(ModelConfigVariations, AreRead) {
  const auto model = parse_model_config(changed(GetParam().changes), "dir/config.json");
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const std::vector<std::string> expected = split(GetParam().expected, "=");
  EXPECT_EQ(read(*model, expected[0]), expected[1]);
}

INSTANTIATE_TEST_SUITE_P(Defaults, ModelConfigVariations, testing::ValuesIn(table(R"(
hidden         | text.hidden_size = & vision.out_hidden_size = 4096 | hidden = 4096
layers         | text.num_hidden_layers = | layers = 32
heads          | text.num_attention_heads = | heads = 32
kv_missing     | text.num_key_value_heads = & text.num_attention_heads = 64 | kv_heads = 32
kv_null        | text.num_key_value_heads = null | kv_heads = 4
head_dim       | text.head_dim = & text.rope_parameters.mrope_section = | head_dim = 128
section        | text.head_dim = & text.rope_parameters.mrope_section = | section = 24,20,20
head_dim_null  | text.head_dim = null & text.rope_parameters.mrope_section = null | head_dim = 128
mlp            | text.intermediate_size = | mlp = 22016
vocabulary     | text.vocab_size = | vocabulary = 151936
eps            | text.rms_norm_eps = null | eps = 1e-06
theta          | text.rope_parameters.rope_theta = | theta = 500000
no_rope        | text.rope_parameters = null & text.head_dim = 128 | theta = 500000
tied           | tie_word_embeddings = | tied = false
depth          | vision.depth = | depth = 27
vision_hidden  | vision.hidden_size = | vision_hidden = 1152
vision_mlp     | vision.intermediate_size = | vision_mlp = 4304
vision_heads   | vision.num_heads = & vision.hidden_size = 128 | vision_heads = 16
patch          |  | patch = 16
merge          |  | merge = 2
temporal       |  | temporal = 2
out_hidden     | vision.out_hidden_size = & text.hidden_size = 3584 | out_hidden = 3584
positions      |  | positions = 2304
deepstack      | vision.deepstack_visual_indexes = & vision.depth = 25 & text.num_hidden_layers = 3 | deepstack = 8,16,24
deepstack_null | vision.deepstack_visual_indexes = null & vision.depth = 25 & text.num_hidden_layers = 3 | deepstack = 8,16,24
vision         | vision_config = & text.hidden_size = 3584 & text.num_hidden_layers = 3 | depth = 27
vision_null    | vision_config = null & text.hidden_size = 3584 & text.num_hidden_layers = 3 | vision_hidden = 1152
text           | text_config = & vision.out_hidden_size = 4096 | mlp = 22016
)")),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Names, ModelConfigVariations, testing::ValuesIn(table(R"(
old_theta       | text.rope_parameters.rope_theta = & text.rope_theta = 1000000.0 | theta = 1000000
integer_theta   | text.rope_parameters.rope_theta = 1000000 | theta = 1000000
theta_twice     | text.rope_theta = 5000000 | theta = 5000000
old_rope        | text.rope_parameters = & text.rope_scaling = {"mrope_interleaved": true, "mrope_section": [4, 6, 6], "rope_type": "default"} & text.rope_theta = 7 | section = 4,6,6
old_rope_theta  | text.rope_parameters = & text.rope_scaling = {"mrope_section": [6, 5, 5], "type": "mrope"} & text.rope_theta = 7 | theta = 7
both_ropes      | text.rope_scaling = {"mrope_section": [6, 5, 5]} | section = 6,5,5
dtype           | dtype = "bfloat16" | weights = bf16
torch_dtype     | torch_dtype = "float32" | weights = f32
torch_prefix    | torch_dtype = "torch.float16" | weights = f16
text_dtype      | text.dtype = "bfloat16" | weights = bf16
outer_dtype     | dtype = "float32" & text.dtype = "bfloat16" | weights = f32
no_dtype        | dtype = null & torch_dtype = "auto" | weights =
text_tied       | tie_word_embeddings = & text.tie_word_embeddings = true | tied = true
vision_heads    | vision.num_heads = & vision.num_attention_heads = 6 | vision_heads = 6
vision_depth    | vision.depth = & vision.num_hidden_layers = 5 | depth = 5
outer_field     | text.vocab_size = & vocab_size = 333 | vocabulary = 333
outer_and_inner | vocab_size = 512 | vocabulary = 512
)")),
                         name_of);

INSTANTIATE_TEST_SUITE_P(ChangeNothing, ModelConfigVariations, testing::ValuesIn(table(R"(
activations         | text.hidden_act = "silu" & vision.hidden_act = "gelu_pytorch_tanh" | hidden = 64
swish               | text.hidden_act = "swish" | hidden = 64
no_bias             | text.attention_bias = false & text.mlp_bias = null | hidden = 64
full_attention      | text.layer_types = ["full_attention", "full_attention"] & text.use_sliding_window = false & text.sliding_window = null | hidden = 64
interleaved         | text.rope_parameters.mrope_interleaved = true & text.rope_parameters.rope_type = "default" | theta = 5000000
kinds               | text.model_type = "qwen3_vl_text" & vision.model_type = "qwen3_vl_vision" | hidden = 64
old_kind            | vision.model_type = "qwen3_vl" | hidden = 64
vision_positions    | vision.rope_parameters = {"rope_theta": 10000.0, "rope_type": "axial"} | hidden = 64
colours             | vision.in_channels = 3 | hidden = 64
no_deepstack        | vision.deepstack_visual_indexes = [] | deepstack =
unordered_deepstack | vision.deepstack_visual_indexes = [1, 0] | deepstack = 1,0
others              | architectures = ["X"] & text.pad_token_id = null & text.attention_dropout = 0.1 & quantization_config = {"bits": 4} & text.max_position_embeddings = 1e30 | hidden = 64
)")),
                         name_of);

TEST(ModelConfig, TheTextMayStandBesideTheVision) {
  Json document = Json::parse(kTinyConfig);
  const Json text = document["text_config"];
  document.erase("text_config");
  document.update(text);
  const auto flat = parse_model_config(document.dump(), "config.json");
  const auto nested = parse_model_config(kTinyConfig, "config.json");
  ASSERT_TRUE(flat.has_value()) << flat.error().message;
  for (const char* field : {"hidden", "layers", "heads", "kv_heads", "head_dim", "mlp",
                            "vocabulary", "eps", "theta", "section", "depth", "deepstack"})
    EXPECT_EQ(read(*flat, field), read(*nested, field)) << field;
}

// The file of the 4B model in the form in which it was published, and as transformers 5 writes it,
// is the built-in one.
TEST(ModelConfig, PublishedFormsAreTheBuiltInModel) {
  Json document = Json::parse(R"({"architectures": ["Qwen3VLForConditionalGeneration"],
    "model_type": "qwen3_vl", "image_token_id": 151655, "tie_word_embeddings": true,
    "text_config": {"attention_bias": false, "attention_dropout": 0.0, "dtype": "bfloat16",
      "head_dim": 128, "hidden_act": "silu", "hidden_size": 2560, "initializer_range": 0.02,
      "intermediate_size": 9728, "max_position_embeddings": 262144, "model_type": "qwen3_vl_text",
      "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8,
      "rms_norm_eps": 1e-06, "rope_theta": 5000000, "rope_scaling": {"mrope_interleaved": true,
        "mrope_section": [24, 20, 20], "rope_type": "default"},
      "tie_word_embeddings": true, "use_cache": true, "vocab_size": 151936},
    "vision_config": {"deepstack_visual_indexes": [5, 11, 17], "depth": 24,
      "hidden_act": "gelu_pytorch_tanh", "hidden_size": 1024, "in_channels": 3,
      "initializer_range": 0.02, "intermediate_size": 4096, "model_type": "qwen3_vl",
      "num_heads": 16, "num_position_embeddings": 2304, "out_hidden_size": 2560,
      "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}})");
  const auto expected = load_model("qwen3-vl-4b");
  ASSERT_TRUE(expected.has_value());
  for (const bool new_form : {false, true}) {
    if (new_form) {
      Json& text = document["text_config"];
      text["rope_parameters"] = text["rope_scaling"];
      text["rope_parameters"]["rope_theta"] = 5e6;
      for (const char* old : {"rope_scaling", "rope_theta", "tie_word_embeddings"}) text.erase(old);
      document["vision_config"]["rope_parameters"] = {{"rope_theta", 1e4}, {"rope_type", "axial"}};
      document["vision_config"]["model_type"] = "qwen3_vl_vision";
    }
    const auto model = parse_model_config(document.dump(), "config.json");
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ(model->weights, "bf16");
    for (const char* field :
         {"hidden",        "layers",     "heads",        "kv_heads", "head_dim", "mlp",
          "vocabulary",    "eps",        "theta",        "section",  "tied",     "depth",
          "vision_hidden", "vision_mlp", "vision_heads", "patch",    "merge",    "temporal",
          "out_hidden",    "positions",  "deepstack"})
      EXPECT_EQ(read(*model, field), read(*expected, field)) << field;
  }
}

class ModelConfigMistakes : public testing::TestWithParam<Line> {};

TEST_P(ModelConfigMistakes, AreNamed) {
  const auto model = parse_model_config(changed(GetParam().changes), "dir/config.json");
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, GetParam().code) << model.error().message;
  EXPECT_THAT(model.error().message, HasSubstr("dir/config.json: " + GetParam().expected));
  // What to do stands behind what was expected.
  EXPECT_THAT(model.error().message,
              testing::ContainsRegex("expected .*[;:] .*(correct|choose|remove|list|set)"));
}

INSTANTIATE_TEST_SUITE_P(OtherModels, ModelConfigMistakes,
                         testing::ValuesIn(table(R"(
architecture        | model_type = "llama" | model_type is "llama", expected "qwen3_vl"
moe                 | model_type = "qwen3_vl_moe" | model_type is "qwen3_vl_moe", expected "qwen3_vl"; mixture-of-experts
no_architecture     | model_type = | model_type is missing, expected "qwen3_vl"
architecture_number | model_type = 5 | model_type is 5, expected "qwen3_vl"
text_kind           | text.model_type = "qwen3_vl_moe_text" | text_config.model_type is "qwen3_vl_moe_text", expected
vision_kind         | vision.model_type = "qwen2_5_vl" | vision_config.model_type is "qwen2_5_vl", expected
experts             | text.num_experts = 128 | text_config.num_experts is 128, expected 0
activation          | text.hidden_act = "gelu" | text_config.hidden_act is "gelu", expected "silu"
activation_name     | text.hidden_activation = "relu" | text_config.hidden_activation is "relu", expected "silu"
activation_number   | text.hidden_act = 1 | text_config.hidden_act is 1, expected "silu"
outer_activation    | hidden_act = "gelu" | hidden_act is "gelu", expected "silu"
vision_activation   | vision.hidden_act = "silu" | vision_config.hidden_act is "silu", expected "gelu_pytorch_tanh"
bias                | text.attention_bias = true | text_config.attention_bias is true, expected false
bias_number         | text.attention_bias = 0 | text_config.attention_bias is 0, expected false
mlp_bias            | text.mlp_bias = true | text_config.mlp_bias is true, expected false
window              | text.use_sliding_window = true | text_config.use_sliding_window is true, expected false
layer_types         | text.layer_types = ["full_attention", "sliding_attention"] | text_config.layer_types is ["full_attention","sliding_attention"], expected "full_attention" for every layer
layer_types_text    | text.layer_types = "full_attention" | text_config.layer_types is "full_attention", expected
not_interleaved     | text.rope_parameters.mrope_interleaved = false | text_config.rope_parameters.mrope_interleaved is false, expected true
interleaved_text    | text.rope_parameters.mrope_interleaved = "true" | text_config.rope_parameters.mrope_interleaved is "true", expected true
old_not_interleaved | text.rope_scaling = {"mrope_interleaved": false} | text_config.rope_scaling.mrope_interleaved is false, expected true
yarn                | text.rope_parameters.rope_type = "yarn" | text_config.rope_parameters.rope_type is "yarn", expected "default"
old_linear          | text.rope_scaling = {"type": "linear"} | text_config.rope_scaling.type is "linear", expected "default"
partial             | text.rope_parameters.partial_rotary_factor = 0.5 | text_config.rope_parameters.partial_rotary_factor is 0.5, expected 1
vision_theta        | vision.rope_parameters = {"rope_theta": 5000} | vision_config.rope_parameters.rope_theta is 5000, expected 10000
vision_rope         | vision.rope_parameters = {"rope_type": "yarn"} | vision_config.rope_parameters.rope_type is "yarn", expected "axial"
grey                | vision.in_channels = 1 | vision_config.in_channels is 1, expected 3
channels_float      | vision.in_channels = 3.0 | vision_config.in_channels is 3.0, expected 3
dtype               | dtype = "float8_e4m3fn" | dtype is "float8_e4m3fn", expected "float32"
dtype_number        | torch_dtype = 16 | torch_dtype is 16, expected "float32"
)",
                                                 ErrorCode::unsupported)),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Values, ModelConfigMistakes, testing::ValuesIn(table(R"(
text_size         | text.hidden_size = "64" | text_config.hidden_size is "64", expected an integer in 1..1048576; correct it, or leave it out for the default 4096
float_size        | text.hidden_size = 64.0 | text_config.hidden_size is 64.0, expected an integer
fraction          | text.head_dim = 32.5 | text_config.head_dim is 32.5, expected an integer
flag_size         | text.num_hidden_layers = true | text_config.num_hidden_layers is true, expected an integer
list_size         | vision.patch_size = [16, 16] | vision_config.patch_size is [16,16], expected an integer
object_size       | vision.depth = {} | vision_config.depth is {}, expected an integer
zero              | vision.depth = 0 | vision_config.depth is 0, expected an integer in 1..4096
negative          | text.num_attention_heads = -4 | text_config.num_attention_heads is -4, expected an integer in 1..4096
many_heads        | text.num_attention_heads = 4097 | text_config.num_attention_heads is 4097, expected an integer in 1..4096
many_layers       | text.num_hidden_layers = 5000 | text_config.num_hidden_layers is 5000, expected an integer in 1..4096
huge              | text.vocab_size = 99999999999 | text_config.vocab_size is 99999999999, expected an integer in 1..16777216
more_than_64_bits | text.vocab_size = 9223372036854775809 | text_config.vocab_size is 9223372036854775809, expected an integer
far_more          | text.vocab_size = 1000000000000000000000000000000 | text_config.vocab_size is 1e+30, expected an integer
long_text         | text.vocab_size = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" | text_config.vocab_size is "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..., expected an integer
eps               | text.rms_norm_eps = -1 | text_config.rms_norm_eps is -1, expected a positive number up to 1
eps_zero          | text.rms_norm_eps = 0 | text_config.rms_norm_eps is 0, expected a positive number
eps_text          | text.rms_norm_eps = "1e-6" | text_config.rms_norm_eps is "1e-6", expected a positive number
theta             | text.rope_parameters.rope_theta = "5e6" | text_config.rope_parameters.rope_theta is "5e6", expected a positive number
tied              | tie_word_embeddings = 1 | tie_word_embeddings is 1, expected true or false
text_list         | text_config = [] | text_config is [], expected an object
vision_number     | vision_config = 5 | vision_config is 5, expected an object
rope_list         | text.rope_parameters = [5] | text_config.rope_parameters is [5], expected an object
section_null      | text.rope_parameters.mrope_section = [6, 5, null] | text_config.rope_parameters.mrope_section is [6,5,null], expected three integers
section_short     | text.rope_parameters.mrope_section = [8, 8] | text_config.rope_parameters.mrope_section is [8,8], expected three integers
section_negative  | text.rope_parameters.mrope_section = [-4, 10, 10] | text_config.rope_parameters.mrope_section is [-4,10,10], expected three integers
section_float     | text.rope_parameters.mrope_section = [6.0, 5, 5] | text_config.rope_parameters.mrope_section is [6.0,5,5], expected three integers
section_huge      | text.rope_parameters.mrope_section = [9223372036854775807, 9223372036854775807, 18] | text_config.rope_parameters.mrope_section is [9223372036854775807,9223372036854775807,18], expected three
section_number    | text.rope_parameters.mrope_section = 16 | text_config.rope_parameters.mrope_section is 16, expected three integers
)")),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Deepstack, ModelConfigMistakes, testing::ValuesIn(table(R"(
beyond         | vision.deepstack_visual_indexes = [2] | vision_config.deepstack_visual_indexes is [2], expected a list of different integers in 0..1, as depth is 2
far_beyond     | vision.deepstack_visual_indexes = [18446744073709551615] | vision_config.deepstack_visual_indexes is [18446744073709551615], expected a list
repeated       | vision.deepstack_visual_indexes = [1, 1] | vision_config.deepstack_visual_indexes is [1,1], expected a list of different integers
negative       | vision.deepstack_visual_indexes = [-1] | vision_config.deepstack_visual_indexes is [-1], expected a list
fraction       | vision.deepstack_visual_indexes = [0.5] | vision_config.deepstack_visual_indexes is [0.5], expected a list
floating       | vision.deepstack_visual_indexes = [1.0] | vision_config.deepstack_visual_indexes is [1.0], expected a list
text           | vision.deepstack_visual_indexes = ["1"] | vision_config.deepstack_visual_indexes is ["1"], expected a list
null_inside    | vision.deepstack_visual_indexes = [null] | vision_config.deepstack_visual_indexes is [null], expected a list
number         | vision.deepstack_visual_indexes = 1 | vision_config.deepstack_visual_indexes is 1, expected a list
object         | vision.deepstack_visual_indexes = {"0": 1} | vision_config.deepstack_visual_indexes is {"0":1}, expected a list
default_beyond | vision.deepstack_visual_indexes = | vision_config.deepstack_visual_indexes is [8, 16, 24] (the default, as the file does not say), expected a list
too_many       | vision.deepstack_visual_indexes = [0, 1] & text.num_hidden_layers = 1 | vision_config.deepstack_visual_indexes is [0,1], expected at most 1 layers
)")),
                         name_of);

INSTANTIATE_TEST_SUITE_P(SizesThatDoNotFit, ModelConfigMistakes, testing::ValuesIn(table(R"(
kv_heads         | text.num_key_value_heads = 3 | text_config.num_key_value_heads is 3, expected a divisor of num_attention_heads = 4
layer_types_fewer   | text.layer_types = ["full_attention"] | text_config.layer_types is ["full_attention"], expected one for each of num_hidden_layers = 2; correct one of them
more_kv_heads    | text.num_key_value_heads = 8 | text_config.num_key_value_heads is 8, expected a divisor
default_kv_heads | text.num_key_value_heads = | text_config.num_key_value_heads is 32 (the default, as the file does not say), expected a divisor
odd_head         | text.head_dim = 33 | text_config.head_dim is 33, expected an even number
large_heads      | text.head_dim = 4096 & text.num_attention_heads = 4096 | text_config.head_dim is 4096 for 4096 attention heads, expected at most 1048576
sections         | text.rope_parameters.mrope_section = [6, 5, 6] | text_config.rope_parameters.mrope_section is [6, 5, 6], which sums to 17, expected head_dim / 2 = 16
default_sections | text.rope_parameters.mrope_section = | text_config.rope_parameters.mrope_section is [24, 20, 20] (the default, as the file does not say), which sums to 64, expected head_dim / 2 = 16
vision_heads     | vision.num_heads = 5 | vision_config.hidden_size is 48, expected a multiple of 4 for each of 5 heads
vision_head      | vision.num_heads = 8 | vision_config.hidden_size is 48, expected a multiple of 4 for each of 8 heads
merge            | vision.spatial_merge_size = 64 & vision.hidden_size = 1048576 | vision_config.spatial_merge_size is 64, expected its square times hidden_size
patch            | vision.patch_size = 1024 | vision_config.patch_size is 1024, expected a patch of 2 frames
positions        | vision.num_position_embeddings = 2305 | vision_config.num_position_embeddings is 2305, expected a square number
out_hidden       | vision.out_hidden_size = 63 | vision_config.out_hidden_size is 63, expected the text's hidden_size = 64
no_vision        | vision_config = | vision_config.out_hidden_size is 3584 (the default, as the file does not say), expected the text's hidden_size = 64
no_text          | text_config = null | vision_config.out_hidden_size is 64, expected the text's hidden_size = 4096
)")),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Disagreements, ModelConfigMistakes, testing::ValuesIn(table(R"(
outer        | hidden_size = 128 | text_config.hidden_size is 64, but hidden_size is 128; expected them to agree: remove one
thetas       | text.rope_theta = 10000.0 | text_config.rope_parameters.rope_theta is 5000000.0, but text_config.rope_theta is 10000.0
sections     | text.rope_scaling = {"mrope_section": [4, 6, 6]} | text_config.rope_parameters.mrope_section is [6,5,5], but text_config.rope_scaling.mrope_section is [4,6,6]
dtypes       | dtype = "float32" & torch_dtype = "float16" | dtype is "float32", but torch_dtype is "float16"
tied         | text.tie_word_embeddings = true | text_config.tie_word_embeddings is true, but tie_word_embeddings is false
vision_heads | vision.num_attention_heads = 2 | vision_config.num_heads is 4, but vision_config.num_attention_heads is 2
)")),
                         name_of);

}  // namespace
}  // namespace lathe::compiler::models
