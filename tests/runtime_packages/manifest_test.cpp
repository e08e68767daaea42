// The manifest and the recipes as JSON.
#include "runtime/packages/manifest.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/runtime_packages/samples.h"

namespace lathe::runtime::packages {
namespace {

using Json = nlohmann::json;

std::string sample_text() {
  return tests::entries_of(tests::sample_package(tests::sample_recipes()))[0].second;
}

TEST(Manifest, SaysWhatAPersonWants) {
  const Json json = Json::parse(sample_text());
  EXPECT_EQ(json["format"], "lathe package");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["lathe_version"], "0.1.0");
  EXPECT_EQ(json["hosts"][0]["description"], "Example CPU");
  EXPECT_EQ(json["members"][0]["kind"], "recipes");
  EXPECT_EQ(json["members"][0]["blake2b"].get<std::string>().size(), 64u);
  const Json& kernel = json["kernels"][1];
  EXPECT_EQ(kernel["problem"], "rms_norm width=1001 type=f32");
  EXPECT_EQ(kernel["needs"], "sse3+ssse3+sse4_1+avx+f16c+fma+avx2");
  EXPECT_EQ(kernel["schedule"], "accumulators=4");
  EXPECT_EQ(kernel["tuned_ns"], 900);
  EXPECT_EQ(kernel["confidence"], 0.95);
  for (const char* field : {"at", "cache", "target", "host", "family_revision", "compiler_version",
                            "threads", "verified", "default_ns", "member"})
    EXPECT_TRUE(kernel.contains(field)) << field;
}

TEST(Manifest, GivesBackWhatWasPrinted) {
  const std::string text = sample_text();
  const auto manifest = parse_manifest(text, "x");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(print(*manifest), text);
  Json more = Json::parse(text);
  more["new"] = {1, 2};
  more["kernels"][0]["new"] = "x";
  const auto newer = parse_manifest(more.dump(), "x");
  ASSERT_TRUE(newer) << newer.error().message;
  EXPECT_EQ(print(*newer), text) << "fields that are not known are passed over";
}

TEST(Manifest, EveryFieldIsNeeded) {
  const Json whole = Json::parse(sample_text());
  const auto refused = [](const Json& json, const std::string& what) {
    const auto manifest = parse_manifest(json.dump(), "x.lathe");
    ASSERT_FALSE(manifest) << what;
    EXPECT_EQ(manifest.error().code, ErrorCode::parse_error) << manifest.error().message;
    EXPECT_NE(manifest.error().message.find(what), std::string::npos) << manifest.error().message;
    EXPECT_NE(manifest.error().message.find("x.lathe"), std::string::npos);
  };
  for (const auto& [name, value] : whole.items()) {
    Json without = whole;
    without.erase(name);
    refused(without, name);
    Json other = whole;
    other[name] = Json::object();
    refused(other, name);
  }
  for (const char* list : {"members", "hosts", "kernels"}) {
    for (const auto& [name, value] : whole[list][0].items()) {
      Json without = whole;
      without[list][0].erase(name);
      refused(without, name);
      Json other = whole;
      other[list][0][name] = nullptr;
      refused(other, name);
    }
    Json text = whole;
    text[list][0] = "x";
    refused(text, "expected an object");
  }
}

TEST(Manifest, OtherFormatsAndNewerVersions) {
  Json json = Json::parse(sample_text());
  json["version"] = 2;
  const auto newer = parse_manifest(json.dump(), "x");
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, ErrorCode::unsupported);
  EXPECT_NE(newer.error().message.find("update it"), std::string::npos);
  json["format"] = "other";
  EXPECT_EQ(parse_manifest(json.dump(), "x").error().code, ErrorCode::parse_error);
}

