// A fragment as kernel instructions.
#include "compiler/fragment.h"

namespace lathe::compiler {
namespace {

using Op = Fragment::Op;
using ir::program::Builder;
using ir::program::Compare;
using ir::program::Vec;

// fmin and fmax give their second operand where either is NaN, so x comes second wherever it is the
// one that may be NaN; where either may be, the first's NaN is put back.
Vec extreme(Builder& b, bool largest, Vec x, Vec y) {
  const Vec value = largest ? b.max(x, y) : b.min(x, y);
  return b.select(b.is_nan(x), x, value);
}

Compare comparison(Op op) {
  switch (op) {
    case Op::lt: return Compare::lt;
    case Op::le: return Compare::le;
    case Op::gt: return Compare::gt;
    case Op::ge: return Compare::ge;
    case Op::eq: return Compare::eq;
    default: return Compare::ne;
  }
}

}  // namespace

Vec FragmentCode::evaluate(const Fragment::Node& node, const Leaf& leaf) {
  const auto argument = [&](size_t i) { return values_[static_cast<size_t>(node.arguments[i])]; };
  const auto is_number = [&](size_t i) {
    return fragment_.nodes()[static_cast<size_t>(node.arguments[i])].op == Op::number;
  };
  switch (node.op) {
    case Op::input: return leaf(fragment_.inputs()[static_cast<size_t>(node.input)]);
    case Op::number: return b_.constant(node.number);
    case Op::add: return argument(0) + argument(1);
    case Op::sub: return argument(0) - argument(1);
    case Op::mul: return argument(0) * argument(1);
    case Op::div: return math::divide(b_, argument(0), argument(1), options_);
    case Op::neg: return b_.bit_xor(argument(0), b_.constant_bits(0x80000000U));
    case Op::abs: return b_.bit_and(argument(0), b_.constant_bits(0x7fffffffU));
    case Op::min:
    case Op::max: {
      const bool largest = node.op == Op::max;
      if (is_number(0))
        return largest ? b_.max(argument(0), argument(1)) : b_.min(argument(0), argument(1));
      if (is_number(1))
        return largest ? b_.max(argument(1), argument(0)) : b_.min(argument(1), argument(0));
      return extreme(b_, largest, argument(0), argument(1));
    }
    case Op::fma: return b_.fma(argument(0), argument(1), argument(2));
    case Op::exp: return math::exp(b_, argument(0));
    case Op::tanh: return math::tanh(b_, argument(0), options_);
    case Op::erf: return math::erf(b_, argument(0));
    case Op::sqrt: return b_.sqrt(argument(0));
    case Op::rsqrt: return math::rsqrt(b_, argument(0), options_);
    case Op::recip: return math::reciprocal(b_, argument(0), options_);
    case Op::sigmoid: return math::sigmoid(b_, argument(0), options_);
    case Op::silu: return math::silu(b_, argument(0), options_);
    case Op::relu: return math::relu(b_, argument(0));
    case Op::gelu_tanh: return math::gelu_tanh(b_, argument(0), options_);
    case Op::gelu_erf: return math::gelu_erf(b_, argument(0), options_);
    case Op::round_bf16: return b_.round_bf16(argument(0));
    case Op::round_f16: return b_.round_f16(argument(0));
    case Op::where: {
      const auto& condition = fragment_.nodes()[static_cast<size_t>(node.arguments[0])];
      const auto side = [&](size_t i) {
        return values_[static_cast<size_t>(condition.arguments[i])];
      };
      return b_.select(b_.compare(comparison(condition.op), side(0), side(1)), argument(1),
                       argument(2));
    }
    default: return {};  // a comparison: evaluated by its where
  }
}

void FragmentCode::run(const Leaf& leaf, bool per_element) {
  const auto& nodes = fragment_.nodes();
  values_.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].per_element == per_element) values_[i] = evaluate(nodes[i], leaf);
  }
}

void FragmentCode::begin_row(const Leaf& leaf) { run(leaf, false); }

Vec FragmentCode::at(const Leaf& leaf) {
  run(leaf, true);
  return values_.back();
}

}  // namespace lathe::compiler
