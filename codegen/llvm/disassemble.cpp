// Decodes machine code with LLVM's MC layer and replaces addresses by labels.
#include "codegen/llvm/disassemble.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <utility>

#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstPrinter.h>
#include <llvm/MC/MCInstrAnalysis.h>
#include <llvm/MC/MCInstrDesc.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/MCTargetOptions.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Triple.h>

#include "codegen/llvm/machine.h"
#include "codegen/llvm/mc_tools.h"

namespace lathe::codegen::llvm {

namespace ll = ::llvm;

Result<std::unique_ptr<McTools>> make_mc_tools(std::string_view triple, std::string_view cpu) {
  initialize_llvm();
  auto tools = std::make_unique<McTools>();
  tools->triple = ll::Triple(ll::Triple::normalize(ll::StringRef(triple)));
  const std::string& name = tools->triple.getTriple();
  std::string ignored;
  const ll::Target* target = ll::TargetRegistry::lookupTarget(name, ignored);
  if (target == nullptr)
    return fail(ErrorCode::not_found,
                "no disassembler for '{}'; expected a triple such as x86_64-linux-gnu", triple);
  tools->registers.reset(target->createMCRegInfo(name));
  tools->assembly.reset(target->createMCAsmInfo(*tools->registers, name, ll::MCTargetOptions()));
  tools->subtarget.reset(target->createMCSubtargetInfo(name, "", ""));
  if (!cpu.empty() && !tools->subtarget->isCPUStringValid(ll::StringRef(cpu)))
    return fail(ErrorCode::not_found, "no CPU '{}' of {}; leave it empty to know every encoding",
                cpu, name);
  const bool x86 = tools->triple.getArch() == ll::Triple::x86_64;
  const ll::StringRef widest = x86 ? "sapphirerapids" : "";
  const ll::StringRef features = cpu.empty() && !x86 ? "+all" : "";
  tools->subtarget.reset(
      target->createMCSubtargetInfo(name, cpu.empty() ? widest : ll::StringRef(cpu),
                                    tools->triple.isAArch64() ? features : ll::StringRef("")));
  tools->instructions.reset(target->createMCInstrInfo());
  tools->analysis.reset(target->createMCInstrAnalysis(tools->instructions.get()));
  tools->context = std::make_unique<ll::MCContext>(tools->triple, tools->assembly.get(),
                                                   tools->registers.get(), tools->subtarget.get());
  tools->disassembler.reset(target->createMCDisassembler(*tools->subtarget, *tools->context));
  tools->printer.reset(target->createMCInstPrinter(tools->triple, x86 ? 1 : 0, *tools->assembly,
                                                   *tools->instructions, *tools->registers));
  if (tools->disassembler == nullptr || tools->printer == nullptr || tools->analysis == nullptr)
    return fail(ErrorCode::unsupported, "this build of LLVM has no disassembler for '{}'", name);
  return tools;
}

Result<std::vector<Decoded>> decode_raw(McTools& tools, std::span<const std::byte> code) {
  const ll::ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t*>(code.data()), code.size());
  std::vector<Decoded> all;
  for (size_t offset = 0; offset < code.size();) {
    Decoded decoded;
    decoded.offset = offset;
    const auto status = tools.disassembler->getInstruction(
        decoded.inst, decoded.size, bytes.slice(offset), offset, ll::nulls());
    if (status == ll::MCDisassembler::Fail || decoded.size == 0) {
      std::string found;
      for (const uint8_t byte : bytes.slice(offset, std::min<size_t>(8, bytes.size() - offset)))
        found += fmt::format(" {:02x}", byte);
      return fail(ErrorCode::corrupt,
                  "no instruction of {} at offset {} of {}: found{}; is it a constant after the "
                  "code, or code of a newer CPU?",
                  tools.triple.getTriple(), offset, code.size(), found);
    }
    offset += decoded.size;
    all.push_back(std::move(decoded));
  }
  return all;
}

namespace {

std::string trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return std::string(text);
}

// Constants beside the code, numbered in the order of first use.
class Constants {
 public:
  std::string number(const std::string& key) {
    return "C" + std::to_string(numbers_.try_emplace(key, numbers_.size()).first->second);
  }

 private:
  std::map<std::string, size_t> numbers_;
};

