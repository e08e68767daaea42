// Expansion of the instructions that a target lacks into those that it has.
#pragma once

#include "ir/program/program.h"

namespace lathe::compiler::passes {

/// The program with, by what its target lacks,
///   fma, fms, fnma    as a multiplication and an addition, where the target does not fuse;
///   fscale            as two exact-then-rounded multiplications, but on AVX-512;
///   dot4_u8s8         as dot2_u8s8, dot2_s16 and an addition, without VNNI;
///   f16 memory, round_f16    by integer arithmetic, without F16C;
///   bf16 memory, round_bf16  by integer arithmetic, everywhere.
/// The result means the same, bit for bit (payloads of NaNs excepted), and verifies if `program`
/// does. It calls no library and needs no tables. Thread-safe.
ir::program::Program legalize(const ir::program::Program& program);

}  // namespace lathe::compiler::passes
