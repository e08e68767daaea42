// Small tables of the program data structure.
#include "ir/program/program.h"

#include <cassert>

namespace lathe::ir::program {

bool Loop::operator==(const Loop& other) const {
  return counter == other.counter && begin == other.begin && end == other.end &&
         step == other.step && body == other.body;
}

bool Branch::operator==(const Branch& other) const {
  return compare == other.compare && left == other.left && right == other.right &&
         then == other.then && otherwise == other.otherwise;
}

int bytes_of(MemoryType type) {
  switch (type) {
    case MemoryType::raw32: return 4;
    case MemoryType::f16:
    case MemoryType::bf16:
    case MemoryType::i16:
    case MemoryType::u16: return 2;
    case MemoryType::i8:
    case MemoryType::u8: return 1;
  }
  return 0;
}

std::string_view name(MemoryType type) {
  switch (type) {
    case MemoryType::raw32: return "raw32";
    case MemoryType::f16: return "f16";
    case MemoryType::bf16: return "bf16";
    case MemoryType::i8: return "i8";
    case MemoryType::u8: return "u8";
    case MemoryType::i16: return "i16";
    case MemoryType::u16: return "u16";
  }
  return "?";
}

MemoryType memory_type(Type type) {
  switch (type) {
    case Type::f32:
    case Type::i32:
    case Type::u32: return MemoryType::raw32;
    case Type::f16: return MemoryType::f16;
    case Type::bf16: return MemoryType::bf16;
    case Type::i8: return MemoryType::i8;
    case Type::u8: return MemoryType::u8;
    case Type::i16: return MemoryType::i16;
    case Type::u16: return MemoryType::u16;
    default: assert(false && "no lanes of this type"); return MemoryType::raw32;
  }
}

}  // namespace lathe::ir::program
