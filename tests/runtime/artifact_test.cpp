// Artifacts: the same bytes each time, read back as they were, and run as they would have been.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lathe/backends.h>

#include "compiler/version.h"
#include "runtime/launch/launch.h"
#include "support/hardware.h"

namespace lathe::runtime {
namespace {

using testing::HasSubstr;

Result<Artifact> artifact_of(const std::string& line, const std::string& target) {
  LATHE_TRY(const compiler::Problem problem, compiler::parse_problem(line));
  LATHE_TRY(const ir::Target parsed, ir::parse_target(target));
  const compiler::SearchSpace space = problem.family().space(problem, parsed);
  return build_artifact(problem, space.default_schedule(), parsed, *x86_backend());
}

TEST(Artifact, OfEveryFamilyComesBackAsItWas) {
  size_t made = 0;
  for (const compiler::Family* family : compiler::catalogue()) {
    for (const char* target : {"scalar", "sse", "avx2", "avx512"}) {
      const std::string what = family->example + " for " + target;
      const auto artifact = artifact_of(family->example, target);
      if (!artifact) {
        EXPECT_EQ(artifact.error().code, ErrorCode::rejected) << what << artifact.error().message;
        continue;
      }
      ++made;
      const auto bytes = write_artifact(*artifact);
      ASSERT_TRUE(bytes) << what << ": " << bytes.error().message;
      const auto again = artifact_of(family->example, target);
      EXPECT_TRUE(*again == *artifact) << what;
      EXPECT_TRUE(*write_artifact(*again) == *bytes) << what << ": other bytes the second time";
      const auto read = read_artifact(*bytes);
      ASSERT_TRUE(read) << what << ": " << read.error().message;
      EXPECT_TRUE(*read == *artifact) << what << "\n" << print(*artifact) << print(*read);
      EXPECT_FALSE(read->has_programs);
      EXPECT_EQ(read->required_isa(), artifact->required_isa());
    }
  }
  EXPECT_GT(made, 3 * compiler::catalogue().size());
}

TEST(Artifact, SaysWhatItIs) {
  const auto artifact = artifact_of("rms_norm rows=4 width=72 prologue=add(x,r) keep=true", "sse");
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_EQ(artifact->compiler_version, compiler::kVersion);
  EXPECT_EQ(artifact->revision, artifact->problem.family().revision);
  EXPECT_EQ(artifact->inputs, 3);
  const std::string header = print(*artifact);
  for (const char* part :
       {"\"problem\": \"rms_norm rows=", "\"name\": \"sse\"", "\"format\": \"flat/1\"",
        "\"backend\": \"x86\"", "\"plan rms_norm\"", "\"operand weight f32 read\"", "\"xxh3\": \""})
    EXPECT_THAT(header, HasSubstr(part));
}

TEST(Artifact, DiffersWhereAnythingDoes) {
  const auto artifact = artifact_of("relu rows=1 width=8", "sse");
  ASSERT_TRUE(artifact) << artifact.error().message;
  const auto changed = [&](auto&& change) {
    Artifact copy = *artifact;
    change(copy);
    return copy;
  };
  EXPECT_TRUE(changed([](Artifact&) {}) == *artifact);
  EXPECT_TRUE(changed([](Artifact& a) { a.plan.programs[0].body.clear(); }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.images[0].code[3] ^= std::byte{1}; }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.plan.in_place = !a.plan.in_place; }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.plan.body.clear(); }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.plan.programs[0].parameters.clear(); }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.target.vnni = true; }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.schedule.set("unroll", 77); }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.compiler_version = "0"; }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.revision = 0; }) == *artifact);
  EXPECT_FALSE(changed([](Artifact& a) { a.operands[0].finite = true; }) == *artifact);
}

// What a kernel of swiglu makes of a few rows.
Result<std::vector<float>> run_rows(Artifact artifact, const codegen::Backend* object_loader) {
  LATHE_TRY(const auto kernel, load_artifact(std::move(artifact), object_loader));
  LATHE_TRY(ThreadPool pool, ThreadPool::create(2));
  std::vector<float> gate(4 * 24), up(4 * 24, 0.5F), y(4 * 24);
  std::iota(gate.begin(), gate.end(), -30.0F);
  const TensorView operands[] = {TensorView(gate.data(), {4, 24}), TensorView(up.data(), {4, 24}),
                                 TensorView(y.data(), {4, 24})};
  LATHE_CHECK(launch(*kernel, operands, pool));
  return y;
}

