// The structural rules of kernel programs: operand classes, definitions before uses, immediates.
#include "ir/program/verifier.h"

#include <bit>
#include <limits>
#include <set>

#include "ir/program/printer.h"
#include "ir/program/provenance.h"
#include "ir/program/ranges.h"

namespace lathe::ir::program {
namespace {

std::string_view class_name(RegClass cls) {
  static constexpr std::string_view kNames[] = {"vector", "mask", "scalar", "pointer"};
  return kNames[static_cast<size_t>(cls)];
}

RegClass class_of(char letter) {
  switch (letter) {
    case 'm': return RegClass::mask;
    case 's': return RegClass::scalar;
    case 'p': return RegClass::pointer;
    default: return RegClass::vector;
  }
}

std::string reg_name(Reg reg) {
  return reg.valid() ? fmt::format("%{}{}", "vmsp"[static_cast<size_t>(reg.cls)], reg.id)
                     : std::string("no register");
}

// Where in the program a rule is broken; the text is made only when it is.
class Where {
 public:
  explicit Where(const Instr& instr) : instr_(&instr) {}
  explicit Where(const Loop& loop) : loop_(&loop) {}
  explicit Where(const Branch& branch) : branch_(&branch) {}
  std::string text() const {
    if (instr_ != nullptr) return print(*instr_);
    if (loop_ != nullptr) return fmt::format("loop {}", reg_name(loop_->counter));
    return fmt::format("if {}", reg_name(branch_->left));
  }

 private:
  const Instr* instr_ = nullptr;
  const Loop* loop_ = nullptr;
  const Branch* branch_ = nullptr;
};

// Which registers hold a value at some point of the program.
class Defined {
 public:
  explicit Defined(const Program& program) {
    for (size_t cls = 0; cls < sets_.size(); ++cls) sets_[cls].resize(program.registers[cls]);
  }
  bool has(Reg reg) const { return set(reg)[reg.id]; }
  void add(Reg reg) { set(reg)[reg.id] = true; }
  void remove(Reg reg) { set(reg)[reg.id] = false; }
  void keep_common(const Defined& other) {
    for (size_t cls = 0; cls < sets_.size(); ++cls)
      for (size_t i = 0; i < sets_[cls].size(); ++i)
        sets_[cls][i] = sets_[cls][i] && other.sets_[cls][i];
  }

 private:
  std::vector<bool>& set(Reg reg) { return sets_[static_cast<size_t>(reg.cls)]; }
  const std::vector<bool>& set(Reg reg) const { return sets_[static_cast<size_t>(reg.cls)]; }
  std::array<std::vector<bool>, 4> sets_;
};

class Verifier {
 public:
  Verifier(const Program& program, std::vector<int> pointer_buffers)
      : program_(program), buffer_of_(std::move(pointer_buffers)) {}

  static Status check_header(const Program& program);

  Status run() {
    Defined defined(program_);
    for (const Buffer& buffer : program_.buffers) defined.add(buffer.pointer);
    for (const Parameter& parameter : program_.parameters) defined.add(parameter.reg);
    return check_block(program_.body, defined);
  }

 private:
  template <typename... Args>
  tl::unexpected<Error> broken(const Where& where, fmt::format_string<Args...> format,
                               Args&&... args) const {
    return fail(ErrorCode::verify_error, "program '{}': '{}': {}", program_.name, where.text(),
                fmt::format(format, std::forward<Args>(args)...));
  }

  Status check_block(const Block& block, Defined& defined) {
    for (const Node& node : block) {
      if (const auto* instr = std::get_if<Instr>(&node.value)) {
        LATHE_CHECK(check_instr(*instr, defined));
      } else if (const auto* loop = std::get_if<Loop>(&node.value)) {
        LATHE_CHECK(check_loop(*loop, defined));
      } else {
        LATHE_CHECK(check_branch(std::get<Branch>(node.value), defined));
      }
    }
    return {};
  }

  Status check_reg(const Where& where, std::string_view what, Reg reg, RegClass cls) const {
    if (!reg.valid())
      return broken(where, "{} is missing; expected a {} register", what, class_name(cls));
    if (reg.cls != cls)
      return broken(where, "{} {} is a {} register; expected a {} register", what, reg_name(reg),
                    class_name(reg.cls), class_name(cls));
    if (reg.id >= program_.count(cls))
      return broken(where, "{} {}: the program declares only {} {} registers", what, reg_name(reg),
                    program_.count(cls), class_name(cls));
    return {};
  }

  Status check_read(const Where& where, std::string_view what, Reg reg, RegClass cls,
                    const Defined& defined) const {
    LATHE_CHECK(check_reg(where, what, reg, cls));
    if (!defined.has(reg))
      return broken(where, "{} {} is read before it is written on every path; write it first", what,
                    reg_name(reg));
    return {};
  }

  Status check_operand(const Where& where, std::string_view what, const Operand& operand,
                       const Defined& defined) const {
    if (operand.is_imm()) return {};
    return check_read(where, what, operand.reg, RegClass::scalar, defined);
  }