TEST(Manifest, NamesAndSizesOfMembers) {
  const Json whole = Json::parse(sample_text());
  for (const char* name : {"../x", "/etc/x", "a\\b", "", "manifest.json", "manifest.sig", "a b"}) {
    Json json = whole;
    json["members"][0]["name"] = name;
    for (Json& kernel : json["kernels"]) kernel["member"] = name;
    EXPECT_EQ(parse_manifest(json.dump(), "x").error().code, ErrorCode::parse_error) << name;
  }
  Json twice = whole;
  twice["members"].push_back(twice["members"][0]);
  EXPECT_NE(parse_manifest(twice.dump(), "x").error().message.find("the name of another"),
            std::string::npos);
  for (const Json& bytes : {Json(-1), Json(1e30), Json(UINT64_MAX), Json(kMostMemberBytes + 1)}) {
    Json json = whole;
    json["members"][0]["bytes"] = bytes;
    EXPECT_FALSE(parse_manifest(json.dump(), "x")) << bytes;
  }
  Json sum = whole;
  for (int i = 0; i < 3; ++i) {
    sum["members"].push_back(sum["members"][0]);
    sum["members"].back()["name"] = "m" + std::to_string(i);
    sum["members"].back()["bytes"] = kMostMemberBytes / 2;
  }
  EXPECT_FALSE(parse_manifest(sum.dump(), "x")) << "all members together";
  Json coloured = whole;
  coloured["members"][0]["name"] = "\x1b[31m";
  EXPECT_NE(parse_manifest(coloured.dump(), "x").error().message.find("\\x1b[31m"),
            std::string::npos)
      << "no terminal is made to show something else";
  Json none = whole;
  none["members"] = none["kernels"] = Json::array();
  EXPECT_FALSE(parse_manifest(none.dump(), "x"));
  Json elsewhere = whole;
  elsewhere["kernels"][0]["member"] = "other";
  EXPECT_NE(parse_manifest(elsewhere.dump(), "x").error().message.find("which there is not"),
            std::string::npos);
}

TEST(Manifest, WhatIsNoJson) {
  EXPECT_FALSE(parse_manifest("", "x"));
  EXPECT_FALSE(parse_manifest("[]", "x"));
  EXPECT_FALSE(parse_manifest("{\"format\": \"\xff\"}", "x")) << "not UTF-8";
  EXPECT_FALSE(parse_manifest(std::string(1 << 20, '['), "x")) << "nested";
  EXPECT_FALSE(parse_manifest(sample_text() + "x", "x"));
  std::string doubled = sample_text();
  doubled.insert(1, "\"version\": 1,");
  EXPECT_NE(parse_manifest(doubled, "x").error().message.find("twice"), std::string::npos);
  const std::string large(kMostManifestBytes + 1, ' ');
  EXPECT_NE(parse_manifest(large, "x").error().message.find("at most"), std::string::npos);
}

TEST(RecipesMember, GivesBackWhatWasPrinted) {
  Recipes recipes = tests::sample_recipes(3);
  recipes.winners[1].winner.tuned_ns = 1.0 / 3;
  recipes.winners[1].key.problem = "an \"odd\"\nproblem, ≠";
  recipes.winners[2].winner.confidence = 5e-324;
  const auto text = print(recipes);
  ASSERT_TRUE(text) << text.error().message;
  const auto read = parse_recipes(*text, "x");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*print(*read), *text);
  EXPECT_EQ(read->winners[1].winner.tuned_ns, 1.0 / 3);
  EXPECT_EQ(read->winners[2].winner.confidence, 5e-324);
  recipes.winners[0].winner.why = "\xff";
  EXPECT_EQ(print(recipes).error().code, ErrorCode::invalid_argument);
}

TEST(RecipesMember, EveryFieldIsNeeded) {
  const Json whole = Json::parse(*print(tests::sample_recipes()));
  const auto refused = [](const Json& json, const std::string& what) {
    const auto recipes = parse_recipes(json.dump(), "x");
    ASSERT_FALSE(recipes) << what;
    EXPECT_EQ(recipes.error().code, ErrorCode::parse_error);
    EXPECT_NE(recipes.error().message.find(what), std::string::npos) << recipes.error().message;
  };
  for (const auto& [name, value] : whole["winners"][0].items()) {
    Json without = whole;
    without["winners"][0].erase(name);
    refused(without, name);
  }
  for (const auto& [name, value] : whole["winners"][0]["key"].items()) {
    Json without = whole;
    without["winners"][0]["key"].erase(name);
    refused(without, name);
  }
  Json json = whole;
  json["hosts"] = Json::array();
  refused(json, "not among the hosts");
  json = whole;
  json["winners"][0]["key"]["threads"] = 4e9;
  refused(json, "threads");
  json["winners"][0]["key"]["threads"] = std::int64_t{1} << 40;
  refused(json, "32 bits");
}

}  // namespace
}  // namespace lathe::runtime::packages
