// Builds the program of every instruction, a row of vectors at a time.
#include "tests/codegen_llvm/every_op.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <random>
#include <utility>

#include "ir/program/builder.h"

namespace lathe::tests {
namespace {

using namespace ir::program;  // NOLINT: the builder's words are this file's language
using ir::Type;

constexpr int kRows = 48;
constexpr Type kNarrow[] = {Type::f16, Type::bf16, Type::i8, Type::u8, Type::i16, Type::u16};

std::vector<std::byte> bounded(size_t count, int low, int high, size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> any(low, high);
  std::vector<std::byte> bytes(count * size);
  for (size_t i = 0; i < count; ++i) {
    const int value = i % 7 == 0 ? low : i % 5 == 0 ? high : any(random);
    std::memcpy(bytes.data() + i * size, &value, size);
  }
  return bytes;
}

std::vector<std::byte> exponents(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> any(-252, 254);
  std::vector<std::byte> bytes(count * 4);
  for (size_t i = 0; i < count; ++i) {
    float value = static_cast<float>(any(random));
    if (i % 19 == 0) value = std::numeric_limits<float>::quiet_NaN();
    if (i % 7 == 0) value = i % 2 == 0 ? -126 : -150;
    std::memcpy(bytes.data() + i * 4, &value, 4);
  }
  return bytes;
}

class Writer {
 public:
  explicit Writer(const ir::Target& target) : b_("every_op", target), n_(target.lanes) {}

  EveryOp write() {
    declare();
    b_.loop(0, rows_, 1, [&](Scalar row) { body(row); });
    result_.program = b_.finish();
    result_.rows = kRows;
    fill();
    return std::move(result_);
  }

 private:
  void declare() {
    const auto read = BufferAccess::read;
    const auto write = BufferAccess::write;
    f_ = b_.buffer("floats", Type::f32, read);
    g_ = b_.buffer("more_floats", Type::f32, read);
    h_ = b_.buffer("still_more_floats", Type::f32, read);
    e_ = b_.buffer("exponents", Type::f32, read);
    i_ = b_.buffer("integers", Type::i32, read);
    j_ = b_.buffer("more_integers", Type::i32, read);
    u7_ = b_.buffer("u7", Type::u8, read, 0, 127);
    s8_ = b_.buffer("s8", Type::i8, read, -127, 127);
    s16_ = b_.buffer("s16", Type::i16, read, -15000, 15000);
    for (const Type type : kNarrow) {
      narrow_.push_back(b_.buffer(std::string(ir::name(type)), type, read));
      stored_.push_back(
          b_.buffer("stored_" + std::string(ir::name(type)), type, BufferAccess::write));
    }
    partly_ = b_.buffer("partly", Type::f32, write);
    streamed_ = b_.buffer("streamed", Type::f32, write);
    out_ = b_.buffer("out", Type::f32, write);
    rows_ = b_.parameter("rows");
  }

  void put(std::string name, Vec value) {
    const auto at = static_cast<int64_t>(result_.names.size()) * n_;
    b_.store(out_, Span{at}, value);
    result_.names.push_back(std::move(name));
  }
  void put(const std::string& name, Mask mask) {
    put(name, b_.select(mask, b_.constant(1), b_.constant(0)));
  }
  void put(const std::string& name, Scalar value) {
    put(name + " low", splat(value));
    put(name + " high", splat(shift(Op::sshr, value, 32)));
  }

  Vec vector(Instr instr) {
    Vec result;
    result.reg = b_.emit(std::move(instr));
    result.builder = &b_;
    return result;
  }
  Scalar scalar(Instr instr) {
    Scalar result;
    result.reg = b_.emit(std::move(instr));
    result.builder = &b_;
    return result;
  }
  Vec make(Op op, Vec a, Vec b = {}, Vec c = {}) {
    Instr instr{.op = op};
    const Vec sources[] = {a, b, c};
    for (size_t s = 0; s < info(op).sources.size(); ++s) instr.src[s] = sources[s].reg;
    return vector(std::move(instr));
  }
  Vec splat(Scalar value) {
    Instr instr{.op = Op::vsplat};
    instr.src[0] = value.reg;
    return vector(std::move(instr));
  }
  Scalar shift(Op op, Scalar a, int bits) {
    Instr instr{.op = op};
    instr.src[0] = a.reg;
    instr.imm = bits;
    return scalar(std::move(instr));
  }
  Scalar both(Op op, Scalar a, Count b) {
    Instr instr{.op = op};
    instr.src[0] = a.reg;
    instr.scalar = b.operand;
    return scalar(std::move(instr));
  }
  // 32-bit lanes of a buffer of narrow integers: the bytes as they are.
  Vec raw(Pointer p, Scalar row) {
    Instr instr{.op = Op::load};
    instr.address = {p.reg, both(Op::smul, row, n_).reg, 4, 0};
    return vector(std::move(instr));
  }
  std::vector<uint8_t> pattern(int sources, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<uint8_t> lanes;
    for (int i = 0; i < n_; ++i)
      lanes.push_back(static_cast<uint8_t>(random() % static_cast<unsigned>(sources * n_)));
    return lanes;
  }

