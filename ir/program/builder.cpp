// The builder: appends instructions to the innermost open block.
#include "ir/program/builder.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "ir/program/interleave.h"

namespace lathe::ir::program {
namespace {

RegClass class_of(char letter) {
  switch (letter) {
    case 'm': return RegClass::mask;
    case 's': return RegClass::scalar;
    case 'p': return RegClass::pointer;
    default: return RegClass::vector;
  }
}

template <typename H>
H handle(Reg reg, Builder* builder) {
  H h;
  h.reg = reg;
  h.builder = builder;
  return h;
}

}  // namespace

Builder::Builder(std::string name, Target target) {
  program_.name = std::move(name);
  program_.target = std::move(target);
  blocks_.push_back(&program_.body);
}

Pointer Builder::buffer(std::string name, Type type, BufferAccess access) {
  const Reg reg = program_.fresh(RegClass::pointer);
  program_.buffers.push_back({std::move(name), type, access, reg, std::nullopt});
  auto p = handle<Pointer>(reg, this);
  p.type = type;
  return p;
}

Pointer Builder::buffer(std::string name, Type type, BufferAccess access, int64_t low,
                        int64_t high) {
  Pointer p = buffer(std::move(name), type, access);
  program_.buffers.back().range = {low, high};
  return p;
}

Scalar Builder::parameter(std::string name) {
  const Reg reg = program_.fresh(RegClass::scalar);
  program_.parameters.push_back({std::move(name), reg});
  return handle<Scalar>(reg, this);
}

Reg Builder::emit(Instr instr) {
  const char result = info(instr.op).result;
  if (result != '-' && !instr.dst.valid()) instr.dst = program_.fresh(class_of(result));
  const Reg dst = instr.dst;
  blocks_.back()->push_back({std::move(instr)});
  return dst;
}

Instr* Builder::last() {
  Block& block = *blocks_.back();
  return block.empty() ? nullptr : std::get_if<Instr>(&block.back().value);
}

Vec Builder::constant(float value) { return constant_bits(std::bit_cast<uint32_t>(value)); }

Vec Builder::constant_bits(uint32_t bits) {
  for (const Node& node : constants_) {
    const Instr& instr = std::get<Instr>(node.value);
    if (instr.op == Op::vconst && static_cast<uint32_t>(instr.imm) == bits)
      return handle<Vec>(instr.dst, this);
  }
  Instr instr{.op = Op::vconst};
  instr.imm = bits;
  instr.dst = program_.fresh(RegClass::vector);
  constants_.push_back({instr});
  return handle<Vec>(instr.dst, this);
}

Vec Builder::iota() {
  for (const Node& node : constants_) {
    const Instr& instr = std::get<Instr>(node.value);
    if (instr.op == Op::viota) return handle<Vec>(instr.dst, this);
  }
  Instr instr{.op = Op::viota};
  instr.dst = program_.fresh(RegClass::vector);
  constants_.push_back({instr});
  return handle<Vec>(instr.dst, this);
}

Scalar Builder::scalar(int64_t value) {
  Instr instr{.op = Op::sconst};
  instr.imm = value;
  return handle<Scalar>(emit(instr), this);
}

Vec Builder::vector() { return handle<Vec>(program_.fresh(RegClass::vector), this); }

Vec Builder::copy(Vec a) { return vector_op(Op::vmov, {a}); }

Scalar Builder::copy(Scalar a) {
  Instr instr{.op = Op::smov};
  instr.src[0] = a.reg;
  return handle<Scalar>(emit(instr), this);
}

Pointer Builder::copy(Pointer a) { return offset(a, 0); }

// The value was just computed into a register that nobody else has seen, as in set(acc, fma(…)):
// the instruction may write the destination itself. Only a fresh result qualifies, else we copy.
void Builder::retarget(Reg destination, Reg value, Op move) {
  Instr* instr = last();
  const bool fresh =
      instr != nullptr && instr->dst == value && value.id + 1 == program_.count(value.cls);
  if (fresh) {
    instr->dst = destination;
    return;
  }
  Instr copy{.op = move};
  copy.dst = destination;
  copy.src[0] = value;
  if (move == Op::mand) copy.src[1] = value;
  emit(copy);
}

void Builder::set(Vec destination, Vec value) { retarget(destination.reg, value.reg, Op::vmov); }
void Builder::set(Mask destination, Mask value) { retarget(destination.reg, value.reg, Op::mand); }
void Builder::set(Scalar destination, Scalar value) {
  retarget(destination.reg, value.reg, Op::smov);
}

Vec Builder::vector_op(Op op, std::initializer_list<Vec> sources) {
  assert(info(op).sources.size() == sources.size());
  Instr instr{.op = op};
  size_t i = 0;
  for (const Vec& source : sources) instr.src[i++] = source.reg;
  return handle<Vec>(emit(instr), this);
}

Vec Builder::shift(Op op, Vec a, int bits) {
  Instr instr{.op = op};
  instr.src[0] = a.reg;
  instr.imm = bits;
  return handle<Vec>(emit(instr), this);
}

Vec Builder::permute(Vec a, std::vector<uint8_t> pattern) {
  Instr instr{.op = Op::permute};
  instr.src[0] = a.reg;
  instr.pattern = std::move(pattern);
  return handle<Vec>(emit(instr), this);
}

Vec Builder::shuffle(Vec a, Vec b, std::vector<uint8_t> pattern) {
  Instr instr{.op = Op::shuffle2};
  instr.src = {a.reg, b.reg, Reg{}};
  instr.pattern = std::move(pattern);
  return handle<Vec>(emit(instr), this);
}

Vec Builder::lookup8(Vec index, const std::array<uint32_t, 8>& table) {
  Instr instr{.op = Op::lookup8};
  instr.src[0] = index.reg;
  for (const uint32_t word : table)
    for (int byte = 0; byte < 4; ++byte)
      instr.pattern.push_back(static_cast<uint8_t>(word >> (8 * byte)));
  return handle<Vec>(emit(std::move(instr)), this);
}

Mask Builder::compare(Compare compare, Vec a, Vec b) {
  Instr instr{.op = Op::fcmp};
  instr.src = {a.reg, b.reg, Reg{}};
  instr.imm = static_cast<int64_t>(compare);
  return handle<Mask>(emit(instr), this);
}

Mask Builder::compare_int(Compare compare, Vec a, Vec b) {
  Instr instr{.op = Op::icmp};
  instr.src = {a.reg, b.reg, Reg{}};
  instr.imm = static_cast<int64_t>(compare);
  return handle<Mask>(emit(instr), this);
}

Mask Builder::is_nan(Vec a) {
  Instr instr{.op = Op::fnan};
  instr.src[0] = a.reg;
  return handle<Mask>(emit(instr), this);
}

Mask Builder::both(Mask a, Mask b) {
  Instr instr{.op = Op::mand};
  instr.src = {a.reg, b.reg, Reg{}};
  return handle<Mask>(emit(instr), this);
}

Mask Builder::either(Mask a, Mask b) {
  Instr instr{.op = Op::mor};
  instr.src = {a.reg, b.reg, Reg{}};
  return handle<Mask>(emit(instr), this);
}

Mask Builder::negate(Mask a) {
  Instr instr{.op = Op::mnot};
  instr.src[0] = a.reg;
  return handle<Mask>(emit(instr), this);
}

Vec Builder::select(Mask mask, Vec a, Vec b) {
  Instr instr{.op = Op::select};
  instr.src = {mask.reg, a.reg, b.reg};
  return handle<Vec>(emit(instr), this);
}

Address Builder::address(Pointer p, int64_t offset, Scalar index, int element_bytes) const {
  Address address;
  address.pointer = p.reg;
  address.index = index.reg;
  address.scale = element_bytes;
  address.offset = offset * element_bytes;
  return address;
}

Vec Builder::load(Pointer p, const Span& at) {
  Instr instr{.op = at.whole ? Op::load : Op::load_part};
  instr.memory = memory_type(p.type);
  instr.address = address(p, at.offset, at.index, bytes_of(instr.memory));
  if (!at.whole) instr.scalar = at.count.operand;
  return handle<Vec>(emit(instr), this);
}

void Builder::store(Pointer p, const Span& at, Vec value) {
  Instr instr{.op = at.whole ? Op::store : Op::store_part};
  instr.memory = memory_type(p.type);
  instr.address = address(p, at.offset, at.index, bytes_of(instr.memory));
  if (!at.whole) instr.scalar = at.count.operand;
  instr.src[0] = value.reg;
  emit(instr);
}

void Builder::store_stream(Pointer p, const Span& at, Vec value) {
  assert(memory_type(p.type) == MemoryType::raw32);
  if (!at.whole) return store(p, at, value);
  Instr instr{.op = Op::store_stream};
  instr.address = address(p, at.offset, at.index, 4);
  instr.src[0] = value.reg;
  emit(instr);
}

Vec Builder::load_splat(Pointer p, int64_t offset, Scalar index) {
  Instr instr{.op = Op::load_splat};
  instr.memory = memory_type(p.type);
  instr.address = address(p, offset, index, bytes_of(instr.memory));
  return handle<Vec>(emit(instr), this);
}

Vec Builder::load_group(Pointer p, int bytes, int64_t byte_offset) {
  Instr instr{.op = Op::load_group};
  instr.imm = bytes;
  instr.address = address(p, byte_offset, {}, 1);
  return handle<Vec>(emit(instr), this);
}

Scalar Builder::load_integer(Pointer p, int64_t offset, Scalar index) {
  const TypeInfo& type = info(p.type);
  assert(!type.is_float);
  Instr instr{.op = Op::sload};
  instr.imm = type.is_signed ? -type.block_bytes : type.block_bytes;
  instr.address = address(p, offset, index, type.block_bytes);
  return handle<Scalar>(emit(instr), this);
}

void Builder::prefetch(Pointer p, int64_t byte_offset, int level) {
  Instr instr{.op = Op::prefetch};
  instr.imm = level;
  instr.address = address(p, byte_offset, {}, 1);
  emit(instr);
}

Scalar Builder::scalar_op(Op op, Scalar a, Count b) {
  Instr instr{.op = op};
  instr.src[0] = a.reg;
  instr.scalar = b.operand;
  return handle<Scalar>(emit(instr), this);
}

Scalar Builder::misaligned(Pointer p, int64_t power_of_two) {
  Instr instr{.op = Op::pmisaligned};
  instr.src[0] = p.reg;
  instr.imm = power_of_two;
  return handle<Scalar>(emit(instr), this);
}

Pointer Builder::offset(Pointer p, Count bytes) {
  Instr instr{.op = Op::pmov};
  instr.address.pointer = p.reg;
  if (bytes.operand.is_imm()) {
    instr.address.offset = bytes.operand.imm;
  } else {
    instr.address.index = bytes.operand.reg;
  }
  Pointer result = p;
  result.reg = emit(instr);
  return result;
}

void Builder::advance(Pointer p, Count bytes) {
  const Pointer moved = offset(p, bytes);
  retarget(p.reg, moved.reg, Op::pmov);
}

void Builder::loop(Count begin, Count end, int64_t step, const std::function<void(Scalar)>& body) {
  Loop loop;
  loop.counter = program_.fresh(RegClass::scalar);
  loop.begin = begin.operand;
  loop.end = end.operand;
  loop.step = step;
  blocks_.push_back(&loop.body);
  body(handle<Scalar>(loop.counter, this));
  blocks_.pop_back();
  blocks_.back()->push_back({std::move(loop)});
}

void Builder::branch(Compare compare, Scalar left, Count right, const std::function<void()>& then,
                     const std::function<void()>& otherwise) {
  Branch branch;
  branch.compare = compare;
  branch.left = left.reg;
  branch.right = right.operand;
  blocks_.push_back(&branch.then);
  then();
  blocks_.pop_back();
  if (otherwise) {
    blocks_.push_back(&branch.otherwise);
    otherwise();
    blocks_.pop_back();
  }
  blocks_.back()->push_back({std::move(branch)});
}

void Builder::vectors(int64_t width, int unroll,
                      const std::function<void(const Span&, int)>& body) {
  assert(unroll >= 1);
  const int64_t whole = width / lanes();
  const int64_t trips = whole / unroll;
  int64_t done = 0;
  if (trips > 1) {
    done = trips * unroll;
    loop(0, done * lanes(), int64_t{unroll} * lanes(), [&](Scalar i) {
      interleaved(unroll, [&](int u) { body(Span{int64_t{u} * lanes(), i, 0, true}, u); });
    });
  }
  for (; done < whole; done += std::min<int64_t>(unroll, whole - done))
    interleaved(static_cast<int>(std::min<int64_t>(unroll, whole - done)),
                [&](int u) { body(Span{(done + u) * lanes(), {}, 0, true}, u); });
  if (const int64_t tail = width % lanes(); tail != 0)
    body(Span{whole * lanes(), {}, tail, false},
         static_cast<int>((trips > 1 ? whole - trips * unroll : whole) % unroll));
}

void Builder::interleaved(int count, const std::function<void(int)>& piece) {
  std::vector<size_t> starts;
  for (int i = 0; i < count; ++i) {
    starts.push_back(blocks_.back()->size());
    piece(i);
  }
  std::vector<bool> is_constant(program_.count(RegClass::vector));
  for (const Node& node : constants_) is_constant[std::get<Instr>(node.value).dst.id] = true;
  interleave(*blocks_.back(), starts, program_.target, is_constant,
             [&] { return program_.fresh(RegClass::vector); });
}

void Builder::vectors(int64_t width, const std::function<void(const Span&)>& body) {
  vectors(width, 1, [&](const Span& at, int) { body(at); });
}

Program Builder::finish() {
  assert(blocks_.size() == 1 && "finish() inside a loop or branch");
  program_.body.insert(program_.body.begin(), constants_.begin(), constants_.end());
  constants_.clear();
  return std::move(program_);
}

}  // namespace lathe::ir::program
