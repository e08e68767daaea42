// The small tables and operators of the program's data structure.
#include "ir/program/program.h"

#include <gtest/gtest.h>

namespace lathe::ir::program {
namespace {

TEST(Program, FreshRegistersAreDensePerClass) {
  Program program;
  EXPECT_EQ(program.fresh(RegClass::vector).id, 0U);
  EXPECT_EQ(program.fresh(RegClass::vector).id, 1U);
  EXPECT_EQ(program.fresh(RegClass::pointer).id, 0U);
  EXPECT_EQ(program.count(RegClass::vector), 2U);
  EXPECT_EQ(program.count(RegClass::mask), 0U);
  EXPECT_FALSE(Reg{}.valid());
}

TEST(Program, MemoryTypesOfElementTypes) {
  struct Row {
    Type type;
    MemoryType memory;
    int bytes;
    const char* name;
  };
  for (const Row& row :
       {Row{Type::f32, MemoryType::raw32, 4, "raw32"},
        Row{Type::i32, MemoryType::raw32, 4, "raw32"},
        Row{Type::u32, MemoryType::raw32, 4, "raw32"}, Row{Type::f16, MemoryType::f16, 2, "f16"},
        Row{Type::bf16, MemoryType::bf16, 2, "bf16"}, Row{Type::i8, MemoryType::i8, 1, "i8"},
        Row{Type::u8, MemoryType::u8, 1, "u8"}, Row{Type::i16, MemoryType::i16, 2, "i16"},
        Row{Type::u16, MemoryType::u16, 2, "u16"}}) {
    EXPECT_EQ(memory_type(row.type), row.memory);
    EXPECT_EQ(bytes_of(row.memory), row.bytes);
    EXPECT_EQ(name(row.memory), row.name);
  }
}

TEST(Program, LoopsAndBranchesCompareByValue) {
  Loop loop{{RegClass::scalar, 1}, {}, {{}, 4}, 1, {}};
  Loop other = loop;
  EXPECT_EQ(loop, other);
  other.body.push_back({Instr{.op = Op::viota}});
  EXPECT_FALSE(loop == other);
  Branch branch{Compare::lt, {RegClass::scalar, 1}, {}, {}, {}};
  Branch swapped = branch;
  EXPECT_EQ(branch, swapped);
  swapped.compare = Compare::gt;
  EXPECT_FALSE(branch == swapped);
}

}  // namespace
}  // namespace lathe::ir::program
