// Machine code as text and as lists of instructions, for golden tests and `lathe emit --as asm`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_image.h"

namespace lathe::codegen::llvm {

/// One decoded instruction, its addresses already replaced: a branch's target by a label (L0, L1, …
/// in the order of addresses), a constant beside the code by its number (C0, C1, … in the order of
/// first use).
struct Instruction {
  size_t offset = 0;
  std::vector<uint8_t> bytes;
  std::string mnemonic;
  std::string operands;
  int label = -1;       ///< a branch comes here: L<label>
  int64_t target = -1;  ///< of a branch inside the code: the offset it goes to
  bool evex() const { return !bytes.empty() && bytes[0] == 0x62; }  ///< x86: AVX-512's encoding
};

/// Offsets of relocated fields, and what each refers to; equal texts are the same constant.
using Relocations = std::map<size_t, std::string>;

/// Decodes all of `code`. `cpu` may be empty; x86's encodings are known whichever it is. not_found
/// for an unknown triple or CPU; corrupt, naming offset and bytes, at what is no instruction.
/// Thread-safe.
Result<std::vector<Instruction>> decode(std::span<const std::byte> code, std::string_view triple,
                                        std::string_view cpu, const Relocations& relocations = {});

/// One instruction a line, Intel syntax, labels on lines of their own: "L0:". `code` is
/// instructions only: without the constants that stand after them.
Result<std::string> disassemble(std::span<const std::byte> code, std::string_view triple,
                                std::string_view cpu);

/// Either format of image, whichever backend made it; flat code is x86-64's.
Result<std::string> disassemble(const KernelImage& image);
Result<std::vector<Instruction>> decode(const KernelImage& image);
std::string print(std::span<const Instruction> instructions);

/// How many instructions have this mnemonic; all of them where it is empty.
size_t count(std::span<const Instruction> instructions, std::string_view mnemonic = "");

/// How many refer to memory through the stack or frame pointer (spills; push, pop, call and ret do
/// not count).
size_t stack_accesses(std::span<const Instruction> instructions);

/// The innermost loop with the most instructions, as [first, last] indices: from the label to the
/// branch back to it. Empty span where there is no backward branch.
std::span<const Instruction> hottest_loop(std::span<const Instruction> instructions);

}  // namespace lathe::codegen::llvm
