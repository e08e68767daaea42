// Every lane-wise, lane-moving, mask and scalar instruction agrees with the interpreter on every
// target.
#include <cmath>
#include <functional>

#include "ir/program/builder.h"
#include "tests/codegen_x86/harness.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: programs are written here
using ir::Type;

constexpr int kVectors = 24;  // per run

class X86Ops : public testing::TestWithParam<size_t> {
 protected:
  ir::Target target() const { return x86_targets()[GetParam()]; }
  int lanes() const { return target().lanes; }
  size_t elements() const { return static_cast<size_t>(kVectors * lanes()); }

  // out[i] = body(a[i], b[i], c[i]) over f32 or i32 buffers.
  Program map(Type in, Type out, const std::function<Vec(Builder&, Vec, Vec, Vec)>& body) const {
    Builder b("map", target());
    const Pointer x = b.buffer("a", in, BufferAccess::read);
    const Pointer y = b.buffer("b", in, BufferAccess::read);
    const Pointer z = b.buffer("c", in, BufferAccess::read);
    const Pointer o = b.buffer("o", out, BufferAccess::write);
    b.vectors(kVectors * lanes(), 1, [&](const Span& at, int) {
      b.store(o, at, body(b, b.load(x, at), b.load(y, at), b.load(z, at)));
    });
    return b.finish();
  }

  void check_floats(const std::function<Vec(Builder&, Vec, Vec, Vec)>& body,
                    Type out = Type::f32) const {
    const size_t n = elements();
    EXPECT_TRUE(
        agrees(map(Type::f32, out, body),
               {bytes_of_values(awkward_floats(n, 1)), bytes_of_values(awkward_floats(n, 2)),
                bytes_of_values(awkward_floats(n, 3)), Bytes(n * 4)}));
  }

  void check_ints(const std::function<Vec(Builder&, Vec, Vec, Vec)>& body) const {
    const size_t n = elements();
    std::vector<uint32_t> b = random_words(n, 2);
    const std::vector<uint32_t> a = random_words(n, 1);
    for (size_t i = 0; i < n; i += 3) b[i] = a[i];  // equal lanes too
    EXPECT_TRUE(agrees(map(Type::i32, Type::i32, body),
                       {bytes_of_values(a), bytes_of_values(b), bytes_of_values(random_words(n, 3)),
                        Bytes(n * 4)}));
  }
};

TEST_P(X86Ops, Floats) {
  for (const Op op : {Op::fadd, Op::fsub, Op::fmul, Op::fdiv, Op::fmin, Op::fmax}) {
    SCOPED_TRACE(info(op).name);
    check_floats([&](Builder& b, Vec x, Vec y, Vec) { return b.vector_op(op, {x, y}); });
    check_floats(
        [&](Builder& b, Vec x, Vec, Vec) { return b.vector_op(op, {b.constant(1.5f), x}); });
    check_floats([&](Builder& b, Vec x, Vec, Vec) { return b.vector_op(op, {x, x}); });
    check_floats([&](Builder& b, Vec x, Vec y, Vec) {  // the result overwrites its second source
      const Vec r = b.copy(y);
      b.set(r, b.vector_op(op, {x, r}));
      return b.add(r, y);
    });
  }
  for (const Op op : {Op::fsqrt, Op::fround, Op::ftrunc, Op::round_f16, Op::round_bf16}) {
    SCOPED_TRACE(info(op).name);
    check_floats([&](Builder& b, Vec x, Vec, Vec) { return b.vector_op(op, {x}); });
  }
  for (const Op op : {Op::fma, Op::fms, Op::fnma}) {
    SCOPED_TRACE(info(op).name);
    check_floats([&](Builder& b, Vec x, Vec y, Vec z) { return b.vector_op(op, {x, y, z}); });
    // Every choice of the register that the result overwrites, and none.
    for (int kept = 0; kept < 8; ++kept)
      check_floats([&](Builder& b, Vec x, Vec y, Vec z) {
        Vec r = b.vector_op(op, {x, y, z});
        if ((kept & 1) != 0) r = b.add(r, x);
        if ((kept & 2) != 0) r = b.add(r, y);
        if ((kept & 4) != 0) r = b.add(r, z);
        return r;
      });
    for (int place = 0; place < 3; ++place)
      check_floats([&](Builder& b, Vec x, Vec y, Vec z) {
        const std::array<Vec, 3> all = {x, y, z};
        const Vec r = b.copy(all[static_cast<size_t>(place)]);
        std::array<Vec, 3> s = all;
        s[static_cast<size_t>(place)] = r;
        b.set(r, b.vector_op(op, {s[0], s[1], s[2]}));
        return b.add(r, b.add(x, b.add(y, z)));
      });
  }
}