  Status check_write(const Where& where, Reg reg) const {
    for (const Reg& counter : counters_)
      if (counter == reg)
        return broken(where, "writes {}, the counter of a loop around it; use another register",
                      reg_name(reg));
    return {};
  }

  Status check_loop(const Loop& loop, Defined& defined) {
    const Where where(loop);
    LATHE_CHECK(check_reg(where, "the counter", loop.counter, RegClass::scalar));
    LATHE_CHECK(check_operand(where, "begin", loop.begin, defined));
    LATHE_CHECK(check_operand(where, "end", loop.end, defined));
    LATHE_CHECK(check_write(where, loop.counter));
    if (loop.step < 1) return broken(where, "step {}; expected at least 1", loop.step);
    Defined inside = defined;
    inside.add(loop.counter);
    counters_.push_back(loop.counter);
    LATHE_CHECK(check_block(loop.body, inside));
    counters_.pop_back();
    // What the body writes holds afterwards only if the body surely runs.
    if (loop.begin.is_imm() && loop.end.is_imm() && loop.begin.imm < loop.end.imm) defined = inside;
    defined.remove(loop.counter);
    return {};
  }

  Status check_branch(const Branch& branch, Defined& defined) {
    const Where where(branch);
    LATHE_CHECK(check_read(where, "the left side", branch.left, RegClass::scalar, defined));
    LATHE_CHECK(check_operand(where, "the right side", branch.right, defined));
    if (static_cast<uint8_t>(branch.compare) > 5)
      return broken(where, "comparison {}; expected 0 … 5", static_cast<int>(branch.compare));
    Defined otherwise = defined;
    LATHE_CHECK(check_block(branch.then, defined));
    LATHE_CHECK(check_block(branch.otherwise, otherwise));
    defined.keep_common(otherwise);
    return {};
  }

  Status check_instr(const Instr& instr, Defined& defined) {
    if (static_cast<size_t>(instr.op) >= all_ops().size())
      return fail(ErrorCode::verify_error, "program '{}': op number {} does not exist",
                  program_.name, static_cast<int>(instr.op));
    const OpInfo& op = info(instr.op);
    const Where where(instr);
    static constexpr std::string_view kSources[] = {"source 0", "source 1", "source 2"};
    for (size_t i = 0; i < instr.src.size(); ++i) {
      if (i < op.sources.size()) {
        LATHE_CHECK(check_read(where, kSources[i], instr.src[i], class_of(op.sources[i]), defined));
      } else if (instr.src[i].valid()) {
        return broken(where, "has a source {}; {} takes {}", i, op.name, op.sources.size());
      }
    }
    if (op.has_scalar) LATHE_CHECK(check_operand(where, "the scalar", instr.scalar, defined));
    if (op.has_address) LATHE_CHECK(check_address(where, instr, defined));
    LATHE_CHECK(check_fields(where, instr));
    if (op.result == '-') {
      if (instr.dst.valid())
        return broken(where, "has a result {}; {} has none", reg_name(instr.dst), op.name);
      return {};
    }
    LATHE_CHECK(check_reg(where, "the result", instr.dst, class_of(op.result)));
    LATHE_CHECK(check_write(where, instr.dst));
    defined.add(instr.dst);
    return {};
  }

  Status check_address(const Where& where, const Instr& instr, const Defined& defined) const {
    const OpInfo& op = info(instr.op);
    const Address& address = instr.address;
    LATHE_CHECK(check_read(where, "the address", address.pointer, RegClass::pointer, defined));
    if (address.index.valid())
      LATHE_CHECK(check_read(where, "the index", address.index, RegClass::scalar, defined));
    const int scale = address.scale;
    if (scale != 1 && scale != 2 && scale != 4 && scale != 8)
      return broken(where, "scale {}; expected 1, 2, 4 or 8", scale);
    if (address.offset < std::numeric_limits<int32_t>::min() ||
        address.offset > std::numeric_limits<int32_t>::max())
      return broken(where, "offset {} does not fit 32 bits; put it into a scalar register",
                    address.offset);
    const Buffer& buffer = program_.buffers[static_cast<size_t>(buffer_of_[address.pointer.id])];
    if (op.reads_memory && buffer.access == BufferAccess::write)
      return broken(where, "reads buffer '{}', which is write-only; declare it read_write",
                    buffer.name);
    if (op.writes_memory && buffer.access == BufferAccess::read)
      return broken(where, "writes buffer '{}', which is read-only; declare it read_write",
                    buffer.name);
    return {};
  }

