// Kernel programs as text, one instruction a line.
#include "ir/program/printer.h"

#include <bit>
#include <cmath>

#include <fmt/format.h>

namespace lathe::ir::program {
namespace {

std::string text(Reg reg) {
  if (!reg.valid()) return "%?";
  return fmt::format("%{}{}", "vmsp"[static_cast<size_t>(reg.cls)], reg.id);
}

std::string text(const Operand& operand) {
  return operand.is_imm() ? fmt::format("{}", operand.imm) : text(operand.reg);
}

std::string text(const Address& address) {
  std::string out = "[" + text(address.pointer);
  if (address.index.valid()) {
    out += " + " + text(address.index);
    if (address.scale != 1) out += fmt::format("*{}", address.scale);
  }
  if (address.offset < 0) {
    out += fmt::format(" - {}", 0 - static_cast<uint64_t>(address.offset));
  } else if (address.offset > 0) {
    out += fmt::format(" + {}", address.offset);
  }
  return out + "]";
}

std::string_view compare_name(int64_t compare) {
  static constexpr std::string_view kNames[] = {"lt", "le", "eq", "ne", "ge", "gt"};
  return compare >= 0 && compare < 6 ? kNames[compare] : "?";
}

// The value behind a constant's bits, where they look like a float that somebody wrote.
std::string float_comment(int64_t bits) {
  const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
  const float magnitude = std::fabs(value);
  const bool plausible = magnitude >= 1e-12F && magnitude <= 1e12F;
  return plausible ? fmt::format(" ; {}", value) : std::string();
}

// What stands behind a dot after the op's name: memory type, comparison, or integer type.
std::string suffix(const Instr& instr) {
  if (info(instr.op).has_memory_type) return fmt::format(".{}", name(instr.memory));
  switch (instr.op) {
    case Op::fcmp:
    case Op::icmp: return fmt::format(".{}", compare_name(instr.imm));
    case Op::sload:
      return instr.imm < 0 ? fmt::format(".i{}", -8 * instr.imm)
                           : fmt::format(".u{}", 8 * instr.imm);
    default: return "";
  }
}

// The op's immediate as a last operand, for those that do not show it in suffix().
std::string immediate(const Instr& instr) {
  switch (instr.op) {
    case Op::fcmp:
    case Op::icmp:
    case Op::sload: return "";
    case Op::vconst:
      return fmt::format("0x{:08x}{}", static_cast<uint64_t>(instr.imm), float_comment(instr.imm));
    default: return fmt::format("{}", instr.imm);
  }
}

std::string pattern_text(const std::vector<uint8_t>& pattern) {
  return fmt::format("[{}]", fmt::join(pattern, " "));
}

std::string table_text(const Instr& instr) {
  std::string out;
  for (size_t i = 0; i < instr.pattern.size() / 4; ++i)
    out += fmt::format("{}0x{:08x}", out.empty() ? "" : " ", table_word(instr, i));
  return "[" + out + "]";
}

void print_block(const Block& block, int indent, std::string& out);

void print_node(const Node& node, int indent, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  if (const auto* instr = std::get_if<Instr>(&node.value)) {
    out += pad + print(*instr) + "\n";
  } else if (const auto* loop = std::get_if<Loop>(&node.value)) {
    out += fmt::format("{}loop {} = {} .. {} step {} {{\n", pad, text(loop->counter),
                       text(loop->begin), text(loop->end), loop->step);
    print_block(loop->body, indent + 2, out);
    out += pad + "}\n";
  } else {
    const auto& branch = std::get<Branch>(node.value);
    out += fmt::format("{}if {} {} {} {{\n", pad, text(branch.left),
                       compare_name(static_cast<int64_t>(branch.compare)), text(branch.right));
    print_block(branch.then, indent + 2, out);
    if (!branch.otherwise.empty()) {
      out += pad + "} else {\n";
      print_block(branch.otherwise, indent + 2, out);
    }
    out += pad + "}\n";
  }
}

void print_block(const Block& block, int indent, std::string& out) {
  for (const Node& node : block) print_node(node, indent, out);
}

std::string_view access_name(BufferAccess access) {
  switch (access) {
    case BufferAccess::read: return "read";
    case BufferAccess::write: return "write";
    case BufferAccess::read_write: return "read_write";
  }
  return "?";
}

}  // namespace

std::string print(const Instr& instr) {
  const OpInfo& op = info(instr.op);
  std::string out;
  if (op.result != '-') out = text(instr.dst) + " = ";
  out += fmt::format("{}{}", op.name, suffix(instr));
  const char* separator = " ";
  const auto operand = [&](const std::string& value) {
    if (value.empty()) return;
    out += separator + value;
    separator = ", ";
  };
  if (op.has_address) operand(text(instr.address));
  for (size_t i = 0; i < op.sources.size(); ++i) operand(text(instr.src[i]));
  if (op.has_scalar) operand(text(instr.scalar));
  if (op.has_pattern)
    operand(instr.op == Op::lookup8 ? table_text(instr) : pattern_text(instr.pattern));
  if (op.has_imm) operand(immediate(instr));
  return out;
}

std::string print(const Program& program) {
  const Target& target = program.target;
  std::string out =
      fmt::format("program {} for {}, {} lane{}{}\n", program.name, target.name, target.lanes,
                  target.lanes == 1 ? "" : "s", target.fused ? ", fused" : "");
  for (const Buffer& buffer : program.buffers) {
    out += fmt::format("buffer {} {} {} {}", text(buffer.pointer), buffer.name,
                       ir::name(buffer.type), access_name(buffer.access));
    if (buffer.range) out += fmt::format(" in {} .. {}", buffer.range->first, buffer.range->second);
    out += "\n";
  }
  for (const Parameter& parameter : program.parameters)
    out += fmt::format("parameter {} {}\n", text(parameter.reg), parameter.name);
  print_block(program.body, 2, out);
  return out;
}

}  // namespace lathe::ir::program