  void body(Scalar row) {
    result_.names.clear();
    const Scalar index = b_.mul(row, n_);
    const Span at{0, index};
    const Vec f = b_.load(f_, at), g = b_.load(g_, at), h = b_.load(h_, at);
    const Vec i = b_.load(i_, at), j = b_.load(j_, at);
    for (const Op op :
         {Op::vmov, Op::fadd, Op::fsub, Op::fmul, Op::fdiv, Op::fma, Op::fms, Op::fnma, Op::fmin,
          Op::fmax, Op::fsqrt, Op::fround, Op::ftrunc, Op::round_f16, Op::round_bf16, Op::f2i,
          Op::reduce_add, Op::reduce_min, Op::reduce_max})
      put(std::string(info(op).name), make(op, f, g, h));
    for (const Op op : {Op::i2f, Op::iadd, Op::isub, Op::imul, Op::imin, Op::imax, Op::iand,
                        Op::ior, Op::ixor, Op::iandn, Op::iabs8, Op::byte_shuffle})
      put(std::string(info(op).name), make(op, i, j));
    put("fscale", b_.scale(f, b_.load(e_, at)));
    put("fmin with a constant", b_.min(f, b_.constant(1)));
    put("fmax with a constant", b_.max(f, b_.constant(0)));
    put("vconst", b_.constant_bits(0x80000001));
    put("viota", b_.iota());
    put("vsplat", splat(row));
    for (const Op op : {Op::ishl, Op::ishr, Op::isar})
      for (const int bits : {0, 7, 31}) put(std::string(info(op).name), b_.shift(op, i, bits));
    narrow(row, i);
    lanes(f, g);
    masks(f, g, i, j);
    memory(row, at);
    scalars(row, i);
    b_.advance(out_, static_cast<int64_t>(result_.names.size()) * n_ * 4);
  }

  void narrow(Scalar row, Vec any) {
    const Vec u = raw(u7_, row), s = raw(s8_, row), w = raw(s16_, row);
    put("iadd16", make(Op::iadd16, w, w));
    put("dot2_u8s8", make(Op::dot2_u8s8, u, s));
    put("dot2_s16", make(Op::dot2_s16, w, w));
    put("dot4_u8s8", make(Op::dot4_u8s8, u, s, any));
    put("isign8", make(Op::isign8, s, any));
  }

  void lanes(Vec f, Vec g) {
    put("lookup8", b_.lookup8(f, {1, 0x80000000, 3, 4, 5, 6, 0x7fc00001, 0xffffffff}));
    put("permute", b_.permute(f, pattern(1, 1)));
    put("permute again", b_.permute(f, pattern(1, 2)));
    put("shuffle2", b_.shuffle(f, g, pattern(2, 3)));
  }

  void masks(Vec f, Vec g, Vec i, Vec j) {
    for (int c = 0; c < 6; ++c) {
      put("fcmp " + std::to_string(c), b_.compare(static_cast<Compare>(c), f, g));
      put("icmp " + std::to_string(c), b_.compare_int(static_cast<Compare>(c), i, j));
    }
    const Mask less = b_.compare(Compare::lt, f, g), nan = b_.is_nan(f);
    put("fnan", nan);
    put("mand", b_.both(less, b_.compare_int(Compare::lt, i, j)));
    put("mor", b_.either(less, nan));
    put("mnot", b_.negate(less));
    put("select", b_.select(less, f, g));
    Instr bits{.op = Op::sbits};
    bits.src[0] = less.reg;
    put("sbits", scalar(std::move(bits)));
  }

  void memory(Scalar row, const Span& at) {
    const Scalar some = b_.min(both(Op::sand, row, 31), n_);  // 0 … lanes lanes, row after row
    Span part = at, fixed = at;
    part.whole = fixed.whole = false;
    part.count = some;
    fixed.count = n_ / 2;
    const Vec f = b_.load(f_, at), i = b_.load(i_, at);
    put("load_part", b_.load(f_, part));
    put("load_part of half", b_.load(f_, fixed));
    for (size_t t = 0; t < narrow_.size(); ++t) {
      const std::string type(ir::name(kNarrow[t]));
      put("load " + type, b_.load(narrow_[t], at));
      put("load_part " + type, b_.load(narrow_[t], part));
      put("load_splat " + type, b_.load_splat(narrow_[t], 1, at.index));
      // A row of whole vectors, then one of partial ones.
      const Vec value = ir::info(kNarrow[t]).is_float ? f : i;
      b_.store(stored_[t], at, value);
      Span behind = part, half = fixed;
      behind.offset = int64_t{kRows} * n_;
      half.offset = 2 * behind.offset;
      b_.store(stored_[t], behind, value);
      b_.store(stored_[t], half, value);
    }
    b_.store(partly_, part, f);
    put("load_splat", b_.load_splat(f_, 0, at.index));
    put("load_group 8", b_.load_group(f_, 8, 4));
    put("load_group 16", b_.load_group(f_, 16, 8));
    b_.store_stream(streamed_, at, f);
    for (int level = 0; level < 4; ++level) b_.prefetch(f_, 4096, level);
  }