// Flat code everywhere; an object file where LLVM is linked.
TEST(Artifact, RunsAfterItWasReadBack) {
  std::vector<std::shared_ptr<const codegen::Backend>> backends = {x86_backend()};
#if LATHE_HAS_CODEGEN_LLVM
  backends.push_back(llvm_backend());
#endif
  for (const auto& backend : backends) {
    const auto problem = compiler::parse_problem("swiglu rows=4 width=24");
    ASSERT_TRUE(problem) << problem.error().message;
    const auto target = backend->target(backend->name() == "llvm" ? "llvm" : "sse", "");
    ASSERT_TRUE(target) << target.error().message;
    const auto schedule = problem->family().space(*problem, *target).default_schedule();
    const auto artifact = build_artifact(*problem, schedule, *target, *backend);
    ASSERT_TRUE(artifact) << artifact.error().message;
    const auto bytes = write_artifact(*artifact);
    ASSERT_TRUE(bytes) << bytes.error().message;
    const auto read = read_artifact(*bytes);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(*read == *artifact) << print(*artifact) << print(*read);
    const auto expected = run_rows(*artifact, backend.get());
    ASSERT_TRUE(expected) << expected.error().message;
    const auto found = run_rows(*read, backend.get());
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, *expected) << backend->name();
    EXPECT_NE(found->back(), 0.0F);
  }
}

TEST(Artifact, IsInterpretedOnlyWhereItWasBuilt) {
  const auto artifact = artifact_of("relu rows=1 width=8", "sse");
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_TRUE(load_artifact(*artifact, nullptr, Execution::interpreted));
  auto read = read_artifact(*write_artifact(*artifact));
  ASSERT_TRUE(read) << read.error().message;
  const auto kernel = load_artifact(std::move(*read), nullptr, Execution::interpreted);
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().code, ErrorCode::unsupported);
  EXPECT_THAT(kernel.error().message, HasSubstr("not the programs that the interpreter needs"));
}

TEST(Artifact, IsMappedOnlyWhereItsInstructionsAre) {
  auto artifact = artifact_of("relu rows=1 width=8", "sse");
  ASSERT_TRUE(artifact) << artifact.error().message;
  artifact->images[0].required_isa |= support::Isa::arm_sve;
  const auto kernel = load_artifact(std::move(*artifact), nullptr);
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().code, ErrorCode::unsupported);
  EXPECT_THAT(kernel.error().message, HasSubstr("uses arm_sve, which this CPU"));
}

TEST(Artifact, OfObjectsNeedsTheBackendThatMadeThem) {
  auto artifact = artifact_of("relu rows=1 width=8", "sse");
  ASSERT_TRUE(artifact) << artifact.error().message;
  artifact->images[0].format = codegen::KernelImage::Format::object;
  artifact->images[0].backend = "llvm";
  const auto with_none = load_artifact(*artifact, nullptr);
  ASSERT_FALSE(with_none);
  EXPECT_THAT(with_none.error().message,
              HasSubstr("an object file of the backend 'llvm', found none"));
  const auto with_another = load_artifact(*artifact, x86_backend().get());
  ASSERT_FALSE(with_another);
  EXPECT_THAT(with_another.error().message, HasSubstr("found 'x86'; link that backend"));
}

TEST(Artifact, MustHaveRoomInALaunch) {
  auto artifact = artifact_of("relu rows=1 width=8", "sse");
  ASSERT_TRUE(artifact) << artifact.error().message;
  const auto error_of = [](const Artifact& wrong) {
    const auto kernel = load_artifact(wrong, nullptr);
    return kernel ? "(loads)" : kernel.error().message;
  };
  Artifact many = *artifact;
  for (int i = 0; i < 200; ++i) many.plan.loop_variable("v" + std::to_string(i));
  EXPECT_THAT(error_of(many), HasSubstr("variables, expected at most 96"));
  many = *artifact;
  many.plan.programs[0].parameters.resize(97);
  EXPECT_THAT(error_of(many), HasSubstr("arguments of program '"));
  many = *artifact;
  many.plan.operands.resize(25);
  EXPECT_THAT(error_of(many), HasSubstr("found 25 operands, expected at most 24"));
}

}  // namespace
}  // namespace lathe::runtime
