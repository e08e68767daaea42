// gelu, silu, relu and swiglu: the activations, each one fixed chain.
#include "compiler/kernels/elementwise.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"

namespace lathe::compiler::kernels {
namespace {

/// Which chain a problem of the family is.
using ChainOf = Fragment (*)(const Problem&);

Fragment chain(std::string_view text) { return *Fragment::parse(text); }

Fragment gelu_chain(const Problem& p) {
  return chain(p.text("approximate") == "tanh" ? "gelu_tanh(x)" : "gelu_erf(x)");
}
Fragment silu_chain(const Problem&) { return chain("silu(x)"); }
Fragment relu_chain(const Problem&) { return chain("relu(x)"); }
Fragment swiglu_chain(const Problem&) { return chain("mul(silu(gate),up)"); }

template <ChainOf chain_of>
Family activation(std::string name, std::string summary, Limit f32, FragmentCall fragment) {
  Family family;
  family.name = std::move(name);
  family.summary = std::move(summary);
  family.revision = 2;
  family.example = family.name + " rows=512..2047 width=6144";
  family.parameters = {rows_parameter(), width_parameter(), type_parameter(), out_parameter()};
  family.limits = float_limits(f32);
  family.fragments = {std::move(fragment)};
  family.smallest = family.name + " rows=1 width=8";
  family.variants = {""};
  family.validate = [](const Problem& p) { return validate_chain(p, chain_of(p)); };
  family.signature = [](const Problem& p) { return chain_signature(p, chain_of(p)); };
  family.reference = [](const Problem& p) { return chain_reference(p, chain_of(p)); };
  family.space = [](const Problem& p, const ir::Target& target) {
    return chain_space(p, chain_of(p), target);
  };
  family.build = [](const Problem& p, const Schedule& s, const ir::Target& target) {
    return build_chain(p, chain_of(p), s, target);
  };
  family.work = [](const Problem& p, const Sizes& sizes) {
    return chain_work(p, chain_of(p), sizes);
  };
  return family;
}

}  // namespace

const Family& gelu() {
  static const Family family = [] {
    Family gelu = activation<gelu_chain>("gelu",
                                         "y = x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), or "
                                         "with approximate=none x/2 * (1 + erf(x / sqrt 2))",
                                         {1e-6, 4e-6}, {"gelu_tanh(x)", "", {{"x", "x"}}});
    gelu.fragments.push_back({"gelu_erf(x)", "approximate=none", {{"x", "x"}}});
    gelu.variants.emplace_back("approximate=none");
    gelu.parameters.push_back(
        choice_parameter("approximate", {"tanh", "none"}, "which of the two"));
    return gelu;
  }();
  return family;
}

const Family& silu() {
  static const Family family = activation<silu_chain>("silu", "y = x / (1 + exp(-x))", {1e-6, 2e-6},
                                                      {"silu(x)", "", {{"x", "x"}}});
  return family;
}

const Family& relu() {
  static const Family family = [] {
    Family relu = activation<relu_chain>("relu", "y = max(x, 0); NaN stays NaN", {0, 0},
                                         {"relu(x)", "", {{"x", "x"}}});
    relu.smallest = "relu rows=1 width=11";  // short enough to have a tail
    return relu;
  }();
  return family;
}

const Family& swiglu() {
  static const Family family =
      activation<swiglu_chain>("swiglu", "y = gate / (1 + exp(-gate)) * up", {1e-6, 4e-6},
                               {"mul(silu(x),r)", "", {{"gate", "x"}, {"up", "r"}}});
  return family;
}

}  // namespace lathe::compiler::kernels
