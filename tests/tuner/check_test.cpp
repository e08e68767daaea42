// The checks pass what is right and find what is wrong.
#include "tuner/check.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "compiler/sizes.h"
#include "ir/program/builder.h"
#include "support/described_host.h"
#include "tests/tuner/kernels.h"
#include "tuner/inputs.h"

namespace lathe::tuner {
namespace {

const codegen::Backend& backend() {
  static const runtime::SelectedTarget target = test_target();
  return *target.backend;
}

const compiler::Sizes kAt = {{"rows", 40}};

// What a session checks of a kernel: the interpreter first, then what it says of the machine code.
Result<std::string> check_both(const runtime::CompiledKernel& kernel, const compiler::Sizes& at) {
  SharedInputs inputs;
  Checker checker(kernel.problem, at, inputs);
  LATHE_CHECK(checker.check_interpreted(kernel, backend()));
  LATHE_TRY(runtime::ThreadPool pool, runtime::ThreadPool::create(2));
  return checker.check_native(kernel, backend(), pool);
}

TEST(Compare, OneWrongElementIsFoundAndNamed) {
  ir::Tensor found(ir::Type::f32, {2, 3});
  ir::graph::DoubleTensor expected{ir::Type::f32, {2, 3}, {1, 2, 3, 4, 5, 6}};
  for (int64_t i = 0; i < 6; ++i) found.set(i, static_cast<double>(i + 1));
  const auto limit =
      compiler::limit_of(*compiler::parse_problem("silu rows=2 width=3"), ir::Type::f32);
  EXPECT_TRUE(compare("y", found, expected, limit).passed);
  for (const double wrong : std::initializer_list<double>{5.01, NAN, INFINITY, -5.0}) {
    found.set(4, wrong);
    const Comparison comparison = compare("y", found, expected, limit);
    EXPECT_FALSE(comparison.passed) << wrong;
    EXPECT_GT(comparison.worst, 1) << wrong;
    EXPECT_NE(comparison.message.find("y[4]"), std::string::npos) << comparison.message;
  }
  expected.values[4] = found.at(4);
  EXPECT_TRUE(compare("y", found, expected, limit).passed);
}

// A large value in one row excuses nothing in the next.
TEST(Compare, EachRowHasItsOwnScale) {
  ir::Tensor found(ir::Type::f32, {2, 2});
  const ir::graph::DoubleTensor expected{ir::Type::f32, {2, 2}, {1e6, 0, 1, 2}};
  for (int64_t i = 0; i < 4; ++i) found.set(i, expected.values[static_cast<size_t>(i)]);
  const auto limit =
      compiler::limit_of(*compiler::parse_problem("silu rows=2 width=2"), ir::Type::f32);
  found.set(1, 0.5);
  EXPECT_TRUE(compare("y", found, expected, limit).passed) << "beside 1e6";
  found.set(2, 1.001);
  const Comparison comparison = compare("y", found, expected, limit);
  EXPECT_FALSE(comparison.passed);
  EXPECT_EQ(comparison.row, 1);
}

TEST(Checker, PassesARightKernelAndSaysWhatItChecked) {
  const auto kernel = compile("rms_norm rows=40 width=72");
  const auto checked = check_both(*kernel, kAt);
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_NE(checked->find("oracle"), std::string::npos);
  EXPECT_NE(checked->find("rows=40"), std::string::npos);
}

// A product too large to interpret is checked on a small one that is cut alike, and on some of its
// columns at true size.
TEST(Checker, ChecksALargeProductByItsMiniatureAndASample) {
  const auto kernel = compile("linear rows=32 n=1027 k=1500 epilogue=add(y,vec(b))");
  const auto checked = check_both(*kernel, {{"rows", 40}});
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_NE(checked->find("linear rows=32..127 n="), std::string::npos) << *checked;
  // Columns of the first, a middle and the last panel, of eight rows.
  EXPECT_NE(checked->find("on 280 outputs of 8 rows"), std::string::npos) << *checked;
}

TEST(Checker, ChecksKernelsThatReadAndWriteBlocks) {
  for (const char* line :
       {"linear rows=32 n=1024 k=1536 type=q8_0 out=q8_0 weight=q4_0 epilogue=add(y,vec(b))",
        "rms_norm rows=40 width=96 out=q8_0 prologue=add(x,r) keep=true"}) {
    const auto kernel = compile(line);
    const auto checked = check_both(*kernel, {{"rows", 40}});
    EXPECT_TRUE(checked) << line << ": " << checked.error().message;
  }
}

TEST(Checker, ChecksABatchedProductOnSomeBatchesAndColumns) {
  const auto kernel = compile(
      "batched_matmul batch=4 rows=40 n=700 k=300 group=2 transpose_a=true transpose_b=true "
      "epilogue=add(mul(y,col(s)),vec(c))");
  const auto checked = check_both(*kernel, {{"batch", 5}, {"rows", 40}});
  ASSERT_TRUE(checked) << checked.error().message;
  // Both members of the first and second group, 48 columns.
  EXPECT_NE(checked->find("on 1536 outputs of 8 rows"), std::string::npos) << *checked;
}

// Some heads of the pages that a block table names; entries that no length asks for are no pages.
TEST(Checker, ChecksAttentionOverPagesOfBlocks) {
  const auto kernel = compile(
      "attention_decode context=300 heads=6 kv_heads=3 dim=32 lengths=true causal=end kv_type=q8_0 "
      "cache=paged page=16");
  const auto sizes = compiler::complete_sizes(kernel->problem, {{"context", 300}, {"batch", 2}});
  ASSERT_TRUE(sizes) << sizes.error().message;
  EXPECT_EQ(compiler::print(*sizes), "batch=2,most=19,pages=38,tokens=1");
  const auto checked = check_both(*kernel, *sizes);
  ASSERT_TRUE(checked) << checked.error().message;
  // Two heads of k, two of q for each.
  EXPECT_NE(checked->find("on 256 outputs"), std::string::npos) << *checked;
}

TEST(Checker, ChecksPackedSequencesWithBoundsOfItsOwn) {
  const std::string heads = " heads=4 kv_heads=2 dim=12 causal=end";
  for (const auto& [line, sizes] : std::initializer_list<std::pair<const char*, compiler::Sizes>>{
           {"attention_prefill tokens=200 packed=shared", {{"tokens", 200}, {"bounds", 6}}},
           {"attention_prefill tokens=200 context=300 packed=separate mask=bool",
            {{"tokens", 200}, {"context", 300}, {"bounds", 4}}},
           {"attention_prefill tokens=200 context=90 packed=queries lengths=true",
            {{"tokens", 200}, {"batch", 3}, {"context", 90}, {"bounds", 4}}},
           {"attention_prefill tokens=200 lengths=true memory=1000000",
            {{"tokens", 200}, {"batch", 3}, {"context", 200}}}}) {
    const auto kernel = compile(line + heads);
    // Usual sizes make sense together.
    const auto usual = compiler::complete_sizes(kernel->problem);
    ASSERT_TRUE(usual) << usual.error().message;
    if (usual->contains("bounds") && usual->contains("batch")) {
      EXPECT_EQ(usual->at("bounds"), usual->at("batch") + 1);
    }
    const auto checked = check_both(*kernel, sizes);
    EXPECT_TRUE(checked) << line << ": " << checked.error().message;
  }
}

// Lists of blocks are of the sizes that tokens and keys make, and of the tokens that are sampled.
TEST(Checker, ChecksListedBlocksAndTheirScores) {
  for (const char* line :
       {"attention_block_sparse tokens=700 context=800 heads=4 kv_heads=4 dim=24 causal=end "
        "block=32 kept=6",
        "attention_block_sparse tokens=700 context=800 heads=6 kv_heads=3 dim=24 window=50 kept=6",
        "attention_router tokens=700 context=800 heads=6 kv_heads=3 dim=24 rank=5"}) {
    const auto kernel = compile(line);
    compiler::Sizes given = {{"tokens", 700}, {"context", 800}};
    if (kernel->problem.has("kept")) given["kept"] = 6;
    const auto sizes = compiler::complete_sizes(kernel->problem, given);
    ASSERT_TRUE(sizes) << sizes.error().message;
    const auto checked = check_both(*kernel, *sizes);
    EXPECT_TRUE(checked) << line << ": " << checked.error().message;
  }
}

// Caches of every form, whose other entries must stay.
TEST(Checker, ChecksRowsThatGoToSlotsOfCaches) {
  for (const char* line : {"rope rows=40 heads=2 dim=32 norm=true slots=flat out=bf16",
                           "rope rows=40 heads=2 dim=32 slots=batched out=q8_0",
                           "write_cache rows=40 heads=3 dim=20 out=f16",
                           "write_cache rows=40 heads=2 dim=64 slots=paged page=16 out=q8_0",
                           "write_cache rows=1 heads=2 dim=64 type=q4_0 out=q4_0 slots_type=i64"}) {
    const auto kernel = compile(line);
    const bool is_one = std::string_view(line).find("rows=1 ") != std::string_view::npos;
    compiler::Sizes given = {{"rows", is_one ? 1 : 40}};
    if (kernel->problem.text("slots") == "batched") given["batch"] = 2;
    const auto sizes = compiler::complete_sizes(kernel->problem, given);
    ASSERT_TRUE(sizes) << sizes.error().message;
    EXPECT_EQ(sizes->contains("pages") ? sizes->at("pages") * 16 : sizes->at("capacity"), 4096);
    const auto checked = check_both(*kernel, *sizes);
    EXPECT_TRUE(checked) << line << ": " << checked.error().message;
  }
}

TEST(Inputs, OfACacheOnlyTheEntriesThatSlotsNameAreTouched) {
  const auto kernel = compile("write_cache rows=8 heads=2 dim=16");
  const compiler::Sizes sizes = {{"rows", 8}, {"capacity", 1000}};
  const auto inputs = make_inputs(*kernel, sizes, {}, 1);
  const auto outputs = make_outputs(*kernel, sizes);
  ASSERT_TRUE(inputs && outputs);
  EXPECT_TRUE(names_entries(*kernel, 2));
  EXPECT_EQ(bytes_touched(*kernel, *inputs, *outputs), 2 * 8 * 2 * 16 * 4 + 8 * 4);
  EXPECT_NE(outputs->front().at(0), 0) << "what is updated holds ordinary values";
  EXPECT_EQ(outputs->front().at(777), make_outputs(*kernel, sizes)->front().at(777));
}

// The oracle sees the entries that are named alone; the result is the same.
TEST(Inputs, TablesShrinkToTheEntriesThatAreNamed) {
  const auto kernel = compile("embedding rows=40 width=8");
  auto inputs = make_inputs(*kernel, {{"rows", 40}, {"vocabulary", 100000}}, {}, 3);
  ASSERT_TRUE(inputs);
  const std::vector<ir::Tensor> whole = std::move(*inputs);
  std::vector<ir::Tensor> part = {ir::Tensor(), whole[1]};
  keep_named_entries(*kernel, whole, part);
  const ir::Tensor &table = part[0], &ids = part[1];
  EXPECT_LE(table.shape()[0], 40);
  for (int64_t row = 0; row < 40; ++row)
    for (int64_t i = 0; i < 8; ++i)
      EXPECT_EQ(table.at(static_cast<int64_t>(ids.at(row)) * 8 + i),
                whole[0].at(static_cast<int64_t>(whole[1].at(row)) * 8 + i));
}

TEST(Inputs, AreSharedAndUsedAgainWhereTheyFit) {
  const auto few = compile("embedding rows=1 width=8"), many = compile("embedding rows=40 width=8");
  SharedInputs shared;
  const auto first = *shared.of(*few, {{"rows", 1}, {"vocabulary", 100}});
  EXPECT_EQ(*shared.of(*few, {{"rows", 1}, {"vocabulary", 100}}), first);
  EXPECT_NE(shared.of(*many, {{"rows", 40}, {"vocabulary", 100}}).value()->front().data(),
            first->front().data())
      << "somebody still holds the first";
  const auto* table = (*shared.of(*many, {{"rows", 40}, {"vocabulary", 100}}))->front().data();
  const auto third = *shared.of(*few, {{"rows", 1}, {"vocabulary", 100}});
  EXPECT_EQ(third->front().data(), table);
  EXPECT_LT((*third)[1].at(0), 100);
  EXPECT_NE((*third)[0].at(0), 0);
}

TEST(Inputs, WhatDoesNotFitAQuarterOfTheMemoryIsRefusedBeforeItIsMade) {
  support::Hardware machine = support::host();
  machine.available_memory_bytes = int64_t{1} << 30;
  const support::DescribedHost described(machine);
  const auto problem = *compiler::parse_problem("relu rows=8192 width=1024");
  EXPECT_TRUE(check_memory(problem, {{"rows", 8192}}));    // 64 MiB
  EXPECT_FALSE(check_memory(problem, {{"rows", 40000}}));  // 312 MiB
  const Status refused = check_memory(problem, {{"rows", int64_t{1} << 60}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(refused.error().message.find("free memory"), std::string::npos);
}

// The softmax of two passes whose running maximum starts at -100: right wherever a row has any
// value above that.
TEST(Checker, FindsAKernelThatIsWrongOnRowsFarBelowZeroAlone) {
  static const compiler::Family* const softmax = *compiler::find_family("softmax");
  static compiler::Family faulty = *softmax;
  faulty.build = [](const compiler::Problem& problem, const compiler::Schedule& schedule,
                    const ir::Target& target) -> Result<ir::plan::Plan> {
    LATHE_TRY(ir::plan::Plan plan, softmax->build(problem, schedule, target));
    const auto lowest = std::bit_cast<uint32_t>(std::numeric_limits<float>::lowest());
    int replaced = 0;
    for (ir::program::Program& program : plan.programs) {
      for (ir::program::Node& node : program.body) {
        auto* instr = std::get_if<ir::program::Instr>(&node.value);
        if (instr == nullptr || instr->op != ir::program::Op::vconst ||
            static_cast<uint32_t>(instr->imm) != lowest)
          continue;
        instr->imm = std::bit_cast<uint32_t>(-100.0F);
        ++replaced;
      }
    }
    EXPECT_EQ(replaced, 1);
    return plan;
  };
  auto pool = runtime::ThreadPool::create(2);
  ASSERT_TRUE(pool);
  for (const int64_t rows : {1, 40}) {
    const std::string line = fmt::format("softmax rows={} width=72", rows);
    const auto right =
        compile(line, rows == 1 ? "hold=reread passes=two" : "hold=reread passes=two ahead=off");
    const auto problem = compiler::ProblemBuilder(faulty)
                             .set_text("rows", fmt::format("{}", rows))
                             .set_text("width", "72")
                             .build();
    ASSERT_TRUE(problem) << problem.error().message;
    const auto wrong = runtime::compile_kernel(*problem, right->schedule, right->target, backend());
    ASSERT_TRUE(wrong) << wrong.error().message;
    SharedInputs inputs;
    Checker checker(right->problem, {{"rows", rows}}, inputs);
    const auto passed = checker.check_native(*right, backend(), *pool);
    EXPECT_TRUE(passed) << passed.error().message;
    const auto native = checker.check_native(**wrong, backend(), *pool);
    ASSERT_FALSE(native) << line;
    EXPECT_NE(native.error().message.find("row of kind negative"), std::string::npos)
        << native.error().message;
  }
}

// A rotation that writes all of its cache anew, each element a unit in the last place further off:
// well within the limit, but what no slot names must not move at all.
TEST(Checker, FindsAKernelThatTouchesWhatNoSlotNames) {
  static const compiler::Family* const rope = *compiler::find_family("rope");
  static compiler::Family faulty = *rope;
  faulty.build = [](const compiler::Problem& problem, const compiler::Schedule& schedule,
                    const ir::Target& target) -> Result<ir::plan::Plan> {
    LATHE_TRY(ir::plan::Plan plan, rope->build(problem, schedule, target));
    using ir::program::BufferAccess;
    ir::program::Builder b("nudge", target);
    const auto y = b.buffer("y", ir::Type::f32, BufferAccess::read_write);
    const auto capacity = b.parameter("capacity");
    const auto stride = b.parameter("y.stride0");
    b.loop(0, capacity, 1, [&](ir::program::Scalar) {
      b.vectors(problem.integer("dim"),
                [&](const ir::program::Span& at) { b.store(y, at, b.load(y, at) * 1.0000001F); });
      b.advance(y, stride);
    });
    plan.operands.back().access = BufferAccess::read_write;
    const int program = plan.add_program(b.finish());
    ir::plan::Bindings names;
    names.at("y", plan.operand("y"));
    for (const char* name : {"capacity", "y.stride0"})
      names.set(name, ir::plan::Expr::variable(plan.find(name)));
    append(plan.body, bind(plan, program, names));
    return plan;
  };
  const auto right = compile("rope rows=40 heads=1 dim=32 slots=flat");
  const auto problem = compiler::ProblemBuilder(faulty)
                           .set_text("rows", "40")
                           .set_text("heads", "1")
                           .set_text("dim", "32")
                           .set_text("slots", "flat")
                           .build();
  ASSERT_TRUE(problem) << problem.error().message;
  const auto wrong = runtime::compile_kernel(*problem, right->schedule, right->target, backend());
  ASSERT_TRUE(wrong) << wrong.error().message;
  const compiler::Sizes sizes = {{"rows", 40}, {"positions", 50}, {"capacity", 60}};
  const auto passed = check_both(*right, sizes);
  EXPECT_TRUE(passed) << passed.error().message;
  SharedInputs inputs;
  Checker checker(right->problem, sizes, inputs);
  const Status interpreted = checker.check_interpreted(**wrong, backend());
  ASSERT_FALSE(interpreted);
  EXPECT_NE(interpreted.error().message.find("as before the call"), std::string::npos)
      << interpreted.error().message;
  runtime::ThreadPool pool = *runtime::ThreadPool::create(2);
  const auto native = checker.check_native(**wrong, backend(), pool);
  ASSERT_FALSE(native);
  EXPECT_NE(native.error().message.find("as before the call"), std::string::npos)
      << native.error().message;
}

// A kernel that computes something else under the problem's name.
TEST(Checker, FindsAKernelThatComputesSomethingElse) {
  const auto silu = compile("silu rows=40 width=72");
  SharedInputs inputs;
  Checker checker(*compiler::parse_problem("relu rows=40 width=72"), kAt, inputs);
  const Status interpreted = checker.check_interpreted(*silu, backend());
  ASSERT_FALSE(interpreted);
  EXPECT_EQ(interpreted.error().code, ErrorCode::mismatch) << interpreted.error().message;
  auto pool = runtime::ThreadPool::create(1);
  ASSERT_TRUE(pool);
  const auto native = checker.check_native(*silu, backend(), *pool);
  ASSERT_FALSE(native);
  EXPECT_EQ(native.error().code, ErrorCode::mismatch);
  EXPECT_NE(native.error().message.find("expected"), std::string::npos);
}

}  // namespace
}  // namespace lathe::tuner
