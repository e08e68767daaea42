// Type classes, families and the evaluation context of ops.
#include "ir/graph/op.h"

#include <cassert>

namespace lathe::ir::graph {

std::string_view to_string(Family family) {
  switch (family) {
    case Family::matmul: return "matmul";
    case Family::attention: return "attention";
    case Family::norm: return "norm";
    case Family::activation: return "activation";
    case Family::position: return "position";
    case Family::elementwise: return "elementwise";
    case Family::data: return "data";
  }
  return "unknown";
}

std::string_view to_string(TypeClass types) {
  switch (types) {
    case TypeClass::real: return "f32, f16 or bf16";
    case TypeClass::integer: return "an integer type";
    case TypeClass::index: return "i32 or i64";
    case TypeClass::boolean: return "bool";
    case TypeClass::number: return "a float or integer type";
    case TypeClass::plain: return "a type that is not block-quantised";
    case TypeClass::quantised: return "q8_0, q4_0 or q4_K";
    case TypeClass::weight: return "a float or block-quantised type";
    case TypeClass::any: return "any type";
  }
  return "unknown";
}

bool contains(TypeClass types, Type type) {
  const bool quantised = info(type).block_elements > 1;
  const bool real = info(type).is_float && !quantised;
  const bool integer = !info(type).is_float && type != Type::boolean;
  switch (types) {
    case TypeClass::real: return real;
    case TypeClass::integer: return integer;
    case TypeClass::index: return type == Type::i32 || type == Type::i64;
    case TypeClass::boolean: return type == Type::boolean;
    case TypeClass::number: return real || integer;
    case TypeClass::plain: return !quantised;
    case TypeClass::quantised: return quantised;
    case TypeClass::weight: return real || quantised;
    case TypeClass::any: return true;
  }
  return false;
}

Array EvalContext::make_result(size_t i) const {
  auto shape = numbers(results[i].shape);
  assert(shape && "evaluation needs shapes that are numbers");
  return Array::zeros(results[i].element, std::move(*shape));
}

}  // namespace lathe::ir::graph
