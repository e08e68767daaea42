// One function per expansion; the rest copies the program's structure.
#include "compiler/passes/legalize.h"

#include <bit>
#include <map>
#include <utility>

namespace lathe::compiler::passes {
namespace {

using namespace ir::program;

class Legalizer {
 public:
  explicit Legalizer(const Program& program) : program_(program) {
    Block body = block(program.body);
    program_.body = std::move(constants_);
    for (Node& node : body) program_.body.push_back(std::move(node));
  }

  Program take() { return std::move(program_); }

 private:
  Block block(const Block& source) {
    Block result;
    result.reserve(source.size());
    Block* outer = std::exchange(out_, &result);
    for (size_t i = 0; i < source.size(); ++i) {
      const Node& node = source[i];
      if (const auto* instr = std::get_if<Instr>(&node.value)) {
        const auto* next =
            i + 1 < source.size() ? std::get_if<Instr>(&source[i + 1].value) : nullptr;
        if (next != nullptr && are_adjacent_stores(*instr, *next)) {
          store_both(*instr, *next);
          ++i;
        } else if (!expand(*instr)) {
          result.push_back(node);
        }
      } else if (const auto* loop = std::get_if<Loop>(&node.value)) {
        Loop copy{loop->counter, loop->begin, loop->end, loop->step, block(loop->body)};
        result.push_back({std::move(copy)});
      } else {
        const Branch& branch = std::get<Branch>(node.value);
        Branch copy{branch.compare, branch.left, branch.right, block(branch.then),
                    block(branch.otherwise)};
        result.push_back({std::move(copy)});
      }
    }
    out_ = outer;
    return result;
  }

  bool expand(const Instr& instr) {
    const ir::Target& target = program_.target;
    switch (instr.op) {
      case Op::fma:
      case Op::fms:
      case Op::fnma:
        if (target.fused) return false;
        multiply_add(instr);
        return true;
      case Op::fscale:
        if (target.isa == ir::Isa::avx512) return false;
        scale(instr);
        return true;
      case Op::dot4_u8s8:
        if (target.vnni) return false;
        dot4(instr);
        return true;
      case Op::round_f16:
        if (target.f16c) return false;
        f16_to_f32(instr.dst, f32_to_f16(instr.src[0]));
        return true;
      case Op::round_bf16:
        finish(instr.dst, Op::ishl, {f32_to_bf16(instr.src[0])}, 16);
        return true;
      case Op::load:
      case Op::load_part:
      case Op::load_splat: return load(instr);
      case Op::store:
      case Op::store_part: return store(instr);
      default: return false;
    }
  }

  void multiply_add(const Instr& instr) {
    const Reg product = emit(Op::fmul, {instr.src[0], instr.src[1]});
    const Reg sum = instr.src[2];
    if (instr.op == Op::fma) return finish(instr.dst, Op::fadd, {product, sum});
    if (instr.op == Op::fms) return finish(instr.dst, Op::fsub, {product, sum});
    finish(instr.dst, Op::fsub, {sum, product});
  }

  // a * 2^b = (a * 2^(b-c)) * 2^c with c = b limited to [-126, 127], where both factors are normal
  // numbers. The first product is exact, so that only the second rounds, wherever that matters: for
  // b within the limits its factor is 1; for b > 127 it scales up; for b < -126 it may lose bits
  // only of a value below 2^-126, and then the result is below 2^-252 and becomes zero either way.
  void scale(const Instr& instr) {
    const Reg a = instr.src[0], b = instr.src[1];
    const Reg raised = emit(Op::fmax, {constant(-126.0f), b});
    const Reg limited = emit(Op::fmin, {constant(127.0f), raised});
    const Reg rest = emit(Op::fsub, {b, limited});
    const Reg first = emit(Op::fmul, {a, power_of_two(rest)});
    const Reg second = emit(Op::fmul, {first, power_of_two(limited)});
    const Reg nan = emit_mask(Op::fnan, {b});
    finish(instr.dst, Op::select, {nan, b, second});
  }

  // 2^n for integral n in [-126, 127]: in 2^23 + 127 + n the exponent's bits are the lowest.
  Reg power_of_two(Reg n) {
    const Reg biased = emit(Op::fadd, {n, constant(0x1p23f + 127.0f)});
    return emit(Op::ishl, {biased}, 23);
  }

  // Exact by the program's proof that no pair of products leaves 16 bits.
  void dot4(const Instr& instr) {
    const Reg pairs = emit(Op::dot2_u8s8, {instr.src[0], instr.src[1]});
    const Reg fours = emit(Op::dot2_s16, {pairs, bits(0x00010001)});
    finish(instr.dst, Op::iadd, {fours, instr.src[2]});
  }

  bool load(const Instr& instr) {
    const bool f16 = instr.memory == MemoryType::f16 && !program_.target.f16c;
    if (!f16 && instr.memory != MemoryType::bf16) return false;
    Instr raw = instr;
    raw.memory = MemoryType::u16;
    raw.dst = fresh(RegClass::vector);
    out_->push_back({raw});
    if (f16)
      f16_to_f32(instr.dst, raw.dst);
    else
      finish(instr.dst, Op::ishl, {raw.dst}, 16);
    return true;
  }

