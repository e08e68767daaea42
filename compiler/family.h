// What a kernel family declares: its problems, their meaning, their schedules, and how to build
// them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/limits.h"
#include "compiler/problem.h"
#include "compiler/schedule.h"
#include "compiler/search_space.h"
#include "compiler/shared_operand.h"
#include "compiler/signature.h"
#include "ir/graph/graph.h"
#include "ir/plan/plan.h"
#include "ir/target.h"

namespace lathe::compiler {

/// Useful work: flops as the reference formula counts them (one for each add, multiply, compare,
/// divide or transcendental) and compulsory bytes (every input read once, every output written
/// once).
struct Work {
  double flops = 0;
  double bytes_read = 0;
  double bytes_written = 0;
};

/// A smaller problem whose kernels, by the same schedule, are cut into the same pieces.
struct Miniature {
  Problem problem;
  Sizes sizes;  ///< that reach every tail and block edge
};

/// A part of a problem's outputs that its reference can compute alone.
struct Sample {
  Problem problem;  ///< with fewer columns
  struct Take {
    int operand = 0;  ///< inputs, then outputs
    int axis = 0;
    std::vector<int64_t> indices;  ///< of the whole operand, in the sample's order
  };
  std::vector<Take> takes;
};

/// By which rule lowering makes a call of a graph's node, and what it may fuse into it. Between
/// `chain` and `batched_matmul` are the forms of one family each.
enum class CallForm : uint8_t {
  none,   ///< not of one node: see FragmentCall; without fragments of none
  rows,   ///< a function of each row of x, between a prologue and an epilogue; weight, bias and eps
          ///< where the family has parameters of these names
  chain,  ///< elementwise functions in one fragment
  rope,
  embedding,
  quantize,
  linear,
  batched_matmul,
  write_cache,
  attention,  ///< of several families: the first of the catalogue that computes the node
  low_rank,   ///< attention against products with rows of factors, tried as one of these
  operands,   ///< operands and results are the node's own, dense
};

/// A fragment of `elementwise` that a family of its own computes.
struct FragmentCall {
  std::string text;        ///< with the inputs x, r, s, … in order of appearance
  std::string parameters;  ///< of the family's problem
  /// The family's operands, each with the fragment's input that it is.
  std::vector<std::pair<std::string, std::string>> operands;
};

/// One kernel family: a row of the catalogue. All functions are pure and thread-safe.
///
/// A problem's reference graph declares the operands of its signature, in this order. So does a
/// plan, under the signature's names; plan inputs are the named dimensions (`rows`),
/// `<operand>.stride<k>` in bytes for every dimension but the last (which is contiguous), and
/// `threads`.
struct Family {
  std::string name;
  std::string summary;  ///< one line: the formula
  std::string example;  ///< a problem line that parses
  int revision = 1;  ///< raised whenever old schedules or timings no longer speak of the same code
  std::vector<ParameterSpec> parameters;
  /// How far each type of output may be from the oracle; a type without an entry has to be exact.
  Limits limits{};

  CallForm form = CallForm::none;
  std::vector<std::string> graph_ops{};  ///< of whose nodes `form` makes calls
  std::vector<FragmentCall> fragments{};

  /// A problem whose program is short enough to be read: tests keep its text.
  std::string smallest{};
  /// Parameters that between them reach every kind of code, beside rows, width and type (of which
  /// tests try several); empty for families without a width, whose tests make their own.
  std::vector<std::string> variants{};

  /// The operand whose layout is chosen once for all kernels that read it. Null: there is none.
  const SharedOperand* shared = nullptr;

  /// Null where there is none of that name.
  const ParameterSpec* parameter(std::string_view parameter_name) const;

  /// Rules between parameters, beyond each one's own.
  Status (*validate)(const Problem&) = nullptr;
  /// Its operands: inputs first, then outputs.
  Signature (*signature)(const Problem&) = nullptr;
  /// What it computes, as the oracle computes it.
  Result<ir::graph::Graph> (*reference)(const Problem&) = nullptr;
  SearchSpace (*space)(const Problem&, const ir::Target&) = nullptr;
  /// `rejected` where the schedule does not meet the space's constraints.
  Result<ir::plan::Plan> (*build)(const Problem&, const Schedule&, const ir::Target&) = nullptr;
  Work (*work)(const Problem&, const Sizes&) = nullptr;
  /// For problems with dimensions that follow from others: replaces the sizes of buckets that are
  /// no dimension of the signature (`context` of a paged cache) by those of its dimensions, and
  /// adds those that nobody gave. Null: there are none.
  Status (*derive_sizes)(const Problem&, Sizes& sizes) = nullptr;
  /// Sizes that follow from others, as the number of blocks that so many tokens make; calls with
  /// other ones are refused. Null: every size is the caller's.
  Sizes (*dependent_sizes)(const Problem&, const Sizes&) = nullptr;
  /// For problems that are too large to interpret: what is checked in full instead. Null: the
  /// problem itself, on few rows.
  Result<Miniature> (*miniature)(const Problem&, const Schedule&, const ir::Target&) = nullptr;
  /// For problems whose reference is dear: what is checked at true size. Null: whole rows.
  Result<Sample> (*sample)(const Problem&, const Sizes&) = nullptr;
};

/// Every family, in the order of docs/kernels.md. Built once; no static initialisers. Defined in
/// compiler/kernels/catalogue.cpp, so its users link compiler::kernels.
const std::vector<const Family*>& catalogue();

/// not_found naming the nearest known family.
Result<const Family*> find_family(std::string_view name);

/// The catalogue as Markdown: the table of docs/kernels.md.
std::string describe_catalogue();

}  // namespace lathe::compiler
