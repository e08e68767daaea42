// The instruction table is consistent in itself.
#include "ir/program/ops.h"

#include <set>

#include <gtest/gtest.h>

namespace lathe::ir::program {
namespace {

TEST(Ops, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const OpInfo& op : all_ops()) EXPECT_TRUE(names.insert(op.name).second) << op.name;
}

TEST(Ops, TheTableIsInTheOrderOfTheEnum) {
  EXPECT_EQ(info(Op::vconst).name, "vconst");
  EXPECT_EQ(info(Op::fnma).name, "fnma");
  EXPECT_EQ(info(Op::dot4_u8s8).name, "dot4_u8s8");
  EXPECT_EQ(info(Op::store_stream).name, "store_stream");
  EXPECT_EQ(info(Op::pmisaligned).name, "pmisaligned");
  EXPECT_EQ(all_ops().size(), static_cast<size_t>(Op::pmisaligned) + 1);
}

TEST(Ops, EveryRowIsWellFormed) {
  for (const OpInfo& op : all_ops()) {
    EXPECT_NE(std::string_view("vmsp-").find(op.result), std::string_view::npos) << op.name;
    EXPECT_LE(op.sources.size(), 3U) << op.name;
    EXPECT_EQ(op.sources.find_first_not_of("vmsp"), std::string_view::npos) << op.name;
    EXPECT_FALSE(op.meaning.empty()) << op.name;
    const bool touches_memory = op.reads_memory || op.writes_memory || op.has_memory_type;
    EXPECT_TRUE(op.has_address || !touches_memory) << op.name;
    EXPECT_FALSE(op.reads_memory && op.writes_memory) << op.name;
    EXPECT_EQ(op.writes_memory, op.result == '-' && op.name != "prefetch") << op.name;
  }
}

}  // namespace
}  // namespace lathe::ir::program
