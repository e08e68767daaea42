// Flattens blocks into one array with jumps, and turns immediates into constant registers.
#include "ir/program/decoded.h"

#include <algorithm>
#include <cassert>

#include "ir/program/provenance.h"

namespace lathe::ir::program {
namespace {

class Decoder {
 public:
  Decoder(const Program& program, std::vector<int> buffer_of)
      : program_(program), buffer_of_(std::move(buffer_of)) {
    decoded_.program = &program;
  }

  Decoded run() {
    block(program_.body);
    return std::move(decoded_);
  }

 private:
  uint32_t constant(int64_t value) {
    auto& pool = decoded_.constants;
    const auto found = std::find(pool.begin(), pool.end(), value);
    const auto place = static_cast<uint32_t>(found - pool.begin());
    if (found == pool.end()) pool.push_back(value);
    return program_.count(RegClass::scalar) + place;
  }

  uint32_t scalar(const Operand& operand) {
    return operand.is_imm() ? constant(operand.imm) : operand.reg.id;
  }

  uint32_t element(Reg reg) const {
    if (!reg.valid()) return 0;
    return reg.cls == RegClass::vector ? reg.id * static_cast<uint32_t>(program_.target.lanes)
                                       : reg.id;
  }

  uint32_t here() const { return static_cast<uint32_t>(decoded_.code.size()); }

  uint32_t push(const Code& code) {
    decoded_.code.push_back(code);
    return here() - 1;
  }

  void block(const Block& nodes) {
    for (const Node& node : nodes) {
      if (const auto* instr = std::get_if<Instr>(&node.value)) {
        instruction(*instr);
      } else if (const auto* loop = std::get_if<Loop>(&node.value)) {
        this->loop(*loop);
      } else {
        branch(std::get<Branch>(node.value));
      }
    }
  }

  void instruction(const Instr& instr) {
    Code code;
    code.op = instr.op;
    code.memory = instr.memory;
    code.dst = element(instr.dst);
    for (size_t i = 0; i < 3; ++i) code.src[i] = element(instr.src[i]);
    code.imm = instr.imm;
    code.source = &instr;
    const OpInfo& op = info(instr.op);
    if (op.has_scalar) code.scalar = scalar(instr.scalar);
    if (op.has_address) {
      const Address& address = instr.address;
      code.buffer = buffer_of_[address.pointer.id];
      code.pointer = address.pointer.id;
      code.index = address.index.valid() ? address.index.id : constant(0);
      code.scale = address.scale;
      code.offset = address.offset;
    } else if (instr.op == Op::pmisaligned) {
      code.buffer = buffer_of_[instr.src[0].id];
    }
    push(code);
  }

  // A loop keeps its end in a slot of its depth: src[0] = begin, src[1] = end, src[2] = the slot.
  void loop(const Loop& loop) {
    Code code;
    code.kind = Code::Kind::loop_begin;
    code.dst = loop.counter.id;
    code.src[0] = scalar(loop.begin);
    code.src[1] = scalar(loop.end);
    code.src[2] = depth_;
    code.imm = loop.step;
    const uint32_t begin = push(code);
    decoded_.loops = std::max(decoded_.loops, ++depth_);
    block(loop.body);
    --depth_;
    code.kind = Code::Kind::loop_end;
    code.target = begin + 1;
    push(code);
    decoded_.code[begin].target = here();
  }

  void branch(const Branch& branch) {
    Code code;
    code.kind = Code::Kind::branch;
    code.compare = branch.compare;
    code.src[0] = branch.left.id;
    code.src[1] = scalar(branch.right);
    const uint32_t test = push(code);
    block(branch.then);
    if (branch.otherwise.empty()) {
      decoded_.code[test].target = here();
      return;
    }
    Code jump;
    jump.kind = Code::Kind::jump;
    const uint32_t skip = push(jump);
    decoded_.code[test].target = here();
    block(branch.otherwise);
    decoded_.code[skip].target = here();
  }

  const Program& program_;
  std::vector<int> buffer_of_;
  Decoded decoded_;
  uint32_t depth_ = 0;
};

}  // namespace

Decoded decode(const Program& program) {
  auto buffers = pointer_buffers(program);
  assert(buffers && "decode() of a program that does not verify");
  return Decoder(program, std::move(*buffers)).run();
}

}  // namespace lathe::ir::program