  Status check_fields(const Where& where, const Instr& instr) const {
    const int lanes = program_.target.lanes;
    const int64_t imm = instr.imm;
    const auto in_range = [&](std::string_view what, int64_t value, int64_t low,
                              int64_t high) -> Status {
      if (value < low || value > high)
        return broken(where, "{} {}; expected {} … {}", what, value, low, high);
      return {};
    };
    switch (instr.op) {
      case Op::vconst: return in_range("bits", imm, 0, std::numeric_limits<uint32_t>::max());
      case Op::ishl:
      case Op::ishr:
      case Op::isar: return in_range("shift", imm, 0, 31);
      case Op::sshl:
      case Op::sshr: return in_range("shift", imm, 0, 63);
      case Op::fcmp:
      case Op::icmp: return in_range("comparison", imm, 0, 5);
      case Op::prefetch: return in_range("prefetch level", imm, 0, 3);
      case Op::slane: return in_range("lane", imm, 0, lanes - 1);
      case Op::load_group:
        if (imm != 8 && imm != 16) return broken(where, "group of {} bytes; expected 8 or 16", imm);
        return {};
      case Op::sload:
        if (imm == std::numeric_limits<int64_t>::min() ||
            !(std::abs(imm) == 1 || std::abs(imm) == 2 || std::abs(imm) == 4 || std::abs(imm) == 8))
          return broken(where, "integer of {} bytes; expected ±1, ±2, ±4 or ±8", imm);
        return {};
      case Op::pmisaligned:
        if (imm < 1 || !std::has_single_bit(static_cast<uint64_t>(imm)))
          return broken(where, "modulus {}; expected a power of two", imm);
        return {};
      case Op::load_part:
      case Op::store_part:
        if (instr.scalar.is_imm()) return in_range("count", instr.scalar.imm, 0, lanes);
        return {};
      case Op::sdiv:
        if (instr.scalar.is_imm() && instr.scalar.imm == 0) return broken(where, "divides by zero");
        return {};
      case Op::store_stream:
        if (instr.memory != MemoryType::raw32)
          return broken(where, "streams {}; only raw32 can be streamed", name(instr.memory));
        return {};
      case Op::permute: return check_pattern(where, instr, lanes);
      case Op::lookup8:
        if (instr.pattern.size() != 32)
          return broken(where, "table of {} bytes; expected 32", instr.pattern.size());
        return {};
      case Op::shuffle2: return check_pattern(where, instr, 2 * lanes);
      default: return {};
    }
  }

  Status check_pattern(const Where& where, const Instr& instr, int lanes) const {
    if (instr.pattern.size() != static_cast<size_t>(program_.target.lanes))
      return broken(where, "pattern of {} lanes; the target has {}", instr.pattern.size(),
                    program_.target.lanes);
    for (const uint8_t lane : instr.pattern)
      if (lane >= lanes)
        return broken(where, "pattern names lane {}; expected 0 … {}", lane, lanes - 1);
    return {};
  }

  const Program& program_;
  std::vector<int> buffer_of_;
  std::vector<Reg> counters_;  // of the loops around, outermost first
};

// The least and greatest element of an integer type; none for the others.
std::optional<std::pair<int64_t, int64_t>> limits_of(Type type) {
  switch (type) {
    case Type::i8: return {{-128, 127}};
    case Type::u8: return {{0, 255}};
    case Type::i16: return {{-32768, 32767}};
    case Type::u16: return {{0, 65535}};
    case Type::i32: return {{INT32_MIN, INT32_MAX}};
    case Type::u32: return {{0, UINT32_MAX}};
    case Type::i64: return {{INT64_MIN, INT64_MAX}};
    default: return std::nullopt;
  }
}

Status Verifier::check_header(const Program& program) {
  const auto broken = [&](const std::string& what) {
    return fail(ErrorCode::verify_error, "program '{}': {}", program.name, what);
  };
  const int lanes = program.target.lanes;
  if (lanes != 1 && lanes != 4 && lanes != 8 && lanes != 16)
    return broken(fmt::format("target of {} lanes; expected 1, 4, 8 or 16", lanes));
  std::set<std::string> names;
  std::set<Reg> registers;
  for (const Buffer& buffer : program.buffers) {
    if (!names.insert(buffer.name).second)
      return broken(fmt::format("two arguments are named '{}'", buffer.name));
    if (buffer.pointer.cls != RegClass::pointer ||
        buffer.pointer.id >= program.count(RegClass::pointer) ||
        !registers.insert(buffer.pointer).second)
      return broken(fmt::format("buffer '{}' needs a pointer register of its own, found {}",
                                buffer.name, reg_name(buffer.pointer)));
    if (!buffer.range) continue;
    const auto limits = limits_of(buffer.type);
    const auto [low, high] = *buffer.range;
    if (!limits || low > high || low < limits->first || high > limits->second)
      return broken(fmt::format("buffer '{}': range {} … {} is not one of {} elements", buffer.name,
                                low, high, ir::name(buffer.type)));
  }
  for (const Parameter& parameter : program.parameters) {
    if (!names.insert(parameter.name).second)
      return broken(fmt::format("two arguments are named '{}'", parameter.name));
    if (parameter.reg.cls != RegClass::scalar ||
        parameter.reg.id >= program.count(RegClass::scalar) ||
        !registers.insert(parameter.reg).second)
      return broken(fmt::format("parameter '{}' needs a scalar register of its own, found {}",
                                parameter.name, reg_name(parameter.reg)));
  }
  return {};
}

}  // namespace

Status verify(const Program& program) {
  LATHE_CHECK(Verifier::check_header(program));
  LATHE_TRY(auto buffers, pointer_buffers(program));
  LATHE_CHECK(Verifier(program, std::move(buffers)).run());
  return check_ranges(program);
}

}  // namespace lathe::ir::program