TEST_P(X86Ops, ScaleRoundsOnce) {
  const size_t n = elements();
  std::vector<float> exponents(n);
  for (size_t i = 0; i < n; ++i)
    exponents[i] = static_cast<float>(static_cast<int>(i * 37 % 507) - 252);
  exponents[3] = NAN;
  const Program program =
      map(Type::f32, Type::f32, [](Builder& b, Vec x, Vec y, Vec) { return b.scale(x, y); });
  for (uint32_t seed = 1; seed < 40; ++seed) {
    std::vector<float> values = awkward_floats(n, seed);
    // Bits near a tie of the result's last place, where rounding twice would show.
    for (size_t i = 0; i < n; i += 2)
      values[i] = std::ldexp(1.0f + 0x1p-23f * static_cast<float>(seed * 77 + i),
                             static_cast<int>(i % 60) - 30);
    ASSERT_TRUE(agrees(program, {bytes_of_values(values), bytes_of_values(exponents), Bytes(n * 4),
                                 Bytes(n * 4)}));
  }
}

TEST_P(X86Ops, Conversions) {
  check_floats([](Builder& b, Vec x, Vec, Vec) { return b.to_int(x); }, Type::i32);
  check_ints([](Builder& b, Vec x, Vec, Vec) { return b.to_int(b.to_float(x)); });
}

TEST_P(X86Ops, Integers) {
  for (const Op op :
       {Op::iadd, Op::isub, Op::imul, Op::imin, Op::imax, Op::iand, Op::ior, Op::ixor, Op::iandn}) {
    SCOPED_TRACE(info(op).name);
    check_ints([&](Builder& b, Vec x, Vec y, Vec) { return b.vector_op(op, {x, y}); });
    check_ints([&](Builder& b, Vec x, Vec y, Vec) {
      const Vec r = b.copy(y);
      b.set(r, b.vector_op(op, {x, r}));
      return b.bit_xor(r, y);
    });
    check_ints([&](Builder& b, Vec x, Vec, Vec) {
      return b.vector_op(op, {x, b.constant_bits(0x7FFF00FFu)});
    });
  }
  for (const Op op : {Op::ishl, Op::ishr, Op::isar})
    for (const int by : {0, 1, 16, 31})
      check_ints([&](Builder& b, Vec x, Vec, Vec) { return b.bit_xor(b.shift(op, x, by), x); });
}

TEST_P(X86Ops, NarrowIntegers) {
  Builder b("narrow", target());
  const Pointer u8 = b.buffer("u8", Type::u8, BufferAccess::read, 0, 127);
  const Pointer s8 = b.buffer("s8", Type::i8, BufferAccess::read, -127, 127);
  const Pointer s16 = b.buffer("s16", Type::i16, BufferAccess::read, -16000, 16000);
  const Pointer o = b.buffer("o", Type::i32, BufferAccess::write);
  const int64_t bytes = 4 * lanes();
  const auto raw = [&](Pointer p) {
    Instr load{.op = Op::load};
    load.address.pointer = p.reg;
    Vec v;
    v.builder = &b;
    v.reg = b.emit(load);
    return v;
  };
  std::vector<Op> ops = {Op::dot2_u8s8, Op::isign8, Op::dot2_s16, Op::iadd16};
  b.loop(0, kVectors, 1, [&](ir::program::Scalar) {
    int64_t at = 0;
    const auto out = [&](Vec v) { b.store(o, Span{at++ * lanes(), {}, 0, true}, v); };
    const Vec x = raw(u8), y = raw(s8), z = raw(s16);
    out(b.vector_op(Op::dot2_u8s8, {x, y}));
    out(b.vector_op(Op::dot2_s16, {z, z}));
    out(b.vector_op(Op::iadd16, {z, z}));
    out(b.vector_op(Op::iabs8, {y}));
    out(b.vector_op(Op::isign8, {y, y}));
    out(b.vector_op(Op::isign8, {x, y}));
    out(b.dot4(x, y, b.constant_bits(1000)));
    const Vec sum = b.copy(z);
    b.set(sum, b.dot4(x, y, sum));
    out(sum);
    for (const Pointer p : {u8, s8, s16}) b.advance(p, bytes);
    b.advance(o, at * bytes);
  });
  const Program program = b.finish();
  const size_t n = elements();
  std::vector<uint8_t> a(n * 4);
  std::vector<int8_t> s(n * 4);
  std::vector<int16_t> w(n * 2);
  const std::vector<uint32_t> words = random_words(n * 4, 9);
  for (size_t i = 0; i < n * 4; ++i) {
    a[i] = static_cast<uint8_t>(words[i] % 128);
    s[i] = static_cast<int8_t>(static_cast<int>(words[i] >> 8) % 128);
    if (i % 5 == 0) s[i] = 0;
  }
  for (size_t i = 0; i < n * 2; ++i)
    w[i] = static_cast<int16_t>(static_cast<int>(words[i] % 32001) - 16000);
  EXPECT_TRUE(agrees(
      program, {bytes_of_values(a), bytes_of_values(s), bytes_of_values(w), Bytes(n * 8 * 4)}));
}

