// Writing kernel programs in C++ that reads like the loop nest.
//
//   Builder b("scale", target);
//   Pointer x = b.buffer("x", Type::f32, BufferAccess::read);
//   Pointer y = b.buffer("y", Type::f32, BufferAccess::write);
//   Scalar rows = b.parameter("rows");
//   b.loop(0, rows, 1, [&](Scalar) {
//     b.vectors(width, [&](Span i) { b.store(y, i, b.load(x, i) * 2.0f); });
//     b.advance(x, row_bytes); b.advance(y, row_bytes);
//   });
//   Program program = b.finish();
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "ir/program/program.h"

namespace lathe::ir::program {

class Builder;

/// Handles to virtual registers. Copying a handle does not copy the register; `b.set(x, …)` writes
/// it.
struct Handle {
  Reg reg{};
  Builder* builder = nullptr;
};
struct Vec : Handle {};
struct Mask : Handle {};
struct Scalar : Handle {};

/// A typed position in a buffer: the pointer register, and how its elements become lanes.
struct Pointer : Handle {
  Type type = Type::f32;
};

/// A scalar known now or at run time.
struct Count {
  Count(int64_t value) : operand{{}, value} {}    // NOLINT: an implicit conversion is the point
  Count(int value) : operand{{}, value} {}        // NOLINT
  Count(Scalar value) : operand{value.reg, 0} {}  // NOLINT
  Operand operand;
};

/// Where a vector access lies: `offset` elements (static) plus `index` elements (run-time,
/// optional) past a pointer, `count` lanes (lanes: a whole vector).
struct Span {
  int64_t offset = 0;
  Scalar index{};
  Count count = 0;
  bool whole = true;
};

class Builder {
 public:
  Builder(std::string name, Target target);

  const Target& target() const { return program_.target; }
  int lanes() const { return program_.target.lanes; }

  // Arguments, in the order of the calls.
  Pointer buffer(std::string name, Type type, BufferAccess access);
  Pointer buffer(std::string name, Type type, BufferAccess access, int64_t low, int64_t high);
  Scalar parameter(std::string name);

  // Constants: equal ones share a register defined at the top of the program, which the emitter
  // keeps in a register or folds into memory operands as its registers allow.
  Vec constant(float value);
  Vec constant_bits(uint32_t bits);
  Vec iota();
  Scalar scalar(int64_t value);  ///< a new register holding value (mutable)

  // New registers, and writing one that exists: set(acc, fma(x, y, acc)) costs no copy.
  Vec vector();  ///< undefined until set
  Vec copy(Vec a);
  Scalar copy(Scalar a);
  Pointer copy(Pointer a);
  void set(Vec destination, Vec value);
  void set(Mask destination, Mask value);
  void set(Scalar destination, Scalar value);

  // f32
  Vec add(Vec a, Vec b) { return vector_op(Op::fadd, {a, b}); }
  Vec sub(Vec a, Vec b) { return vector_op(Op::fsub, {a, b}); }
  Vec mul(Vec a, Vec b) { return vector_op(Op::fmul, {a, b}); }
  Vec div(Vec a, Vec b) { return vector_op(Op::fdiv, {a, b}); }
  Vec fma(Vec a, Vec b, Vec c) { return vector_op(Op::fma, {a, b, c}); }    ///< a*b + c
  Vec fms(Vec a, Vec b, Vec c) { return vector_op(Op::fms, {a, b, c}); }    ///< a*b - c
  Vec fnma(Vec a, Vec b, Vec c) { return vector_op(Op::fnma, {a, b, c}); }  ///< c - a*b
  Vec min(Vec a, Vec b) { return vector_op(Op::fmin, {a, b}); }  ///< b where either is NaN
  Vec max(Vec a, Vec b) { return vector_op(Op::fmax, {a, b}); }  ///< b where either is NaN
  Vec sqrt(Vec a) { return vector_op(Op::fsqrt, {a}); }
  Vec recip_approx(Vec a) { return vector_op(Op::frecip, {a}); }
  Vec rsqrt_approx(Vec a) { return vector_op(Op::frsqrt, {a}); }
  Vec round(Vec a) { return vector_op(Op::fround, {a}); }
  Vec trunc(Vec a) { return vector_op(Op::ftrunc, {a}); }
  Vec scale(Vec a, Vec exponent) { return vector_op(Op::fscale, {a, exponent}); }
  Vec round_f16(Vec a) { return vector_op(Op::round_f16, {a}); }
  Vec round_bf16(Vec a) { return vector_op(Op::round_bf16, {a}); }
  Vec to_int(Vec a) { return vector_op(Op::f2i, {a}); }
  Vec to_float(Vec a) { return vector_op(Op::i2f, {a}); }