void replace_last_operand(std::string& operands, const std::string& with) {
  const size_t comma = operands.rfind(", ");
  operands = comma == std::string::npos ? with : operands.substr(0, comma + 2) + with;
}

void replace_rip(std::string& operands, const std::string& with) {
  const size_t open = operands.find("[rip");
  const size_t close = operands.find(']', open);
  if (open != std::string::npos && close != std::string::npos)
    operands.replace(open, close - open + 1, "[rip+" + with + "]");
}

}  // namespace

Result<std::vector<Instruction>> decode(std::span<const std::byte> code, std::string_view triple,
                                        std::string_view cpu, const Relocations& relocations) {
  LATHE_TRY(std::unique_ptr<McTools> tools, make_mc_tools(triple, cpu));
  LATHE_TRY(const std::vector<Decoded> all, decode_raw(*tools, code));

  std::map<size_t, int> labels;
  std::vector<std::optional<uint64_t>> targets;
  for (const Decoded& decoded : all) {
    uint64_t target = 0;
    const ll::MCInstrDesc& description = tools->instructions->get(decoded.inst.getOpcode());
    const bool known =
        description.isBranch() &&
        tools->analysis->evaluateBranch(decoded.inst, decoded.offset, decoded.size, target) &&
        target <= code.size();
    targets.push_back(known ? std::optional(target) : std::nullopt);
    if (known) labels.emplace(target, 0);
  }
  int next = 0;
  for (auto& [offset, label] : labels) label = next++;

  Constants constants;
  std::vector<Instruction> result;
  for (size_t i = 0; i < all.size(); ++i) {
    const Decoded& decoded = all[i];
    std::string text;
    ll::raw_string_ostream stream(text);
    tools->printer->printInst(&decoded.inst, decoded.offset, "", *tools->subtarget, stream);
    text = trim(text);

    Instruction instruction;
    instruction.offset = decoded.offset;
    const auto* bytes = reinterpret_cast<const uint8_t*>(code.data()) + decoded.offset;
    instruction.bytes.assign(bytes, bytes + decoded.size);
    const size_t space = text.find_first_of(" \t");
    instruction.mnemonic = text.substr(0, space);
    if (space != std::string::npos)
      instruction.operands = trim(std::string_view(text).substr(space));

    if (targets[i]) {
      instruction.target = static_cast<int64_t>(*targets[i]);
      replace_last_operand(instruction.operands, "L" + std::to_string(labels[*targets[i]]));
    }
    const auto relocation = relocations.lower_bound(decoded.offset);
    if (relocation != relocations.end() && relocation->first < decoded.offset + decoded.size) {
      const std::string constant = constants.number(relocation->second);
      if (instruction.operands.find("[rip") != std::string::npos)
        replace_rip(instruction.operands, constant);
      else if (instruction.mnemonic == "adrp")
        replace_last_operand(instruction.operands, constant);
    } else if (const auto address = tools->analysis->evaluateMemoryOperandAddress(
                   decoded.inst, tools->subtarget.get(), decoded.offset, decoded.size)) {
      replace_rip(instruction.operands, constants.number(std::to_string(*address)));
    }
    if (const auto label = labels.find(decoded.offset); label != labels.end())
      instruction.label = label->second;
    result.push_back(std::move(instruction));
  }
  return result;
}

std::string print(std::span<const Instruction> instructions) {
  std::string text;
  for (const Instruction& instruction : instructions) {
    if (instruction.label >= 0) text += fmt::format("L{}:\n", instruction.label);
    text += "  " + instruction.mnemonic;
    if (!instruction.operands.empty()) text += " " + instruction.operands;
    text += "\n";
  }
  return text;
}

Result<std::string> disassemble(std::span<const std::byte> code, std::string_view triple,
                                std::string_view cpu) {
  LATHE_TRY(const std::vector<Instruction> instructions, decode(code, triple, cpu));
  return print(instructions);
}