// y, but x in every second lane: comparisons must see equal values, too.
Vec half_equal(Builder& b, Vec x, Vec y) {
  const Vec odd = b.bit_and(b.iota(), b.constant_bits(1));
  return b.select(b.compare_int(Compare::eq, odd, b.constant_bits(0)), x, y);
}

TEST_P(X86Ops, MasksAndSelection) {
  const Compare all[] = {Compare::lt, Compare::le, Compare::eq,
                         Compare::ne, Compare::ge, Compare::gt};
  for (const Compare compare : all) {
    SCOPED_TRACE(static_cast<int>(compare));
    check_floats(
        [&](Builder& b, Vec x, Vec y, Vec z) { return b.select(b.compare(compare, x, y), z, y); });
    check_floats([&](Builder& b, Vec x, Vec y, Vec z) {
      const Vec other = half_equal(b, x, y);
      return b.select(b.compare(compare, x, other), z, other);
    });
    check_ints([&](Builder& b, Vec x, Vec y, Vec z) {
      const Vec other = half_equal(b, x, y);
      return b.select(b.compare_int(compare, x, other), z, other);
    });
    check_floats([&](Builder& b, Vec x, Vec, Vec z) {
      return b.select(b.compare(compare, b.constant(1.0f), x), z, x);
    });
    check_ints([&](Builder& b, Vec x, Vec y, Vec z) {
      return b.select(b.compare_int(compare, x, y), z, y);
    });
    check_ints([&](Builder& b, Vec x, Vec, Vec z) {
      return b.select(b.compare_int(compare, b.constant_bits(77), x), z, x);
    });
    check_ints([&](Builder& b, Vec x, Vec, Vec z) {
      return b.select(b.compare_int(compare, x, b.constant_bits(77)), z, x);
    });
  }
  check_floats([](Builder& b, Vec x, Vec y, Vec z) {
    const Mask m =
        b.both(b.negate(b.is_nan(x)), b.either(b.compare(Compare::lt, x, y), b.is_nan(y)));
    return b.select(b.negate(m), z, b.select(m, x, y));
  });
  check_floats([](Builder& b, Vec x, Vec y, Vec z) {  // the result overwrites either side
    const Vec r = b.copy(y);
    b.set(r, b.select(b.compare(Compare::lt, x, z), x, r));
    b.set(r, b.select(b.compare(Compare::gt, x, y), r, z));
    return b.add(r, y);
  });
  check_floats(
      [](Builder& b, Vec x, Vec y, Vec) {
        Instr bits{.op = Op::sbits};
        bits.src[0] = b.compare(Compare::lt, x, y).reg;
        Instr splat{.op = Op::vsplat};
        splat.src[0] = b.emit(bits);
        Vec v;
        v.builder = &b;
        v.reg = b.emit(splat);
        return v;
      },
      Type::i32);
}

