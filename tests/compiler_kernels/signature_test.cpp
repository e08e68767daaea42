// Operands: shapes, the bytes of a row, compulsory traffic.
#include "compiler/kernels/signature.h"

#include <gtest/gtest.h>

namespace lathe::compiler::kernels {
namespace {

using ir::Type;

TEST(Port, KnowsWhereRowsStand) {
  EXPECT_EQ(matrix("x", Type::f32, 8).row_dimension(), 0);
  EXPECT_EQ(row_vector("w", Type::f32, 8).row_dimension(), -1);
  EXPECT_EQ((Port{"positions", Type::i32, {3, "rows"}}).row_dimension(), 1);
}

TEST(Port, CountsTheBytesOfARow) {
  EXPECT_EQ(matrix("x", Type::bf16, 72).row_bytes(), 144);
  EXPECT_EQ(matrix("y", Type::q8_0, 64).row_bytes(), 68);
  EXPECT_EQ((Port{"positions", Type::i32, {3, "rows"}}).row_bytes(), 12);
  EXPECT_EQ((Port{"table", Type::f32, {"vocabulary", 8}}).row_bytes({{"vocabulary", 10}}), 320);
}

TEST(Work, ReadsEachInputOnceAndATableByItsRows) {
  Port table{"table", Type::f32, {"vocabulary", 8}};
  table.gathered = true;
  const Signature signature = {table, Port{"ids", Type::i32, {"rows"}},
                               output(matrix("y", Type::f32, 8))};
  const Work few = work_of(signature, {{"rows", 4}, {"vocabulary", 100}}, 2);
  EXPECT_EQ(few.bytes_read, 4 * 32 + 4 * 4);
  EXPECT_EQ(few.bytes_written, 4 * 32);
  EXPECT_EQ(few.flops, 8);
  const Work many = work_of(signature, {{"rows", 400}, {"vocabulary", 100}}, 2);
  EXPECT_EQ(many.bytes_read, 100 * 32 + 400 * 4);
}

TEST(Work, AWeightIsReadOnce) {
  const Problem problem =
      *parse_problem("rms_norm rows=512 width=2048 prologue=add(x,r) keep=true");
  const Work work = problem.family().work(problem, {{"rows", 512}});
  EXPECT_EQ(work.bytes_read, 2 * 512 * 2048 * 4 + 2048 * 4);
  EXPECT_EQ(work.bytes_written, 2 * 512 * 2048 * 4);
}

TEST(Inputs, AFragmentsInputsTakeTheTypesOfTheirKinds) {
  Signature signature;
  add_inputs(signature, *Fragment::parse("fma(y,vec(w),mul(g,col(s)))"), Type::bf16, Type::f16, 8,
             "y");
  ASSERT_EQ(signature.size(), 3U);
  EXPECT_EQ(signature[0].name, "w");
  EXPECT_EQ(signature[0].type, Type::f16);
  EXPECT_EQ(signature[1].type, Type::bf16);
  EXPECT_EQ(signature[2].type, Type::f32);
  EXPECT_EQ(signature[2].row_bytes(), 4);
}

}  // namespace
}  // namespace lathe::compiler::kernels
