// Follows the pmov instructions of a program from the buffers' own pointers.
#include "ir/program/provenance.h"

#include "ir/program/printer.h"

namespace lathe::ir::program {
namespace {

// Text order is enough: a register is written before it is read on every path, hence in the text.
class Walk {
 public:
  explicit Walk(const Program& program)
      : program_(program), buffer_(program.count(RegClass::pointer), -1) {}

  Status run() {
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const Reg pointer = program_.buffers[i].pointer;
      if (pointer.id < buffer_.size()) buffer_[pointer.id] = static_cast<int>(i);
    }
    return block(program_.body);
  }

  std::vector<int> take() { return std::move(buffer_); }

 private:
  Status block(const Block& nodes) {
    for (const Node& node : nodes) {
      if (const auto* instr = std::get_if<Instr>(&node.value)) {
        if (instr->op == Op::pmov) LATHE_CHECK(move(*instr));
      } else if (const auto* loop = std::get_if<Loop>(&node.value)) {
        LATHE_CHECK(block(loop->body));
      } else {
        const auto& branch = std::get<Branch>(node.value);
        LATHE_CHECK(block(branch.then));
        LATHE_CHECK(block(branch.otherwise));
      }
    }
    return {};
  }

  Status move(const Instr& instr) {
    const uint32_t from = instr.address.pointer.id;
    if (from >= buffer_.size() || instr.dst.id >= buffer_.size()) return {};  // verify() reports it
    int& to = buffer_[instr.dst.id];
    if (to >= 0 && buffer_[from] >= 0 && to != buffer_[from])
      return fail(ErrorCode::verify_error,
                  "program '{}': '{}': the register points into buffer '{}' elsewhere, but here "
                  "into '{}'; use one pointer register for each buffer",
                  program_.name, print(instr), program_.buffers[static_cast<size_t>(to)].name,
                  program_.buffers[static_cast<size_t>(buffer_[from])].name);
    if (buffer_[from] >= 0) to = buffer_[from];
    return {};
  }

  const Program& program_;
  std::vector<int> buffer_;
};

}  // namespace

Result<std::vector<int>> pointer_buffers(const Program& program) {
  Walk walk(program);
  LATHE_CHECK(walk.run());
  return walk.take();
}

}  // namespace lathe::ir::program