TEST_P(X86Ops, Lanes) {
  for (const Op op : {Op::reduce_add, Op::reduce_min, Op::reduce_max}) {
    SCOPED_TRACE(info(op).name);
    check_floats([&](Builder& b, Vec x, Vec y, Vec) { return b.add(b.vector_op(op, {x}), y); });
  }
  check_ints([](Builder& b, Vec x, Vec y, Vec) { return b.int_op(Op::byte_shuffle, x, y); });
  check_ints([](Builder& b, Vec x, Vec, Vec) { return b.int_op(Op::iadd, x, b.iota()); });
  const auto n = static_cast<size_t>(lanes());
  std::vector<std::vector<uint8_t>> patterns;
  const auto add = [&](const std::function<size_t(size_t)>& f) {
    std::vector<uint8_t> pattern(n);
    for (size_t i = 0; i < n; ++i) pattern[i] = static_cast<uint8_t>(f(i) % (2 * n));
    patterns.push_back(pattern);
  };
  add([](size_t i) { return i; });
  add([&](size_t i) { return i + n; });
  add([](size_t) { return 0; });
  add([&](size_t) { return 2 * n - 1; });
  add([&](size_t i) { return n - 1 - i; });
  add([&](size_t i) { return i % 2 == 0 ? i : i + n; });
  add([&](size_t i) { return i / 4 * 4 + i % 4 / 2 + (i % 2) * n; });
  add([&](size_t i) { return i / 4 * 4 + 2 + i % 4 / 2 + (i % 2) * n; });
  add([&](size_t i) { return i / 4 * 4 + 2 + i % 4 / 2 + (1 - i % 2) * n; });
  add([&](size_t i) { return i / 4 * 4 + (i * 3) % 4 + (i % 4 / 2) * n; });
  add([&](size_t i) { return (i + n / 2) % n + (i < n / 2 ? n : 0); });
  add([&](size_t i) { return (i + 4) % (2 * n); });
  add([&](size_t i) { return i ^ 2; });
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    const std::vector<uint32_t> words = random_words(n, seed);
    add([&](size_t i) { return words[i]; });
  }
  for (const auto& pattern : patterns) {
    SCOPED_TRACE(testing::PrintToString(pattern));
    check_ints([&](Builder& b, Vec x, Vec y, Vec) { return b.shuffle(x, y, pattern); });
    for (int second = 0; second < 2; ++second)  // the result overwrites either source
      check_ints([&](Builder& b, Vec x, Vec y, Vec) {
        const Vec r = b.copy(second != 0 ? y : x);
        b.set(r, second != 0 ? b.shuffle(x, r, pattern) : b.shuffle(r, y, pattern));
        return b.int_op(Op::iadd, r, b.int_op(Op::ixor, x, y));
      });
    std::vector<uint8_t> one = pattern;
    for (uint8_t& lane : one) lane %= n;
    check_ints([&](Builder& b, Vec x, Vec, Vec) { return b.permute(x, one); });
    check_ints([&](Builder& b, Vec x, Vec, Vec) {
      const Vec r = b.copy(x);
      b.set(r, b.permute(r, one));
      return b.int_op(Op::ixor, r, x);
    });
  }
}

TEST_P(X86Ops, ApproximationsKeepTheirBound) {
  const size_t n = elements();
  for (const bool root : {false, true}) {
    const Program program = map(Type::f32, Type::f32, [&](Builder& b, Vec x, Vec, Vec) {
      return root ? b.rsqrt_approx(x) : b.recip_approx(x);
    });
    const codegen::KernelImage image = compile(program);
    std::vector<float> in(n), out(n), unused(n);
    for (size_t i = 0; i < n; ++i)
      in[i] = std::ldexp(1.0f + static_cast<float>(i) / static_cast<float>(n),
                         static_cast<int>(i % 100) - 50);
    in[0] = 0.0f;
    in[1] = INFINITY;
    const auto bytes = [](std::vector<float>& v) { return reinterpret_cast<std::byte*>(v.data()); };
    if (!run_native(image, {bytes(in), bytes(unused), bytes(unused), bytes(out)}, {}))
      GTEST_SKIP() << "this host does not run " << target().name;
    EXPECT_EQ(out[0], INFINITY);
    EXPECT_EQ(out[1], 0.0f);
    for (size_t i = 2; i < n; ++i) {
      const double exact = root ? 1.0 / std::sqrt(double{in[i]}) : 1.0 / double{in[i]};
      EXPECT_LE(std::fabs(out[i] / exact - 1.0), 1.5 * 0x1p-12) << in[i];
    }
  }
}

