// The table of constraints; each entry matches the expansion in the emit_*.cpp file of the same
// group.
#include "codegen/x86/constraints.h"

#include <bit>

#include "codegen/x86/forms.h"
#include "codegen/x86/shuffle_plan.h"

namespace lathe::codegen::x86 {
namespace {

using Path = ir::Isa;
using ir::program::Compare;
using ir::program::MemoryType;

// SSE writes the first source's copy, then reads the second: it may not lie in the result's
// register.
Constraints two_operand(const Instr& instr, bool commutative) {
  Constraints c;
  if (commutative) return c;
  c.late_sources = 0b010;
  if (instr.src[1].valid() && instr.src[1] == instr.dst && instr.src[0] != instr.dst) c.vectors = 1;
  return c;
}

Constraints shuffle(const Instr& instr, const ir::Target& target, bool sse) {
  using Kind = ShufflePlan::Kind;
  const ShufflePlan plan = plan_shuffle(instr.pattern, target);
  Constraints c;
  const auto builds_in_result = [&](unsigned late) {
    c.late_sources = late;
    for (size_t s = 0; s < 2; ++s)
      if (((late >> s) & 1) != 0 && instr.src[s] == instr.dst) c.vectors = 1;
  };
  switch (plan.kind) {
    case Kind::blend:
    case Kind::two_in_quads:
    case Kind::unpack_low:
    case Kind::unpack_high:
      if (sse && plan.first != plan.second) {
        c.late_sources = 1u << plan.second;
        const auto first = static_cast<size_t>(plan.first),
                   second = static_cast<size_t>(plan.second);
        if (instr.src[second] == instr.dst && instr.src[first] != instr.dst) c.vectors = 1;
      }
      break;
    case Kind::any_one: builds_in_result(0b11); break;
    case Kind::any_two:
      if (target.isa == Path::avx512)
        builds_in_result(0b11);
      else
        c.vectors = sse ? 1 : 2;
      break;
    default: break;
  }
  return c;
}

bool saturates_unsigned(const Instr& instr) {
  return instr.memory == MemoryType::u8 || instr.memory == MemoryType::u16;
}

Constraints partial(const Instr& instr, const ir::Target& target) {
  const bool load = instr.op == Op::load_part, known = instr.scalar.is_imm();
  Constraints c;
  if (target.isa == Path::avx512) {
    c.masks = c.generals = 1;
    c.vectors = !load && saturates_unsigned(instr) ? 1 : 0;
    return c;
  }
  const bool masked = target.isa == Path::avx2 && instr.memory == MemoryType::raw32;
  const bool counted = !known && !masked && target.isa != Path::scalar;
  if (load) {
    c.vectors = counted ? 1 : 0;
    c.generals = counted ? 2 : 0;
  } else {
    c.vectors = 1;
    c.generals = counted ? 1 : 0;
  }
  return c;
}

}  // namespace

bool compares_swapped(const Instr& instr, const ir::Target& target) {
  const auto compare = static_cast<Compare>(instr.imm);
  if (target.isa == Path::avx512) return false;
  if (instr.op == Op::icmp) return compare == Compare::lt || compare == Compare::ge;
  return target.isa != Path::avx2 && (compare == Compare::gt || compare == Compare::ge);
}

Constraints constraints_of(const Item& item, const ir::Target& target) {
  if (item.kind != Item::Kind::instr) return {};
  const Instr& instr = item.instr;
  const bool sse = target.isa == Path::sse || target.isa == Path::scalar;
  const bool scalar = target.isa == Path::scalar, evex = target.isa == Path::avx512;
  Constraints c;
  switch (instr.op) {
    case Op::isign8:
      if (!evex) break;
      c.vectors = 1;
      c.masks = 2;
      return c;
    case Op::byte_shuffle:
      if (!scalar) break;
      c.vectors = 1;
      return c;
    case Op::lookup8: c.vectors = sse ? 2 : 0; return c;
    case Op::dot4_u8s8:
      c.late_sources = 0b011;
      if (instr.dst != instr.src[2] && (instr.src[0] == instr.dst || instr.src[1] == instr.dst))
        c.vectors = 1;
      return c;
    case Op::permute:
    case Op::shuffle2: return shuffle(instr, target, sse);
    case Op::reduce_add:
    case Op::reduce_min:
    case Op::reduce_max: c.vectors = scalar ? 0 : 1; return c;
    case Op::fcmp:
      if (sse) c.late_sources = compares_swapped(instr, target) ? 0b001 : 0b010;
      return c;
    case Op::icmp: {
      if (evex) return c;
      const auto compare = static_cast<Compare>(instr.imm);
      if (sse) c.late_sources = compares_swapped(instr, target) ? 0b001 : 0b010;
      if (compare == Compare::le || compare == Compare::ge || compare == Compare::ne) c.vectors = 1;
      return c;
    }
    case Op::mnot: c.vectors = evex ? 0 : 1; return c;
    case Op::select:
      if (sse) c.late_sources = instr.src[2] == instr.dst ? 0b011 : 0b101;
      return c;
    case Op::load_part:
    case Op::store_part: return partial(instr, target);
    case Op::store:
      if (instr.memory == MemoryType::raw32 || instr.memory == MemoryType::f16) return c;
      c.vectors = !evex || saturates_unsigned(instr) ? 1 : 0;
      return c;
    case Op::slane: c.vectors = instr.imm >= 4 ? 1 : 0; return c;
    case Op::smin:
    case Op::smax: c.generals = instr.scalar.is_imm() ? 1 : 0; return c;
    case Op::sdiv: {
      const int64_t by = instr.scalar.imm;
      const bool shifts =
          instr.scalar.is_imm() && by > 0 && std::has_single_bit(static_cast<uint64_t>(by));
      c.generals = instr.scalar.is_imm() && by != 1 ? 1 : 0;
      c.divides = !shifts;
      return c;
    }
    default: break;
  }
  if (const BinaryForm* form = binary_form(instr.op); form != nullptr && sse)
    return two_operand(instr, form->commutative);
  return c;
}

}  // namespace lathe::codegen::x86
