// What the machine code looks like: folded operands, loops, encodings, required extensions.
#include <algorithm>

#include <gmock/gmock.h>

#include "codegen/llvm/disassemble.h"
#include "support/isa.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using codegen::llvm::count;
using codegen::llvm::Instruction;
using ir::Type;
using support::Isa;
using testing::HasSubstr;

ir::Target target(std::string_view name) { return ir::parse_target(name).value(); }

std::vector<Instruction> listing(const codegen::KernelImage& image) {
  auto decoded = codegen::llvm::decode(image);
  if (decoded) return std::move(*decoded);
  ADD_FAILURE() << decoded.error().message;
  return {};
}

// sum += x[i] * w[i], four accumulators.
Program dot(const ir::Target& target) {
  Builder b("dot", target);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
  const Pointer w = b.buffer("w", Type::f32, BufferAccess::read);
  const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
  std::vector<Vec> sums;
  for (int i = 0; i < 4; ++i) sums.push_back(b.copy(b.constant(0.0f)));
  b.vectors(int64_t{64} * b.lanes(), 4, [&](const Span& at, int u) {
    const Vec sum = sums[static_cast<size_t>(u)];
    b.set(sum, b.fma(b.load(x, at), b.load(w, at), sum));
  });
  b.store(o, Span{}, b.add(b.add(sums[0], sums[1]), b.add(sums[2], sums[3])));
  return b.finish();
}

TEST(X86Listing, ADotLoopIsLoadsFusedOperandsAndOneBranch) {
  for (const char* name : {"avx2", "avx512"}) {
    const auto code = listing(compile(dot(target(name))));
    const auto loop = codegen::llvm::hottest_loop(code);
    EXPECT_EQ(count(loop, "vfmadd231ps"), 4u) << codegen::llvm::print(code);
    EXPECT_EQ(loop.size(), 4u + 4u + 3u) << codegen::llvm::print(code);  // loads, FMAs, add cmp jl
    EXPECT_EQ(codegen::llvm::stack_accesses(code), 0u);
    ASSERT_FALSE(loop.empty());
    EXPECT_EQ(loop.front().offset % 32, 0u) << "the innermost loop starts on a 32-byte boundary";
  }
}

TEST(X86Listing, ACounterNobodyReadsCountsDown) {
  Builder b("fill", target("avx2"));
  const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
  const Vec one = b.constant(1.0f);
  b.loop(0, 100, 1, [&](ir::program::Scalar) {
    b.store(o, Span{}, one);
    b.advance(o, 32);
  });
  const auto code = listing(compile(b.finish()));
  EXPECT_EQ(codegen::llvm::hottest_loop(code).size(), 4u) << codegen::llvm::print(code);
  EXPECT_EQ(count(code, "dec"), 1u);
}

// Before it returns, a program makes its streamed stores visible; others need not wait for that.
TEST(X86Listing, AProgramThatStreamsEndsWithAFence) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    for (const bool streams : {false, true}) {
      Builder b("copy", target(name));
      const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
      const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
      const ir::program::Scalar rows = b.parameter("rows");
      b.loop(0, rows, 1, [&](ir::program::Scalar) {
        const Vec v = b.load(x, Span{});
        if (streams)
          b.store_stream(o, Span{}, v);
        else
          b.store(o, Span{}, v);
        b.advance(x, b.lanes() * 4);
        b.advance(o, b.lanes() * 4);
      });
      const auto code = listing(compile(b.finish()));
      const size_t streamed = count(code, "movntps") + count(code, "vmovntps");
      const bool fenced = streams && b.lanes() > 1;  // one lane has no such store
      EXPECT_EQ(streamed, fenced ? 1U : 0U) << codegen::llvm::print(code);
      EXPECT_EQ(count(code, "sfence"), streamed) << codegen::llvm::print(code);
      if (!fenced) continue;
      const auto fence = std::find_if(code.begin(), code.end(), [](const Instruction& instruction) {
        return instruction.mnemonic == "sfence";
      });
      EXPECT_EQ(std::find_if(fence, code.end(),
                             [](const Instruction& instruction) {
                               return instruction.mnemonic.find("mov") != std::string::npos ||
                                      instruction.mnemonic[0] == 'j';
                             }),
                code.end())
          << codegen::llvm::print(code);
    }
  }
}

// relu in place: the load folds, unless a store to memory that may be the same stands between.
TEST(X86Listing, ALoadNeverMovesAcrossAStore) {
  for (const bool store_between : {false, true}) {
    Builder b("relu", target("avx2"));
    const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
    const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
    const Vec zero = b.constant(0.0f);
    const Vec v = b.load(x, Span{});
    if (store_between) b.store(o, Span{}, zero);
    b.store(o, Span{8, {}, 0, true}, b.vector_op(Op::fmax, {zero, v}));
    const auto code = listing(compile(b.finish()));
    size_t folded = 0;
    for (const Instruction& i : code)
      if (i.mnemonic == "vmaxps" && i.operands.find('[') != std::string::npos) ++folded;
    EXPECT_EQ(folded, store_between ? 0u : 1u) << codegen::llvm::print(code);
  }
}

