// Operations as compact keys and as problems: the two faces of every struct in <lathe/ops.h>.
#pragma once

#include <lathe/ops.h>

#include "compiler/problem.h"
#include "runtime/fetch_table.h"

namespace lathe::runtime {

// For each operation: fetch_key() is injective over valid operations and costs a few nanoseconds;
// make_problem() is the problem that the operation stands for, or invalid_argument naming the
// field.

FetchKey fetch_key(const RmsNorm& op);
FetchKey fetch_key(const LayerNorm& op);
FetchKey fetch_key(const Normalize& op);
FetchKey fetch_key(const Softmax& op);
FetchKey fetch_key(const Gelu& op);
FetchKey fetch_key(const Silu& op);
FetchKey fetch_key(const Relu& op);
FetchKey fetch_key(const Swiglu& op);
FetchKey fetch_key(const Rope& op);
FetchKey fetch_key(const Embedding& op);
FetchKey fetch_key(const Quantize& op);
FetchKey fetch_key(const Linear& op);
FetchKey fetch_key(const BatchedMatmul& op);
FetchKey fetch_key(const Elementwise& op);
/// A problem line of any length, by a 128-bit hash.
FetchKey fetch_key(std::string_view problem_line);

Result<compiler::Problem> make_problem(const RmsNorm& op);
Result<compiler::Problem> make_problem(const LayerNorm& op);
Result<compiler::Problem> make_problem(const Normalize& op);
Result<compiler::Problem> make_problem(const Softmax& op);
Result<compiler::Problem> make_problem(const Gelu& op);
Result<compiler::Problem> make_problem(const Silu& op);
Result<compiler::Problem> make_problem(const Relu& op);
Result<compiler::Problem> make_problem(const Swiglu& op);
Result<compiler::Problem> make_problem(const Rope& op);
Result<compiler::Problem> make_problem(const Embedding& op);
Result<compiler::Problem> make_problem(const Quantize& op);
Result<compiler::Problem> make_problem(const Linear& op);
Result<compiler::Problem> make_problem(const BatchedMatmul& op);
Result<compiler::Problem> make_problem(const Elementwise& op);

}  // namespace lathe::runtime
