// The kernel program: structured loops over instructions on mutable virtual registers; what one
// core runs for one tile of work.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ir/program/ops.h"
#include "ir/target.h"
#include "ir/types.h"

namespace lathe::ir::program {

/// Register files. A vector holds target.lanes 32-bit lanes (read as f32, i32, pairs of i16 or
/// quadruples of i8, as each instruction says); a mask holds one bit a lane; a scalar is an i64; a
/// pointer is an address inside (or one past, or for prefetch beyond) one buffer.
enum class RegClass : uint8_t { vector, mask, scalar, pointer };

/// A virtual register; mutable: any number of instructions may write it.
struct Reg {
  RegClass cls = RegClass::vector;
  uint32_t id = UINT32_MAX;  ///< dense from 0 within its class
  bool valid() const { return id != UINT32_MAX; }
  auto operator<=>(const Reg&) const = default;
};

/// A scalar register or an immediate.
struct Operand {
  Reg reg{};        ///< valid: a scalar register
  int64_t imm = 0;  ///< otherwise this
  bool is_imm() const { return !reg.valid(); }
  auto operator<=>(const Operand&) const = default;
};

/// pointer + index * scale + offset, in bytes.
struct Address {
  Reg pointer{};
  Reg index{};    ///< optional scalar register
  int scale = 1;  ///< 1, 2, 4 or 8
  int64_t offset = 0;
  auto operator<=>(const Address&) const = default;
};
/// Whether b lies `bytes` behind a, known without their registers' values.
inline bool is_next(const Address& a, Address b, int64_t bytes) {
  b.offset -= bytes;
  return a == b;
}

/// How memory elements become 32-bit lanes and back (see ops.h for the instructions that use it).
/// Loads: raw and f32/i32 copy bits; f16 and bf16 widen exactly to f32; i8 u8 i16 u16 extend to
/// i32. Stores: raw copies; f16 and bf16 round to nearest even (NaN stays NaN); i8 u8 i16 u16
/// saturate a signed i32.
enum class MemoryType : uint8_t { raw32, f16, bf16, i8, u8, i16, u16 };
int bytes_of(MemoryType type);
std::string_view name(MemoryType type);
/// The memory type that loads a tensor's elements as lanes; only for f32 f16 bf16 i8 u8 i16 u16 i32
/// u32.
MemoryType memory_type(Type type);

enum class Compare : uint8_t { lt, le, eq, ne, ge, gt };

struct Instr {
  Op op{};
  Reg dst{};
  std::array<Reg, 3> src{};  ///< as many as info(op).sources says
  Address address{};         ///< memory and pointer instructions
  MemoryType memory = MemoryType::raw32;
  Operand scalar{};  ///< count of a partial access, or the second operand of scalar arithmetic
  int64_t imm = 0;   ///< splat bits, shift amount, Compare, prefetch level, group bytes
  std::vector<uint8_t> pattern{};  ///< lane indices of permute and shuffle2; the table of lookup8
  bool operator==(const Instr&) const = default;
};

struct Node;
using Block = std::vector<Node>;

/// for (counter = begin; counter < end; counter += step); the body must not write the counter.
/// begin and end are read once, before the first iteration. step >= 1.
struct Loop {
  Reg counter{};
  Operand begin{}, end{};
  int64_t step = 1;
  Block body;
  bool operator==(const Loop&) const;
};

/// A branch that is the same for all lanes.
struct Branch {
  Compare compare{};
  Reg left{};
  Operand right{};
  Block then, otherwise;
  bool operator==(const Branch&) const;
};

struct Node {
  std::variant<Instr, Loop, Branch> value;
  bool operator==(const Node&) const = default;
};

enum class BufferAccess : uint8_t { read, write, read_write };

/// A buffer argument. At entry `pointer` holds its start. Two buffers may be the same memory (an
/// in-place operation): nothing may move a load across a store.
struct Buffer {
  std::string name;
  Type type = Type::f32;
  BufferAccess access = BufferAccess::read;
  Reg pointer{};
  /// For integer elements: every element the program may read lies in [low, high]. The verifier
  /// builds its proofs on it; the interpreter checks it.
  std::optional<std::pair<int64_t, int64_t>> range;
  bool operator==(const Buffer&) const = default;
};

/// An i64 argument, known at run time.
struct Parameter {
  std::string name;
  Reg reg{};
  bool operator==(const Parameter&) const = default;
};

/// The compiled form is `void kernel(const uint64_t* slots)`: slots[0 … buffers-1] are the buffers'
/// addresses, then one slot a parameter. It touches nothing else and has no state.
struct Program {
  std::string name;
  Target target;
  std::vector<Buffer> buffers;
  std::vector<Parameter> parameters;
  Block body;
  std::array<uint32_t, 4> registers{};  ///< count of each RegClass

  uint32_t count(RegClass cls) const { return registers[static_cast<size_t>(cls)]; }
  Reg fresh(RegClass cls) { return {cls, registers[static_cast<size_t>(cls)]++}; }
};

/// Word `index` (0 … 7) of a lookup8's table.
inline uint32_t table_word(const Instr& instr, size_t index) {
  uint32_t word = 0;
  for (size_t byte = 4; byte-- > 0;) word = word << 8 | instr.pattern[4 * index + byte];
  return word;
}

using KernelFunction = void (*)(const uint64_t* slots);

}  // namespace lathe::ir::program