TEST(X86Listing, ALoadNeverMovesPastAChangeOfItsAddress) {
  for (const char* name : {"scalar", "avx2", "avx512"}) {
    Builder b("moved", target(name));
    const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
    const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
    const Vec v = b.load(x, Span{});
    b.advance(x, 4 * b.lanes());
    b.store(o, Span{}, b.add(b.load(x, Span{}), v));
    const auto n = static_cast<size_t>(b.lanes());
    EXPECT_TRUE(agrees(b.finish(), {bytes_of_values(awkward_floats(2 * n)), Bytes(4 * n)})) << name;
  }
}

TEST(X86Listing, ALoadNeverMovesPastAChangeOfItsIndex) {
  for (const char* name : {"scalar", "avx2", "avx512"}) {
    Builder b("moved", target(name));
    const Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
    const Pointer o = b.buffer("o", Type::f32, BufferAccess::write);
    const Scalar i = b.copy(b.parameter("i"));
    const Vec v = b.load(x, Span{0, i, 0, true});
    b.set(i, b.add(i, b.lanes()));
    b.store(o, Span{}, b.add(b.load(x, Span{0, i, 0, true}), v));
    const auto n = static_cast<size_t>(b.lanes());
    EXPECT_TRUE(agrees(b.finish(), {bytes_of_values(awkward_floats(2 * n)), Bytes(4 * n)}, {0}))
        << name;
  }
}

TEST(X86Listing, Avx512BroadcastsWhatItDemotes) {
  ir::Target t = target("avx512");
  t.vector_registers = 4;
  Builder b("poly", t);
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read_write);
  const Vec v = b.load(x, Span{});
  Vec r = b.constant(0.5f);
  for (int i = 0; i < 8; ++i) r = b.fma(r, v, b.constant(static_cast<float>(i) + 0.25f));
  b.store(x, Span{}, r);
  const codegen::KernelImage image = compile(b.finish());
  const std::string text = codegen::llvm::print(listing(image));
  EXPECT_THAT(text, HasSubstr("{1to16}"));
  EXPECT_LE(image.vector_registers_used, 4);
}

TEST(X86Listing, ASplatUsedOnceBecomesAnEmbeddedBroadcast) {
  Builder b("scale", target("avx512"));
  const Pointer x = b.buffer("x", Type::f32, BufferAccess::read_write);
  const Pointer s = b.buffer("s", Type::f32, BufferAccess::read);
  const Vec factor = b.load_splat(s);
  b.store(x, Span{}, b.mul(b.load(x, Span{}), factor));
  const auto code = listing(compile(b.finish()));
  EXPECT_EQ(count(code, "vbroadcastss"), 0u);
  EXPECT_THAT(codegen::llvm::print(code), HasSubstr("{1to16}"));
}

// Conversions, partial accesses, shuffles, masks: much of the table in one program.
Program mixture(const ir::Target& target) {
  Builder b("mixture", target);
  const Pointer h = b.buffer("h", Type::f16, BufferAccess::read);
  const Pointer q = b.buffer("q", Type::i8, BufferAccess::write);
  const Pointer o = b.buffer("o", Type::bf16, BufferAccess::write);
  const ir::program::Scalar n = b.parameter("n");
  const Vec v = b.load(h, Span{0, {}, n, false});
  std::vector<uint8_t> reverse(static_cast<size_t>(b.lanes()));
  for (size_t i = 0; i < reverse.size(); ++i)
    reverse[i] = static_cast<uint8_t>(reverse.size() - 1 - i);
  const Vec r =
      b.permute(b.select(b.compare(Compare::gt, v, b.reduce_add(v)), v, b.sqrt(v)), reverse);
  b.store(o, Span{0, {}, n, false}, b.scale(r, b.round(v)));
  b.store(q, Span{}, b.to_int(r));
  return b.finish();
}

TEST(X86Listing, NoEvexOutsideAvx512) {
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const auto code = listing(compile(mixture(target(name))));
    const bool any =
        std::any_of(code.begin(), code.end(), [](const Instruction& i) { return i.evex(); });
    EXPECT_EQ(any, std::string_view(name) == "avx512") << name;
    const bool vex = std::any_of(code.begin(), code.end(),
                                 [](const Instruction& i) { return i.mnemonic[0] == 'v'; });
    EXPECT_EQ(vex, std::string_view(name).starts_with("avx")) << name;
  }
}

TEST(X86Listing, RequiredExtensionsAreThoseEmitted) {
  const support::IsaMask wide = Isa::avx512f | Isa::avx512bw | Isa::avx512dq | Isa::avx512vl;
  const auto needed = [](const char* name) { return compile(mixture(target(name))).required_isa; };
  EXPECT_EQ(needed("sse").without(Isa::sse3 | Isa::ssse3 | Isa::sse4_1), support::IsaMask());
  EXPECT_TRUE(needed("sse").contains(Isa::sse4_1));
  EXPECT_EQ(needed("avx2") & wide, support::IsaMask());
  EXPECT_TRUE(needed("avx2").contains(Isa::avx | Isa::avx2 | Isa::f16c));
  EXPECT_FALSE(needed("avx2").contains(Isa::fma)) << "it multiplies and adds nothing";
  EXPECT_TRUE(compile(dot(target("avx2"))).required_isa.contains(Isa::fma));
  EXPECT_FALSE(compile(dot(target("avx2"))).required_isa.contains(Isa::f16c));
  EXPECT_TRUE(needed("avx512").contains(Isa::avx512f | Isa::bmi2));
  EXPECT_FALSE(needed("avx512").contains(Isa::avx512_vnni));
}

}  // namespace
}  // namespace lathe::tests