TEST_P(X86Ops, Scalars) {
  Builder b("scalars", target());
  const Pointer numbers = b.buffer("numbers", Type::i32, BufferAccess::read);
  const Pointer bytes = b.buffer("bytes", Type::u8, BufferAccess::read);
  const Pointer o = b.buffer("o", Type::i32, BufferAccess::write);
  const ir::program::Scalar p = b.parameter("p"), q = b.parameter("q");
  int64_t at = 0;
  const auto out = [&](ir::program::Scalar s) {
    for (const int64_t shift : {0, 32}) {
      Instr high{.op = Op::sshr};
      high.src[0] = s.reg;
      high.imm = shift;
      Instr splat{.op = Op::vsplat};
      splat.src[0] = b.emit(high);
      Vec v;
      v.builder = &b;
      v.reg = b.emit(splat);
      b.store(o, Span{at++, {}, 1, false}, v);
    }
  };
  const auto op = [&](Op code, ir::program::Scalar x, Count y) {
    Instr instr{.op = code};
    instr.src[0] = x.reg;
    instr.scalar = y.operand;
    ir::program::Scalar s;
    s.builder = &b;
    s.reg = b.emit(instr);
    return s;
  };
  for (const Op code : {Op::sadd, Op::ssub, Op::smul, Op::smin, Op::smax, Op::sand, Op::sdiv}) {
    out(op(code, p, q));
    for (const int64_t imm :
         {int64_t{1}, int64_t{3}, int64_t{8}, int64_t{-7}, int64_t{1000}, int64_t{1} << 40})
      out(op(code, p, imm));
    const ir::program::Scalar r = b.copy(q);
    Instr onto{.op = code};
    onto.src[0] = p.reg;
    onto.scalar = {r.reg, 0};
    onto.dst = r.reg;
    b.emit(onto);
    out(b.add(r, q));
  }
  Instr shl{.op = Op::sshl};
  shl.src[0] = p.reg;
  shl.imm = 5;
  ir::program::Scalar shifted;
  shifted.reg = b.emit(shl);
  out(shifted);
  for (const int64_t size : {1, 2, 4, 8, -1, -2, -4, -8}) {
    Instr load{.op = Op::sload};
    load.imm = size;
    load.address = {bytes.reg, {}, 1, 8};
    ir::program::Scalar s;
    s.reg = b.emit(load);
    out(s);
  }
  for (int lane = 0; lane < lanes(); ++lane) {
    Instr instr{.op = Op::slane};
    instr.src[0] = b.load(numbers, Span{}).reg;
    instr.imm = lane;
    ir::program::Scalar s;
    s.reg = b.emit(instr);
    out(s);
  }
  out(b.misaligned(b.offset(o, 4), 4));
  const Program program = b.finish();
  const size_t stored = static_cast<size_t>(at) * 4;
  for (const auto& [x, y] :
       {std::pair<int64_t, int64_t>{17, 5}, {-1234567890123, 77}, {0, -3}, {-8, -8}})
    EXPECT_TRUE(agrees(program,
                       {bytes_of_values(random_words(static_cast<size_t>(lanes()), 5)),
                        bytes_of_values(random_words(4, 6)), Bytes(stored)},
                       {x, y}));
}

TEST_P(X86Ops, Control) {
  Builder b("control", target());
  const Pointer o = b.buffer("o", Type::i32, BufferAccess::write);
  const ir::program::Scalar n = b.parameter("n"), begin = b.parameter("begin");
  const Vec count = b.copy(b.constant_bits(0)), one = b.constant_bits(1),
            places = b.copy(b.constant_bits(0));
  const auto tick = [&](Vec v) { b.set(v, b.int_op(Op::iadd, v, one)); };
  b.loop(0, n, 1, [&](ir::program::Scalar) { tick(count); });
  b.loop(begin, n, 3, [&](ir::program::Scalar i) {
    b.branch(
        Compare::lt, i, 5, [&] { tick(places); },
        [&] {
          tick(count);
          tick(count);
        });
    b.branch(Compare::eq, i, n, [&] { tick(count); });
    b.loop(i, 4, 2, [&](ir::program::Scalar) { tick(places); });
  });
  b.loop(5, 5, 1, [&](ir::program::Scalar) { tick(count); });
  b.loop(5, 6, 7,
         [&](ir::program::Scalar i) { b.branch(Compare::ge, i, 5, [&] { tick(count); }); });
  b.loop(0, 10, 4, [&](ir::program::Scalar) { tick(places); });
  const ir::program::Scalar end = b.copy(n);
  b.loop(0, end, 1, [&](ir::program::Scalar) {
    b.set(end, b.sub(end, 1));
    tick(count);
  });
  b.store(o, Span{}, count);
  b.store(o, Span{lanes(), {}, 0, true}, places);
  const Program program = b.finish();
  for (const int64_t trips : {0, 1, 2, 7, 12, -3})
    for (const int64_t from : {0, 3, 20, -5})
      EXPECT_TRUE(agrees(program, {Bytes(static_cast<size_t>(lanes()) * 8)}, {trips, from}));
}

std::string target_name(const testing::TestParamInfo<size_t>& info) {
  const ir::Target target = x86_targets()[info.param];
  return target.name + (target.vnni ? "_vnni" : "");
}

INSTANTIATE_TEST_SUITE_P(Targets, X86Ops, testing::Range<size_t>(0, 5), target_name);

}  // namespace
}  // namespace lathe::tests