  void scalars(Scalar row, Vec i) {
    const Scalar big = b_.scalar(0x123456789abcdef);
    const Scalar value = b_.sub(b_.mul(big, row), 77);
    put("sadd", b_.add(value, row));
    put("ssub", b_.sub(row, Count(value)));
    put("smul", b_.mul(value, value));
    put("smin", b_.min(value, row));
    put("smax", b_.max(value, 5));
    put("sand", both(Op::sand, value, 0xff00ff));
    put("sdiv", b_.div(value, -7));
    put("sdiv by scalar", b_.div(value, b_.add(row, 1)));
    put("sshl", shift(Op::sshl, value, 13));
    put("sshr", shift(Op::sshr, value, 13));
    put("smov", b_.copy(value));
    Instr lane{.op = Op::slane};
    lane.src[0] = i.reg;
    lane.imm = n_ - 1;
    put("slane", scalar(std::move(lane)));
    for (const int bytes : {1, 2, 4, 8, -1, -2, -4, -8}) {
      Instr load{.op = Op::sload};
      load.address = {i_.reg, row.reg, 1, 3};
      load.imm = bytes;
      put("sload " + std::to_string(bytes), scalar(std::move(load)));
    }
    put("pmisaligned", b_.misaligned(b_.offset(f_, 12), 16));
    Pointer moved = b_.offset(f_, b_.mul(row, 4));
    b_.advance(moved, 4);
    put("pmov", b_.load_splat(moved));
    const Scalar count = b_.scalar(0);
    b_.loop(row, 40, 3, [&](Scalar at) {
      b_.branch(
          Compare::gt, at, Count(row), [&] { b_.set(count, b_.add(count, at)); },
          [&] { b_.set(count, b_.add(count, 1000)); });
    });
    put("loop and branch", count);
  }

  void fill() {
    // Loads reach a little past the last row: "sload" and "load_splat" start off a row's start.
    const auto elements = static_cast<size_t>(kRows) * static_cast<size_t>(n_) + 64;
    auto& buffers = result_.arguments.buffers;
    buffers = {corner_floats(elements, 1),
               corner_floats(elements, 2),
               corner_floats(elements, 3),
               exponents(elements, 4),
               random_bytes(elements * 4, 5),
               random_bytes(elements * 4, 6),
               bounded(elements * 4, 0, 127, 1, 7),
               bounded(elements * 4, -127, 127, 1, 8),
               bounded(elements * 2, -15000, 15000, 2, 9)};
    uint32_t seed = 10;
    for (const Type type : kNarrow) {
      const auto size = static_cast<size_t>(ir::size_of(type));
      buffers.push_back(random_bytes(elements * size, seed++));
      buffers.emplace_back(3 * elements * size, std::byte{0xcd});
    }
    buffers.emplace_back(elements * 4, std::byte{0xcd});
    buffers.emplace_back(elements * 4);
    buffers.emplace_back(static_cast<size_t>(kRows * n_) * 4 * result_.names.size());
    result_.arguments.parameters = {kRows};
  }

  Builder b_;
  int n_;
  EveryOp result_;
  Pointer f_, g_, h_, e_, i_, j_, u7_, s8_, s16_, partly_, streamed_, out_;
  std::vector<Pointer> narrow_, stored_;
  Scalar rows_;
};

}  // namespace

std::string EveryOp::place(size_t element) const {
  const auto lanes = static_cast<size_t>(program.target.lanes);
  const size_t vector = element / lanes;
  return names[vector % names.size()] + " row " + std::to_string(vector / names.size()) + " lane " +
         std::to_string(element % lanes);
}

EveryOp every_op(const ir::Target& target) { return Writer(target).write(); }

std::vector<std::byte> random_bytes(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

std::vector<std::byte> corner_floats(size_t count, uint32_t seed) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float corners[] = {0.0F,           -0.0F,
                           1.0F,           -1.0F,
                           0.5F,           1.5F,
                           2.5F,           -2.5F,
                           -0.49999997F,   8388607.5F,
                           8388609.0F,     16777217.0F,
                           65504.0F,       65519.996F,
                           65520.0F,       -65536.0F,
                           2147483520.F,   0x1p31F,
                           -0x1p31F,       -2147483904.F,
                           1e-45F,         -1e-40F,
                           1e-38F,         0x1p-14F,
                           0x1.ffcp-15F,   0x1p-24F,
                           0x1p-25F,       3e38F,
                           -3.4028235e38F, 0x1.01p0F,
                           0x1.03p0F,      kInfinity,
                           -kInfinity,     std::numeric_limits<float>::quiet_NaN()};
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(count * 4);
  for (size_t i = 0; i < count; ++i) {
    float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (random() % 2 == 0) value = corners[random() % std::size(corners)];
    std::memcpy(bytes.data() + i * 4, &value, 4);
    constexpr uint32_t kSignallingNan = 0x7f800001;
    if (i % 31 == 0) std::memcpy(bytes.data() + i * 4, &kSignallingNan, 4);
  }
  return bytes;
}

}  // namespace lathe::tests