  // Both conversions first: the stores then stand together, where one instruction may pack both.
  void store_both(const Instr& first, const Instr& second) {
    Instr low = first, high = second;
    low.memory = high.memory = MemoryType::u16;
    low.src[0] = f32_to_bf16(first.src[0]);
    high.src[0] = f32_to_bf16(second.src[0]);
    out_->push_back({low});
    out_->push_back({high});
  }

  bool are_adjacent_stores(const Instr& a, const Instr& b) const {
    return a.op == Op::store && b.op == Op::store && a.memory == MemoryType::bf16 &&
           b.memory == MemoryType::bf16 && is_next(a.address, b.address, 2 * program_.target.lanes);
  }

  bool store(const Instr& instr) {
    const bool f16 = instr.memory == MemoryType::f16 && !program_.target.f16c;
    if (!f16 && instr.memory != MemoryType::bf16) return false;
    Instr raw = instr;
    raw.memory = MemoryType::u16;
    raw.src[0] = f16 ? f32_to_f16(instr.src[0]) : f32_to_bf16(instr.src[0]);
    out_->push_back({raw});
    return true;
  }

  // Exponent and mantissa, moved to their places in f32, are the value times 2^-112, denormals
  // included; infinity and NaN need the highest exponent instead.
  void f16_to_f32(Reg dst, Reg half) {
    const Reg sign = emit(Op::ishl, {emit(Op::iand, {half, bits(0x8000)})}, 16);
    const Reg small = emit(Op::ishl, {emit(Op::iand, {half, bits(0x7FFF)})}, 13);
    const Reg finite = emit(Op::fmul, {small, constant(0x1p112f)});
    const Reg special = emit(Op::ior, {small, bits(0x7F800000)});
    const Reg is_finite = emit_icmp(Compare::lt, small, bits(0x0F800000));
    const Reg magnitude = emit(Op::select, {is_finite, finite, special});
    finish(dst, Op::ior, {magnitude, sign});
  }

  // Round to nearest even, by the carry out of the lost bits; below f16's normal range by adding
  // 0.5, whose last place is f16's least denormal.
  Reg f32_to_f16(Reg value) {
    const Reg magnitude = emit(Op::iand, {value, bits(0x7FFFFFFF)});
    const Reg sign = emit(Op::ishr, {emit(Op::ixor, {value, magnitude})}, 16);
    const Reg odd = emit(Op::iand, {emit(Op::ishr, {magnitude}, 13), bits(1)});
    const Reg rebiased = emit(Op::iadd, {magnitude, bits(0xFFFu - (112u << 23))});
    const Reg rounded = emit(Op::ishr, {emit(Op::iadd, {rebiased, odd})}, 13);
    const Reg normal = emit(Op::imin, {rounded, bits(0x7C00)});
    const Reg shifted = emit(Op::fadd, {magnitude, constant(0.5f)});
    const Reg denormal = emit(Op::isub, {shifted, constant(0.5f)});
    const Reg is_small = emit_icmp(Compare::lt, magnitude, bits(0x38800000));
    const Reg finite = emit(Op::select, {is_small, denormal, normal});
    const Reg is_nan = emit_icmp(Compare::gt, magnitude, bits(0x7F800000));
    const Reg half = emit(Op::select, {is_nan, bits(0x7E00), finite});
    return emit(Op::ior, {half, sign});
  }

  // Round to nearest even by the carry, which would make infinities of some NaN and zeros of
  // others.
  Reg f32_to_bf16(Reg value) {
    const Reg high = emit(Op::ishr, {value}, 16);
    const Reg odd = emit(Op::iand, {high, bits(1)});
    const Reg biased = emit(Op::iadd, {value, bits(0x7FFF)});
    const Reg rounded = emit(Op::ishr, {emit(Op::iadd, {biased, odd})}, 16);
    const Reg is_nan = emit_mask(Op::fnan, {value});
    return emit(Op::select, {is_nan, bits(0x7FC0), rounded});
  }

  Reg constant(float value) { return bits(std::bit_cast<uint32_t>(value)); }

  Reg bits(uint32_t value) {
    const auto [at, added] = constant_regs_.try_emplace(value);
    if (added) {
      Instr instr{.op = Op::vconst};
      instr.dst = at->second = fresh(RegClass::vector);
      instr.imm = value;
      constants_.push_back({instr});
    }
    return at->second;
  }

  Reg fresh(RegClass cls) { return program_.fresh(cls); }

  Reg emit(Op op, std::initializer_list<Reg> sources, int64_t imm = 0) {
    const Reg dst = fresh(RegClass::vector);
    finish(dst, op, sources, imm);
    return dst;
  }

  Reg emit_mask(Op op, std::initializer_list<Reg> sources, int64_t imm = 0) {
    const Reg dst = fresh(RegClass::mask);
    finish(dst, op, sources, imm);
    return dst;
  }

  Reg emit_icmp(Compare compare, Reg a, Reg b) {
    return emit_mask(Op::icmp, {a, b}, static_cast<int64_t>(compare));
  }

  void finish(Reg dst, Op op, std::initializer_list<Reg> sources, int64_t imm = 0) {
    Instr instr{.op = op};
    instr.dst = dst;
    instr.imm = imm;
    size_t i = 0;
    for (const Reg source : sources) instr.src[i++] = source;
    out_->push_back({instr});
  }

  Program program_;
  Block constants_;
  std::map<uint32_t, Reg> constant_regs_;
  Block* out_ = nullptr;
};

}  // namespace

Program legalize(const Program& program) { return Legalizer(program).take(); }

}  // namespace lathe::compiler::passes
