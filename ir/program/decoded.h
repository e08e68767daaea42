// A program flattened for interpretation: one array of small records, loops and branches as jumps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/program/interpreter.h"
#include "ir/program/program.h"

namespace lathe::ir::program {

/// One step of the interpreter: an instruction, or a jump of the control flow.
struct Code {
  enum class Kind : uint8_t { instr, loop_begin, loop_end, branch, jump };

  Kind kind = Kind::instr;
  Op op{};
  MemoryType memory = MemoryType::raw32;
  Compare compare{};
  int32_t buffer = -1;   ///< of the address's pointer
  uint32_t dst = 0;      ///< element of its register file; vectors count target.lanes elements each
  uint32_t src[3] = {};  ///< likewise
  uint32_t pointer = 0, index = 0;
  uint32_t scalar = 0;  ///< the second scalar operand; immediates are registers behind the others
  uint32_t target = 0;  ///< where a jump goes: the end of a loop or branch, a loop's first step
  int64_t scale = 0, offset = 0;
  int64_t imm = 0;                ///< and a loop's step
  const Instr* source = nullptr;  ///< for messages, and the pattern
};

/// Refers to the program it was made from, which must outlive it. Immutable, so safe to share.
struct Decoded {
  const Program* program = nullptr;
  std::vector<Code> code;
  std::vector<int64_t> constants;  ///< scalar registers behind the program's own
  uint32_t loops = 0;              ///< most loops open at once
};

/// The program must have passed verify().
Decoded decode(const Program& program);

/// As interpret(program, …) without decoding again: plans call one program many times.
Result<Trace> interpret(const Decoded& decoded, std::span<const BufferView> buffers,
                        std::span<const int64_t> parameters, const InterpreterOptions& options);

}  // namespace lathe::ir::program
