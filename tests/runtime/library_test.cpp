// The public interface: opening, fetching, running, matching records, many threads.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <lathe/lathe.h>

#include "compiler/sizes.h"
#include "runtime/library/kernel_library.h"
#include "support/files.h"
#include "support/hardware.h"
#include "tests/temporary_folder.h"

namespace lathe {
namespace {

Library open(const std::string& store = "none", const std::string& target = "") {
  LibraryOptions options;
  options.store = store;
  options.target = target;
  options.threads = 2;
  auto library = Library::open(options);
  EXPECT_TRUE(library.has_value()) << library.error().message;
  return *library;
}

TEST(Library, RunsANorm) {
  const Library library = open();
  const auto kernel = library.fetch(RmsNorm{.width = 72, .residual = true, .rows = 3});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  std::vector<float> x(3 * 72), r(3 * 72), w(72), h(3 * 72), y(3 * 72);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.1F * static_cast<float>(i)), r[i] = 0.5F;
  for (size_t i = 0; i < w.size(); ++i) w[i] = 1.0F + 0.01F * static_cast<float>(i);
  const Status status = (*kernel)(
      {TensorView(x.data(), {3, 72}), TensorView(r.data(), {3, 72}), TensorView(w.data(), {72})},
      {TensorView(h.data(), {3, 72}), TensorView(y.data(), {3, 72})});
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (size_t row = 0; row < 3; ++row) {
    double squares = 0;
    for (size_t i = 0; i < 72; ++i) squares += std::pow(x[row * 72 + i] + 0.5, 2);
    const double scale = 1 / std::sqrt(squares / 72 + 1e-6);
    for (size_t i = 0; i < 72; ++i) {
      EXPECT_NEAR(h[row * 72 + i], x[row * 72 + i] + 0.5, 1e-6);
      EXPECT_NEAR(y[row * 72 + i], (x[row * 72 + i] + 0.5) * scale * w[i], 1e-5);
    }
  }
}

// Heads side by side in the rows of one tensor, two heads of a to each of b, and the other way
// about without a copy of either.
TEST(Library, MultipliesHeadsWhereTheyLie) {
  constexpr int64_t kHeads = 4, kGroup = 2, kRows = 7, kContext = 19, kSize = 5;
  std::vector<float> q(kRows * kHeads * kSize), k(kContext * kHeads / kGroup * kSize),
      y(kRows * kHeads * kContext);
  for (size_t i = 0; i < q.size(); ++i) q[i] = std::sin(0.3F * static_cast<float>(i));
  for (size_t i = 0; i < k.size(); ++i) k[i] = std::cos(0.7F * static_cast<float>(i));
  const auto heads = [](std::vector<float>& data, int64_t count, int64_t rows, int64_t width) {
    TensorView view(data.data(), {count, rows, width});
    view.strides[0] = width;
    view.strides[1] = count * width;
    return view;
  };
  const Library library = open();
  const auto kernel = library.fetch(BatchedMatmul{.batch = kHeads / kGroup,
                                                  .n = kContext,
                                                  .k = kSize,
                                                  .group = kGroup,
                                                  .transpose_b = true,
                                                  .epilogue = "mul(y,0.5)",
                                                  .rows = kRows});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  const Status status =
      (*kernel)({heads(q, kHeads, kRows, kSize), heads(k, kHeads / kGroup, kContext, kSize)},
                {heads(y, kHeads, kRows, kContext)});
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (int64_t head = 0; head < kHeads; ++head) {
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t c = 0; c < kContext; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < kSize; ++i)
          sum += double{q[static_cast<size_t>((row * kHeads + head) * kSize + i)]} *
                 k[static_cast<size_t>((c * kHeads / kGroup + head / kGroup) * kSize + i)];
        EXPECT_NEAR(y[static_cast<size_t>((row * kHeads + head) * kContext + c)], 0.5 * sum, 1e-5);
      }
    }
  }
}

// As many operands as a call may have, each with strides of its own.
TEST(Library, MultipliesWithTheLongestEpilogue) {
  constexpr int kInputs = 12;
  constexpr int64_t kDepth = 600;
  std::string epilogue = "y";
  for (int i = 0; i < kInputs; ++i) epilogue = fmt::format("add({},r{})", epilogue, i);
  const Library library = open();
  const auto kernel =
      library.fetch(BatchedMatmul{.n = 3, .k = kDepth, .epilogue = epilogue, .rows = 40});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  std::vector<float> a(40 * kDepth, 0.5F), b(kDepth * 3, 2), y(40 * 3);
  std::vector<std::vector<float>> r;
  std::vector<TensorView> inputs = {TensorView(a.data(), {1, 40, kDepth}),
                                    TensorView(b.data(), {1, kDepth, 3})};
  for (int i = 0; i < kInputs; ++i) {
    r.emplace_back(40 * 3, static_cast<float>(i));
    inputs.emplace_back(r.back().data(), std::initializer_list<int64_t>{1, 40, 3});
  }
  const TensorView result(y.data(), {1, 40, 3});
  const Status status = (*kernel)(inputs, std::span(&result, 1));
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (const float value : y) EXPECT_EQ(value, kDepth + kInputs * (kInputs - 1) / 2);
}

