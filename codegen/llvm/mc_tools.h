// LLVM's machine-code layer for one triple and CPU; internal to codegen/llvm (it includes LLVM).
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstPrinter.h>
#include <llvm/MC/MCInstrAnalysis.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/TargetParser/Triple.h>

#include "support/error.h"

namespace lathe::codegen::llvm {

/// In order of construction: each part refers to those above it.
struct McTools {
  ::llvm::Triple triple;
  std::unique_ptr<::llvm::MCRegisterInfo> registers;
  std::unique_ptr<::llvm::MCAsmInfo> assembly;
  std::unique_ptr<::llvm::MCSubtargetInfo> subtarget;
  std::unique_ptr<::llvm::MCInstrInfo> instructions;
  std::unique_ptr<::llvm::MCInstrAnalysis> analysis;
  std::unique_ptr<::llvm::MCContext> context;
  std::unique_ptr<::llvm::MCDisassembler> disassembler;
  std::unique_ptr<::llvm::MCInstPrinter> printer;
};

struct Decoded {
  ::llvm::MCInst inst;
  size_t offset = 0;
  uint64_t size = 0;
};

/// `cpu` empty: every encoding of the architecture that can be known. not_found for unknown names.
Result<std::unique_ptr<McTools>> make_mc_tools(std::string_view triple, std::string_view cpu);

/// All of `code`, or corrupt at what is no instruction.
Result<std::vector<Decoded>> decode_raw(McTools& tools, std::span<const std::byte> code);

}  // namespace lathe::codegen::llvm