  // i32 and bits
  Vec int_op(Op op, Vec a, Vec b) { return vector_op(op, {a, b}); }
  Vec bit_and(Vec a, Vec b) { return vector_op(Op::iand, {a, b}); }
  Vec bit_or(Vec a, Vec b) { return vector_op(Op::ior, {a, b}); }
  Vec bit_xor(Vec a, Vec b) { return vector_op(Op::ixor, {a, b}); }
  Vec bit_andnot(Vec a, Vec b) { return vector_op(Op::iandn, {a, b}); }  ///< ~a & b
  Vec shift(Op op, Vec a, int bits);
  Vec dot4(Vec u8, Vec s8, Vec sum) { return vector_op(Op::dot4_u8s8, {u8, s8, sum}); }

  // lanes
  Vec permute(Vec a, std::vector<uint8_t> pattern);
  Vec shuffle(Vec a, Vec b, std::vector<uint8_t> pattern);
  Vec lookup8(Vec index,
              const std::array<uint32_t, 8>& table);  ///< table[index mod 8] in each lane
  Vec reduce_add(Vec a) { return vector_op(Op::reduce_add, {a}); }
  Vec reduce_min(Vec a) { return vector_op(Op::reduce_min, {a}); }
  Vec reduce_max(Vec a) { return vector_op(Op::reduce_max, {a}); }

  // masks
  Mask compare(Compare compare, Vec a, Vec b);      ///< f32
  Mask compare_int(Compare compare, Vec a, Vec b);  ///< i32, signed
  Mask is_nan(Vec a);
  Mask both(Mask a, Mask b);
  Mask either(Mask a, Mask b);
  Mask negate(Mask a);
  Vec select(Mask mask, Vec a, Vec b);

  // memory, with the pointer's element type
  Vec load(Pointer p, const Span& at);
  void store(Pointer p, const Span& at, Vec value);
  void store_stream(Pointer p, const Span& at, Vec value);
  Vec load_splat(Pointer p, int64_t offset = 0, Scalar index = {});  ///< offset, index in elements
  Vec load_group(Pointer p, int bytes, int64_t byte_offset = 0);
  Scalar load_integer(Pointer p, int64_t offset = 0, Scalar index = {});  ///< an integer element
  void prefetch(Pointer p, int64_t byte_offset, int level = 0);

  // scalars and pointers
  Scalar add(Scalar a, Count b) { return scalar_op(Op::sadd, a, b); }
  Scalar sub(Scalar a, Count b) { return scalar_op(Op::ssub, a, b); }
  Scalar mul(Scalar a, Count b) { return scalar_op(Op::smul, a, b); }
  Scalar min(Scalar a, Count b) { return scalar_op(Op::smin, a, b); }
  Scalar max(Scalar a, Count b) { return scalar_op(Op::smax, a, b); }
  Scalar div(Scalar a, Count b) { return scalar_op(Op::sdiv, a, b); }
  Scalar misaligned(Pointer p, int64_t power_of_two);
  Pointer offset(Pointer p, Count bytes);  ///< a new pointer
  void advance(Pointer p, Count bytes);    ///< moves p itself

  // control
  /// for (i = begin; i < end; i += step) body(i)
  void loop(Count begin, Count end, int64_t step, const std::function<void(Scalar)>& body);
  void branch(Compare compare, Scalar left, Count right, const std::function<void()>& then,
              const std::function<void()>& otherwise = nullptr);

  /// Visits `width` elements (known now): a loop over whole vectors, `unroll` a trip, then the
  /// remainder, then the tail of width mod lanes. body gets the access, and its place 0 … unroll-1
  /// in the trip (for accumulators). Few vectors (at most `unroll`) are laid out without a loop.
  /// The places of a trip are interleaved where they are independent (interleave.h): a store of one
  /// place may come after a load of the next.
  void vectors(int64_t width, int unroll, const std::function<void(const Span&, int)>& body);
  void vectors(int64_t width, const std::function<void(const Span&)>& body);

  // The general forms, for what has no name above.
  Vec vector_op(Op op, std::initializer_list<Vec> sources);
  Reg emit(Instr instr);  ///< appends; makes a fresh dst if the op has a result and dst is not set
  Instr* last();          ///< the last instruction of the current block, or null

  Program finish();

 private:
  Scalar scalar_op(Op op, Scalar a, Count b);
  Address address(Pointer p, int64_t offset, Scalar index, int element_bytes) const;
  void retarget(Reg destination, Reg value, Op move);
  void interleaved(int count, const std::function<void(int)>& piece);

  Program program_;
  std::vector<Block*> blocks_;  ///< the innermost last
  Block constants_;
};

inline Vec operator+(Vec a, Vec b) { return a.builder->add(a, b); }
inline Vec operator-(Vec a, Vec b) { return a.builder->sub(a, b); }
inline Vec operator*(Vec a, Vec b) { return a.builder->mul(a, b); }
inline Vec operator/(Vec a, Vec b) { return a.builder->div(a, b); }
inline Vec operator*(Vec a, float b) { return a.builder->mul(a, a.builder->constant(b)); }
inline Vec operator+(Vec a, float b) { return a.builder->add(a, a.builder->constant(b)); }
inline Vec operator-(Vec a, float b) { return a.builder->sub(a, a.builder->constant(b)); }

}  // namespace lathe::ir::program