// A stride of 0 between matrices: all batches multiply one.
TEST(Library, MultipliesByOneMatrixForAll) {
  std::vector<float> a(2 * 3 * 4), b(4 * 5), y(2 * 3 * 5);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5);
  const Library library = open();
  const auto kernel = library.fetch(BatchedMatmul{.batch = 2, .n = 5, .k = 4, .rows = 3});
  ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
  TensorView shared(b.data(), {2, 4, 5});
  shared.strides[0] = 0;
  const Status status =
      (*kernel)({TensorView(a.data(), {2, 3, 4}), shared}, {TensorView(y.data(), {2, 3, 5})});
  ASSERT_TRUE(status.has_value()) << status.error().message;
  for (size_t row = 0; row < 6; ++row) {
    for (size_t c = 0; c < 5; ++c) {
      float sum = 0;
      for (size_t i = 0; i < 4; ++i) sum += a[row * 4 + i] * b[i * 5 + c];
      EXPECT_EQ(y[row * 5 + c], sum);
    }
  }
  TensorView folded(y.data(), {2, 3, 5});
  folded.strides[0] = 0;
  const Status refused = (*kernel)({TensorView(a.data(), {2, 3, 4}), shared}, {folded});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("rows overlap: stride 0 of dimension 0"),
            std::string::npos)
      << refused.error().message;
}

TEST(Library, EveryOperationFetches) {
  const Library library = open();
  const auto good = [](const Result<Kernel>& kernel, std::string_view family) {
    ASSERT_TRUE(kernel.has_value()) << kernel.error().message;
    EXPECT_EQ(kernel->problem().substr(0, family.size()), family);
    EXPECT_EQ(kernel->match(), Match::default_);
    EXPECT_FALSE(kernel->schedule().empty());
  };
  for (const DataType type : {DataType::f32, DataType::f16, DataType::bf16}) {
    good(library.fetch(RmsNorm{.width = 64, .type = type}), "rms_norm");
    good(library.fetch(RmsNorm{.width = 64, .quantised = true, .type = type}), "rms_norm");
    good(library.fetch(LayerNorm{.width = 64, .type = type}), "layer_norm");
    good(library.fetch(LayerNorm{.width = 64, .quantised = true, .type = type}), "layer_norm");
    good(library.fetch(Normalize{.width = 64, .type = type}), "normalize");
    good(library.fetch(Softmax{.width = 64, .type = type}), "softmax");
    good(library.fetch(Gelu{.width = 64, .type = type}), "gelu");
    good(library.fetch(Gelu{.width = 64, .tanh_approximation = false, .type = type}), "gelu");
    good(library.fetch(Silu{.width = 64, .type = type}), "silu");
    good(library.fetch(Relu{.width = 64, .type = type}), "relu");
    good(library.fetch(Swiglu{.width = 64, .type = type}), "swiglu");
    good(library.fetch(Rope{.heads = 2, .norm = true, .type = type}), "rope");
    good(library.fetch(Rope{.heads = 2, .dim = 72, .kind = Rope::Kind::vision, .type = type}),
         "rope");
    good(library.fetch(Rope{.heads = 2, .dim = 64, .kind = Rope::Kind::plain, .type = type}),
         "rope");
    good(library.fetch(Embedding{.width = 64, .type = type}), "embedding");
    good(library.fetch(BatchedMatmul{.n = 8, .k = 8, .type = type, .b_type = type, .out = type}),
         "batched_matmul");
    good(library.fetch(Quantize{.width = 64, .type = type}), "quantize");
    good(library.fetch(Elementwise{
             .expression = "add(mul(x,r),0.5)", .width = 64, .type = type, .out = type}),
         "elementwise");
  }
}