Result<std::vector<Instruction>> decode(const KernelImage& image) {
  const std::span<const std::byte> all(image.code);
  if (image.format == KernelImage::Format::flat) {
    if (image.entry > all.size() || image.code_bytes > all.size() - image.entry)
      return fail(ErrorCode::corrupt,
                  "image '{}': entry {} and {} bytes of code, expected within its {} bytes",
                  image.name, image.entry, image.code_bytes, all.size());
    return decode(all.subspan(image.entry, image.code_bytes), "x86_64-linux-gnu", "");
  }

  const ll::StringRef bytes(reinterpret_cast<const char*>(all.data()), all.size());
  auto object = ll::object::ObjectFile::createELFObjectFile(ll::MemoryBufferRef(bytes, image.name));
  if (!object)
    return fail(ErrorCode::corrupt, "image '{}' is no ELF object: {}", image.name,
                ll::toString(object.takeError()));
  for (const ll::object::ELFSymbolRef symbol : (*object)->symbols()) {
    auto name = symbol.getName();
    auto section = symbol.getSection();
    auto value = symbol.getValue();
    if (!name || !section || !value || *name != image.name ||
        *section == (*object)->section_end()) {
      ll::consumeError(name.takeError());
      ll::consumeError(section.takeError());
      ll::consumeError(value.takeError());
      continue;
    }
    auto contents = (*section)->getContents();
    if (!contents || *value > contents->size() || symbol.getSize() > contents->size() - *value) {
      ll::consumeError(contents.takeError());
      break;
    }
    Relocations relocations;
    for (const ll::object::SectionRef& holder : (*object)->sections()) {
      auto relocated = holder.getRelocatedSection();
      if (!relocated || *relocated != **section) {
        ll::consumeError(relocated.takeError());
        continue;
      }
      for (const ll::object::ELFRelocationRef relocation : holder.relocations()) {
        if (relocation.getOffset() < *value) continue;
        const auto to = relocation.getSymbol();
        auto to_name = to->getName();
        auto to_section = to->getSection();
        auto addend = relocation.getAddend();
        std::string key = to_name && !to_name->empty() ? to_name->str() : "";
        if (to_section && *to_section != (*object)->section_end())
          key += "@" + std::to_string((*to_section)->getIndex());
        if (addend) key += "+" + std::to_string(*addend);
        ll::consumeError(to_name.takeError());
        ll::consumeError(to_section.takeError());
        ll::consumeError(addend.takeError());
        relocations[relocation.getOffset() - *value] = key;
      }
    }
    const std::span<const std::byte> code(
        reinterpret_cast<const std::byte*>(contents->data()) + *value, symbol.getSize());
    return decode(code, (*object)->makeTriple().getTriple(), "", relocations);
  }
  return fail(ErrorCode::corrupt, "image '{}': its object has no function of that name",
              image.name);
}

Result<std::string> disassemble(const KernelImage& image) {
  LATHE_TRY(const std::vector<Instruction> instructions, decode(image));
  return print(instructions);
}

size_t count(std::span<const Instruction> instructions, std::string_view mnemonic) {
  return static_cast<size_t>(std::count_if(
      instructions.begin(), instructions.end(),
      [&](const Instruction& i) { return mnemonic.empty() || i.mnemonic == mnemonic; }));
}

size_t stack_accesses(std::span<const Instruction> instructions) {
  return static_cast<size_t>(
      std::count_if(instructions.begin(), instructions.end(), [](const Instruction& i) {
        for (const char* base : {"[rsp", "[rbp", "[sp", "[x29"})
          if (i.operands.find(base) != std::string::npos) return true;
        return false;
      }));
}

std::span<const Instruction> hottest_loop(std::span<const Instruction> instructions) {
  std::span<const Instruction> best;
  for (size_t last = 0; last < instructions.size(); ++last) {
    const Instruction& branch = instructions[last];
    if (branch.target < 0 || branch.target > static_cast<int64_t>(branch.offset)) continue;
    size_t first = last;
    while (first > 0 && static_cast<int64_t>(instructions[first].offset) > branch.target) --first;
    const auto loop = instructions.subspan(first, last - first + 1);
    // Innermost: no other backward branch inside.
    const bool inner = std::none_of(loop.begin(), loop.end() - 1, [&](const Instruction& i) {
      return i.target >= branch.target && i.target <= static_cast<int64_t>(i.offset);
    });
    if (inner && loop.size() > best.size()) best = loop;
  }
  return best;
}

}  // namespace lathe::codegen::llvm
