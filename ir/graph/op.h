// What the op table says of each op: signature, attributes, shape inference, reference semantics.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/graph/array.h"
#include "ir/graph/attributes.h"
#include "ir/graph/dim.h"

namespace lathe::ir::graph {

/// The rows of the design's table of ops.
enum class Family { matmul, attention, norm, activation, position, elementwise, data };

std::string_view to_string(Family family);

/// Which element types an operand may have.
enum class TypeClass {
  real,       ///< f32, f16, bf16
  integer,    ///< any integer, not bool
  index,      ///< i32 or i64
  boolean,    ///< bool
  number,     ///< real or integer
  plain,      ///< anything but block-quantised
  quantised,  ///< q8_0, q4_0, q4_K
  weight,     ///< real or quantised
  any,        ///< every type
};

std::string_view to_string(TypeClass types);
bool contains(TypeClass types, Type type);

enum class Arity { required, optional, variadic };

struct OperandSpec {
  std::string_view name;
  TypeClass types = TypeClass::plain;
  Arity arity = Arity::required;  ///< a variadic operand is the last and takes one or more values
  std::string_view doc = {};      ///< shape and meaning, where the op's formula does not give them
};

struct AttributeSpec {
  std::string_view name;
  AttributeKind kind = AttributeKind::integer;
  std::optional<AttributeValue> default_value;  ///< none: must be given
  std::string_view doc;
  std::vector<std::string_view> choices = {};  ///< for words: the allowed ones
};

struct ResultSpec {
  std::string_view name;
  bool optional = false;  ///< results after the first may be left out, last first
  std::string_view doc = {};
};

/// What shape inference sees of a node. Operand types and attributes already fit the op's
/// signature.
struct InferContext {
  std::span<const TensorType* const> operands;  ///< null where omitted
  const Attributes& attributes;
  int results;

  bool has(size_t i) const { return i < operands.size() && operands[i] != nullptr; }
  const TensorType& operand(size_t i) const { return *operands[i]; }
};

/// What a reference function sees: shapes are numbers and agree with what was inferred.
struct EvalContext {
  std::span<const Array* const> operands;  ///< null where omitted
  const Attributes& attributes;
  std::span<const TensorType> results;

  bool has(size_t i) const { return i < operands.size() && operands[i] != nullptr; }
  const Array& operand(size_t i) const { return *operands[i]; }
  /// A zero-filled array of result i's type and shape.
  Array make_result(size_t i) const;
};

using InferFn = Result<std::vector<TensorType>> (*)(const InferContext&);
using EvalFn = Result<std::vector<Array>> (*)(const EvalContext&);

/// One row of the op table.
struct Op {
  std::string_view name;
  Family family = Family::elementwise;
  std::string_view doc;  ///< one line: the formula
  std::vector<OperandSpec> operands;
  std::vector<AttributeSpec> attributes;
  std::vector<ResultSpec> results;
  /// The operand that the first result is, but for some of its elements; -1: there is none. Whoever
  /// needs the operand no longer may have the op write into its memory.
  int updates = -1;
  InferFn infer = nullptr;  ///< errors say what is wrong with which operand, not where the node is
  EvalFn eval = nullptr;    ///< double precision; invalid_argument for data that is out of range
};

}  // namespace lathe::ir::graph