TEST(Library, BadOperationsAreNamed) {
  const Library library = open();
  const auto says = [](const Result<Kernel>& kernel, std::string_view text) {
    ASSERT_FALSE(kernel.has_value());
    EXPECT_NE(kernel.error().message.find(text), std::string::npos) << kernel.error().message;
  };
  says(library.fetch(RmsNorm{.width = 0}), "width");
  says(library.fetch(RmsNorm{.width = 64, .rows = 0}), "rows is 0");
  says(library.fetch(RmsNorm{.width = 64, .type = DataType::i32}), "type");
  says(library.fetch(RmsNorm{.width = 64, .type = static_cast<DataType>(200)}), "type number 200");
  says(library.fetch(Quantize{.width = 33}), "32");
  says(library.fetch(Rope{.dim = 127}), "dim");
  says(library.fetch(Elementwise{.expression = "add(x", .width = 8}), "expected");
  says(library.fetch(BatchedMatmul{.batch = 0, .n = 8, .k = 8}), "batch is 0");
  says(library.fetch(BatchedMatmul{.n = 8, .k = 0}), "k");
  says(library.fetch(BatchedMatmul{.n = 8, .k = 8, .b_type = static_cast<DataType>(99)}),
       "b_type number 99");
  says(library.fetch(BatchedMatmul{.n = 8, .k = 8, .epilogue = "add(y,a)"}), "choose another");
  says(library.fetch(BatchedMatmul{.n = 8, .k = 8, .epilogue = "relu(r)"}), "expression of y");
  says(library.fetch_problem("rms_nrm width=64"), "rms_norm");
}

TEST(Library, OpenRefusesWhatItCannotDo) {
  const auto message = [](const LibraryOptions& options) {
    const auto library = Library::open(options);
    return library ? std::string() : library.error().message;
  };
  EXPECT_NE(message({.device = "tpu"}).find("unknown device 'tpu'"), std::string::npos);
  EXPECT_NE(message({.target = "avx1024"}).find("unknown target"), std::string::npos);
  EXPECT_NE(message({.threads = -3}), "");
  EXPECT_NE(message({.target = "llvm"}).find("linked"), std::string::npos);
}

TEST(Library, AForcedTargetIsObeyed) {
  ASSERT_EQ(::setenv("LATHE_TARGET", "sse", 1), 0);
  const Library forced = open();
  EXPECT_EQ(forced.target(), "sse");
  const auto kernel = forced.fetch(Silu{.width = 64});
  ASSERT_TRUE(kernel.has_value());
  EXPECT_EQ(kernel->target(), "sse");
  // An option outranks the environment.
  EXPECT_EQ(open("none", "scalar").target(), "scalar");
  ASSERT_EQ(::setenv("LATHE_TARGET", "mmx", 1), 0);
  const auto refused = Library::open({.store = "none"});
  EXPECT_FALSE(refused.has_value());
  ASSERT_EQ(::unsetenv("LATHE_TARGET"), 0);
}

TEST(Library, AForcedKnobIsObeyed) {
  const auto forced = [](const char* text) { ASSERT_EQ(::setenv("LATHE_FORCE", text, 1), 0); };
  const auto schedule = [](const auto& op) {
    const auto kernel = open("none", "sse").fetch(op);
    return kernel ? kernel->schedule() : kernel.error().message;
  };
  const Softmax softmax{.width = 64};
  const std::string usual = schedule(softmax);
  for (const char* unroll : {"1", "4"}) {
    forced(fmt::format("silu.unroll=8,softmax.unroll={}", unroll).c_str());
    EXPECT_NE(schedule(softmax).find(fmt::format("unroll={}", unroll)), std::string::npos);
  }
  // A default that does not agree with what is forced gives way.
  forced("linear.mr=6");
  EXPECT_EQ(schedule(Linear{.n = 64, .k = 64, .rows = 64}).find("mr=6 "), 0U);
  // Another algorithm of attention.
  const Attention attention{.heads = 2, .dim = 16, .causal = Attention::Causal::end};
  EXPECT_NE(schedule(attention).find("algorithm=flash"), std::string::npos);
  forced("attention_prefill.algorithm=naive");
  EXPECT_NE(schedule(attention).find("algorithm=naive"), std::string::npos);
  forced("softmax.unroll=77");
  EXPECT_NE(schedule(softmax).find("LATHE_FORCE: softmax"), std::string::npos);
  EXPECT_NE(schedule(softmax).find("'77', expected one of"), std::string::npos);
  forced("softmax.unrol=4");  // some problems of a family lack a knob that others have
  EXPECT_EQ(schedule(softmax), usual);
  for (const char* text : {"softmax", "softmax.unroll", "unroll=4", "softmax.=4",
                           "softmax.unroll=", "softmaks.unroll=4"}) {
    forced(text);
    const auto refused = Library::open({.store = "none"});
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find("LATHE_FORCE"), std::string::npos) << text;
  }
  ASSERT_EQ(::unsetenv("LATHE_FORCE"), 0);
  EXPECT_EQ(schedule(softmax), usual);
}

