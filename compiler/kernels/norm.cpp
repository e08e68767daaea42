// Norms as problems: signature, reference, search space.
#include "compiler/kernels/norm.h"

#include <algorithm>

namespace lathe::compiler::kernels {
namespace {

// Registers that a pass needs besides a held row: the value, the statistics, a constant, the
// accumulators.
constexpr int kOtherRegisters = 6;

bool has_full_input(const Fragment& fragment, std::string_view except) {
  return std::any_of(fragment.inputs().begin(), fragment.inputs().end(),
                     [&](const FragmentInput& input) {
                       return input.kind == LeafKind::full && input.name != except;
                     });
}

bool flag_or_false(const Problem& p, std::string_view name) { return p.has(name) && p.flag(name); }

}  // namespace

Norm::Norm(const Problem& p)
    : name(p.family().name),
      width(p.integer("width")),
      rows(p.bucket("rows")),
      type(p.type("type")),
      out(p.type("out")),
      weight(flag_or_false(p, "weight")),
      bias(flag_or_false(p, "bias")),
      keep(p.flag("keep")),
      prologue(*Fragment::parse(p.text("prologue"))),
      epilogue(*Fragment::parse(p.text("epilogue"))) {
  const Type weights = p.type("weight_type");
  add_inputs(signature, prologue, type, weights, width);
  if (weight) signature.push_back(row_vector("weight", weights, width));
  if (bias) signature.push_back(row_vector("bias", weights, width));
  add_inputs(signature, epilogue, type, weights, width, "y");
  if (keep) {
    signature.push_back(output(matrix("h", type, width)));
    signature.back().reread = true;
  }
  signature.push_back(output(matrix("y", out, width)));
}

double Norm::fragment_flops() const {
  const double quantising = out == Type::q8_0 ? BlockQuantizer::kFlops : 0;
  return prologue.flops() + epilogue.flops() + (weight ? 1 : 0) + (bias ? 1 : 0) + quantising;
}

// h is written before the epilogue reads its inputs: it must not be the memory of one of those.
bool Norm::in_place() const { return !(keep && has_full_input(epilogue, "y")); }

std::vector<ParameterSpec> norm_parameters(bool with_weight, bool with_bias) {
  std::vector<ParameterSpec> parameters = {rows_parameter(), width_parameter(), type_parameter(),
                                           quantisable_out_parameter(), weight_type_parameter()};
  if (with_weight)
    parameters.push_back(
        flag_parameter("weight", true, "whether the result is multiplied by weight [width]"));
  if (with_bias)
    parameters.push_back(flag_parameter("bias", true, "whether bias [width] is added"));
  parameters.push_back(fragment_parameter("prologue", "x", "h, the value that is normalised"));
  parameters.push_back(
      flag_parameter("keep", false, "whether h, rounded to type, is an output too"));
  parameters.push_back(fragment_parameter("epilogue", "y", "what becomes of the result y"));
  return parameters;
}

Status validate_norm(const Problem& p) {
  const int64_t width = p.integer("width");
  const Fragment prologue = *Fragment::parse(p.text("prologue"));
  const Fragment epilogue = *Fragment::parse(p.text("epilogue"));
  LATHE_CHECK(check_inputs({}, prologue, width, "prologue", {"y", "h", "weight", "bias", "row"}));
  LATHE_CHECK(check_inputs({matrix("y", Type::f32, width)}, epilogue, width, "epilogue",
                           {"h", "weight", "bias", "row"}));
  Signature before;
  add_inputs(before, prologue, Type::f32, Type::f32, width);
  LATHE_CHECK(check_inputs(before, epilogue, width, "epilogue", {}));
  if (!has_full_input(prologue, {})) {
    return fail(ErrorCode::invalid_argument,
                "prologue: found '{}', expected at least one input of the full shape",
                prologue.text());
  }
  const auto& used = epilogue.inputs();
  if (std::none_of(used.begin(), used.end(),
                   [](const FragmentInput& input) { return input.name == "y"; })) {
    return fail(ErrorCode::invalid_argument, "epilogue: found '{}', expected an expression of y",
                epilogue.text());
  }
  LATHE_CHECK(check_out_blocks(p, "width"));
  return p.has("eps") ? check_eps(p) : Status{};
}

Signature norm_signature(const Problem& p) { return Norm(p).signature; }

Result<ir::graph::Graph> norm_reference(const Problem& p, const Formula& formula) {
  const Norm norm(p);
  ir::graph::GraphBuilder graph(norm.name);
  const NamedInputs inputs(graph, norm.signature);
  const auto inputs_of = [&](const Fragment& fragment, ir::graph::Var y) {
    std::vector<ir::graph::Var> vars;
    for (const FragmentInput& input : fragment.inputs())
      vars.push_back(input.name == "y" ? y : inputs[input.name]);
    return vars;
  };
  ir::graph::Var h = fragment_graph(graph, norm.prologue, inputs_of(norm.prologue, {}), Type::f32);
  if (norm.keep)
    h = graph.op("cast", {h}, {{"type", norm.type}});  // f32 too: the oracle's is wider
  std::vector<ir::graph::Var> operands = {cast_to(graph, h, Type::f32)};
  if (norm.weight) operands.push_back(inputs.wide("weight"));
  if (norm.bias) operands.push_back(inputs.wide("bias"));
  const ir::graph::Var y = fragment_graph(
      graph, norm.epilogue, inputs_of(norm.epilogue, formula(graph, operands)), norm.out);
  return graph.finish(norm.keep ? std::vector{h, y} : std::vector{y});
}

SearchSpace norm_space(const Norm& norm, const Target& target, int64_t accumulators,
                       bool buffered) {
  SearchSpace space;
  add_unroll(space, norm.width, target, 8);
  std::vector<int64_t> counts;
  for (const int64_t count : {1, 2, 4, 8}) {
    if (count == 1 || count <= space.knobs().front().values.back()) counts.push_back(count);
  }
  // Without hardware for f16 its conversions need registers too.
  const int64_t most = norm.is_light() ? accumulators : std::min<int64_t>(accumulators, 4);
  const int64_t usual = target.f16c ? most : 2;
  space.knob("accumulators", counts, std::min(usual, counts.back()),
             "running values of a reduction, so that it does not wait for itself");
  const int64_t vectors = vectors_in(norm.width, target);
  const bool fits = vectors + kOtherRegisters <= target.vector_registers;
  std::vector<std::string> holds = {"reread", "buffer"};
  if (fits) holds.push_back("registers");
  // Reading a plain f32 row again costs what reading the buffer would.
  const bool useless = norm.prologue.is_leaf() && norm.type == Type::f32 && !buffered;
  space.choice("hold", holds, buffered || !(useless || norm.keep) ? "buffer" : "reread",
               "where the row is between the passes: computed again, in a buffer, in registers");
  if (norm.rows.high > 1) {
    // Rows that come from memory are worth asking for; those in a cache come early enough.
    const bool from_memory = !buffered && surely_streams(norm.signature, norm.rows);
    space.choice("prefetch", {"off", "near", "far"}, from_memory ? "near" : "off",
                 "whether the last pass of a row asks for the next row, into all caches or all but "
                 "the first");
  }
  add_row_knobs(space, norm.signature, norm.rows, target);
  space.require([](const Schedule& s) { return s["accumulators"] <= s["unroll"]; },
                "an unrolled trip has one place for each accumulator");
  space.require(
      [useless](const Schedule& s) {
        return !useless || static_cast<Hold>(s["hold"]) != Hold::buffer;
      },
      "a plain f32 row is its own buffer");
  return space;
}

void limit_accumulators(SearchSpace& space, const Norm& norm, const Target& target,
                        const std::function<int64_t(const Schedule&)>& running,
                        int64_t temporaries) {
  const bool converts = (norm.type == Type::f16 || norm.out == Type::f16) && !target.f16c;
  const int64_t left = target.vector_registers - temporaries - (converts ? 2 : 0);
  space.require([=](const Schedule& s) { return s["accumulators"] * running(s) <= left; },
                "the running values and a pass's temporaries must fit the vector registers");
}

}  // namespace lathe::compiler::kernels