TEST(Library, ATargetTheCpuLacksIsRefused) {
  support::Hardware old = support::host();
  old.isa = support::Isa::sse3 | support::Isa::ssse3 | support::Isa::sse4_1;
  const auto backends = default_backends();
  const auto selected = runtime::select_target(backends, "avx2", old);
  ASSERT_FALSE(selected.has_value());
  EXPECT_EQ(selected.error().code, ErrorCode::unsupported);
  EXPECT_NE(selected.error().message.find("needs avx"), std::string::npos)
      << selected.error().message;
  const auto best = runtime::select_target(backends, "", old);
  ASSERT_TRUE(best.has_value());
  EXPECT_EQ(best->target.name, "sse");
}

TEST(Library, ManyThreadsFetchOneKernel) {
  const Library library = open();
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto kernel = library.fetch(Silu{.width = 64 + i % 5, .rows = 1 + t});
        if (!kernel) ++failures;
        std::vector<float> x(64 + i % 5, 1.0F), y(x.size());
        const auto size = static_cast<int64_t>(x.size());
        if (kernel &&
            !(*kernel)({TensorView(x.data(), {1, size})}, {TensorView(y.data(), {1, size})}))
          ++failures;
        if (std::fabs(y[0] - 0.731059F) > 1e-5) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

// Records: exact on the same problem, near for another bucket, other host, and a reason each time.
TEST(Library, MatchesRecords) {
  const tests::TemporaryFolder folder;
  const std::string path = (folder / "lathe.db").string();
  const auto problem = compiler::parse_problem("silu rows=512 width=64");
  ASSERT_TRUE(problem.has_value());
  const auto target = ir::parse_target("sse");
  {
    auto store = store::Store::open(path);
    ASSERT_TRUE(store.has_value());
    ASSERT_TRUE(store->record_host("cpu", support::host_identity(), "this").has_value());
    runtime::RecordContext context;
    context.threads = 2;
    store::Winner winner;
    winner.schedule = "unroll=4";
    winner.tuned_ns = 1;
    winner.verified = "everything";
    const auto key =
        runtime::record_key(*problem, *compiler::complete_sizes(*problem), *target, context);
    ASSERT_TRUE(store->record_winner(key, winner).has_value());
  }
  const Library library = open(path, "sse");
  const auto exact = library.fetch(Silu{.width = 64, .rows = 600});
  ASSERT_TRUE(exact.has_value());
  EXPECT_EQ(exact->match(), Match::exact);
  EXPECT_NE(exact->schedule().find("unroll=4"), std::string::npos);
  const auto near = library.fetch(Silu{.width = 64, .rows = 1});
  ASSERT_TRUE(near.has_value());
  EXPECT_EQ(near->match(), Match::near);
  EXPECT_FALSE(near->reason().empty());
  const auto none = library.fetch(Silu{.width = 64, .type = DataType::f16, .rows = 600});
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(none->match(), Match::default_);
}

// A library only reads: what it opens stays as it is, and so does the folder.
TEST(Library, AStoreThatCannotBeUsedIsNotFatal) {
  const tests::TemporaryFolder folder;
  const std::string path = (folder / "config.json").string();
  EXPECT_NE(open(path).store_note().find("no store at " + path), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path));
  std::FILE* file = std::fopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  std::fputs("this is no database at all, only a line of text that is long enough to be read",
             file);
  std::fclose(file);
  const Library library = open(path);
  EXPECT_NE(library.store_note().find("is no store"), std::string::npos) << library.store_note();
  EXPECT_TRUE(library.fetch(Silu{.width = 64}).has_value());
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    files += entry.is_regular_file();
  EXPECT_EQ(files, 1);
}

// A store can go bad while a library lives; what follows has defaults, and that is said once.
TEST(Library, AStoreThatGoesBadIsSaidOnce) {
  const tests::TemporaryFolder folder;
  const std::string path = (folder / "store.db").string();
  ASSERT_TRUE(store::Store::open(path));
  const Library library = open(path);
  ASSERT_EQ(library.store_note(), "");
  testing::internal::CaptureStderr();
  EXPECT_TRUE(library.fetch(Silu{.width = 64}).has_value());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_TRUE(support::write_file(path, std::string(4096, 'x'), support::ExistingFile::replaced));
  testing::internal::CaptureStderr();
  for (const int64_t width : {72, 80}) {
    const auto kernel = library.fetch(Silu{.width = width});
    ASSERT_TRUE(kernel.has_value());
    EXPECT_EQ(kernel->match(), Match::default_);
    EXPECT_NE(kernel->reason().find("is no store"), std::string_view::npos) << kernel->reason();
  }
  const std::vector<float> weight(64);
  EXPECT_TRUE(library.pack_weight(TensorView(weight.data(), {8, 8})).has_value());
  const std::string said = testing::internal::GetCapturedStderr();
  const auto first = said.find("default schedules");
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("default schedules", first + 1), std::string::npos) << said;
}

}  // namespace
}  // namespace lathe
