// The first step of lowering: which kernel family computes each node.
#include <algorithm>
#include <map>

#include "compiler/lowering/passes.h"
#include "compiler/lowering/select.h"
#include "ir/graph/op.h"

namespace lathe::compiler::lowering {
namespace {

using ir::Type;
using ir::graph::Graph;
using ir::graph::Node;
using ir::graph::TensorType;

// Graph ops that are one function of the fragment language, argument for argument.
const std::map<std::string_view, std::string_view>& chain_functions() {
  static const std::map<std::string_view, std::string_view> functions = {
      {"add", "add"},         {"sub", "sub"},     {"mul", "mul"},          {"div", "div"},
      {"neg", "neg"},         {"abs", "abs"},     {"min", "min"},          {"max", "max"},
      {"fma", "fma"},         {"exp", "exp"},     {"tanh", "tanh"},        {"erf", "erf"},
      {"sqrt", "sqrt"},       {"rsqrt", "rsqrt"}, {"reciprocal", "recip"}, {"silu", "silu"},
      {"sigmoid", "sigmoid"}, {"relu", "relu"},
  };
  return functions;
}

bool is_real(Type type) { return type == Type::f32 || type == Type::f16 || type == Type::bf16; }

int64_t last(const TensorType& type) { return type.shape.empty() ? 1 : type.shape.back().number(); }

class Selector {
 public:
  Selector(const Graph& graph, const LayoutRule& layouts) {
    lowered_.graph = graph;
    lowered_.layouts = layouts;
  }

  Result<LoweredGraph> run() {
    mark_live();
    for (size_t i = 0; i < lowered_.graph.nodes.size(); ++i)
      if (live_[i]) select(static_cast<int32_t>(i));
    drop_unread();
    return std::move(lowered_);
  }

 private:
  const Graph& graph() const { return lowered_.graph; }
  const TensorType& type(ValueId value) const { return graph().type(value); }

  void mark_live() {
    live_.assign(graph().nodes.size(), false);
    std::vector<ValueId> wanted = graph().outputs;
    while (!wanted.empty()) {
      const ValueId value = wanted.back();
      wanted.pop_back();
      const int32_t node = value < 0 ? -1 : graph().value(value).producer;
      if (node < 0 || live_[static_cast<size_t>(node)]) continue;
      live_[static_cast<size_t>(node)] = true;
      const auto& operands = graph().nodes[static_cast<size_t>(node)].operands;
      wanted.insert(wanted.end(), operands.begin(), operands.end());
    }
  }

  void select(int32_t index) {
    const Node& node = graph().nodes[static_cast<size_t>(index)];
    Call call;
    call.node = index;
    call.outputs = node.results;
    std::string reason = "no kernel family computes this op";
    const std::string_view op = node.op->name;
    bool done = false;
    if (op == "reshape") {
      call.kind = CallKind::view;
      call.inputs = {node.operands.front()};
      done = true;
    } else if (chain_functions().count(op) != 0 || op == "gelu" || op == "swiglu" || op == "cast") {
      done = elementwise(node, call, reason);
    } else if (is_function(op)) {
      done = select_function(lowered_, node, call, reason);
    } else {
      done = kernel_of(node, call, reason);
    }
    if (!done) {
      call = Call{};
      call.node = index;
      call.outputs = node.results;
      call.inputs = node.operands;
      call.reason = std::move(reason);
    }
    lowered_.calls.push_back(std::move(call));
  }

  // By the first family that computes the node's op.
  bool kernel_of(const Node& node, Call& call, std::string& reason) {
    for (const Family* family : catalogue()) {
      if (!computes(*family, node.op->name)) continue;
      call.family = family;
      switch (family->form) {
        case CallForm::none:
        case CallForm::chain: break;
        case CallForm::rows: return norm(node, call, reason);
        case CallForm::rope: return rope(node, call, reason);
        case CallForm::embedding: return embedding(node, call, reason);
        case CallForm::quantize: return quantize(node, call, reason);
        case CallForm::linear:  // by one matrix for all rows
          if (type(node.operands[1]).shape.size() != 2) break;
          return select_linear(lowered_, node, call, reason);
        case CallForm::write_cache: return select_write_cache(lowered_, node, call, reason);
        case CallForm::batched_matmul: return select_batched_matmul(lowered_, node, call, reason);
        case CallForm::operands: return select_scores(lowered_, node, call, reason);
        case CallForm::low_rank:
        case CallForm::attention: {  // of several families the first that computes it
          Call attempt = call;
          const auto select_one =
              family->form == CallForm::low_rank ? select_low_rank : select_attention;
          if (!select_one(lowered_, node, attempt, reason)) break;
          call = std::move(attempt);
          return true;
        }
      }
    }
    return false;
  }

  void set_types(Call& call, Type in, Type out) const {
    call.values["type"] = ir::name(in);
    if (out != in) call.values["out"] = ir::name(out);
  }

  // How an operand lies against a result: full, one row for all (vec), one value a row (col),
  // number.
  std::optional<Chain> leaf_for(ValueId value, const TensorType& result) const {
    const TensorType& operand = type(value);
    const int32_t producer = graph().value(value).producer;
    if (producer >= 0) {
      const Node& node = graph().nodes[static_cast<size_t>(producer)];
      if (node.op->name == "constant" && is_real(operand.element))
        return Chain::constant(node.attributes.real("value"));
    }
    if (operand.shape == result.shape) return Chain::leaf(value);
    if (last(operand) == last(result) && elements(operand) == last(result) && last(result) > 1)
      return Chain::leaf(value, "vec");
    if (operand.shape.size() == result.shape.size() && last(operand) == 1 &&
        elements(operand) * last(result) == elements(result) && operand.element == Type::f32) {
      return Chain::leaf(value, "col");
    }
    return std::nullopt;
  }

  bool elementwise(const Node& node, Call& call, std::string& reason) {
    const TensorType& result = type(node.results.front());
    std::vector<Chain> leaves;
    std::optional<Type> full, vector;
    for (ValueId operand : node.operands) {
      if (!is_real(type(operand).element)) {
        reason = "integer arithmetic";
        return false;
      }
      const auto leaf = leaf_for(operand, result);
      if (!leaf) {
        reason = "the operands broadcast in a way that kernels do not";
        return false;
      }
      if (!leaf->number && leaf->wrapper != "col") {
        auto& seen = leaf->wrapper.empty() ? full : vector;
        if (seen && *seen != type(operand).element) {
          reason = "operands of different types";
          return false;
        }
        seen = type(operand).element;
      }
      leaves.push_back(*leaf);
    }
    if (!full || !is_real(result.element) || elements(result) == 0) {
      reason = "no operand of the result's shape, or not a float";
      return false;
    }
    const std::string_view op = node.op->name;
    Chain chain;
    if (op == "cast") {
      chain = leaves.front();
    } else if (op == "swiglu") {
      chain.op = "mul";
      Chain gate;
      gate.op = "silu";
      gate.arguments = {leaves[0]};
      chain.arguments = {gate, leaves[1]};
    } else {
      chain.op = op == "gelu"
                     ? (node.attributes.word("approximate") == "tanh" ? "gelu_tanh" : "gelu_erf")
                     : std::string(chain_functions().at(op));
      chain.arguments = std::move(leaves);
    }
    call.kind = CallKind::kernel;
    call.family = &family_of(CallForm::chain);
    call.prologue = std::move(chain);
    call.width = last(result);
    call.rows = elements(result) / std::max<int64_t>(call.width, 1);
    set_types(call, *full, result.element);
    if (vector && *vector != *full) call.values["weight_type"] = ir::name(*vector);
    return true;
  }

  bool norm(const Node& node, Call& call, std::string& reason) {
    const TensorType& x = type(node.operands.front());
    const auto has = [&](std::string_view name) { return call.family->parameter(name) != nullptr; };
    if (node.results.size() != 1) {
      reason = "the statistics are asked for, too";
      return false;
    }
    // Over the last dimension, or with a weight over the last ones together, which lie side by side
    // in memory.
    const int64_t rank = static_cast<int64_t>(x.shape.size());
    int64_t axis = node.attributes.integer("axis");
    if (axis < 0) axis += rank;
    if (rank == 0 || axis < 0 || axis >= rank || (!has("weight") && axis != rank - 1) ||
        elements(x) == 0) {
      reason = "not along the last dimension";
      return false;
    }
    call.width = 1;
    for (int64_t k = axis; k < rank; ++k) call.width *= x.shape[static_cast<size_t>(k)].number();
    call.rows = elements(x) / call.width;
    std::optional<Type> weights;
    size_t next = 1;
    for (const char* parameter : {"weight", "bias"}) {
      if (!has(parameter)) continue;
      const ValueId value = next < node.operands.size() ? node.operands[next] : -1;
      ++next;
      if (value < 0) {
        call.values[parameter] = "false";
        continue;
      }
      if (weights && *weights != type(value).element) {
        reason = "weight and bias of different types";
        return false;
      }
      if (elements(type(value)) != call.width) {
        reason = "the weight is broadcast";
        return false;
      }
      weights = type(value).element;
      call.inputs.push_back(value);
    }
    if (weights && *weights != x.element) call.values["weight_type"] = ir::name(*weights);
    if (const auto* eps = node.attributes.find("eps"))
      call.values["eps"] = fmt::format("{}", eps->real());
    call.kind = CallKind::kernel;
    call.prologue = Chain::leaf(node.operands.front());
    call.epilogue = Chain::self();
    set_types(call, x.element, type(node.results.front()).element);
    return true;
  }

  bool rope(const Node& node, Call& call, std::string& reason) {
    const std::string_view op = node.op->name;
    const TensorType& x = type(node.operands[0]);
    const bool per_token = op == "rope" && (node.operands.size() < 4 || node.operands[3] < 0);
    const bool tables_fit =
        type(node.operands[1]).element == Type::f32 && type(node.operands[2]).element == Type::f32;
    if (node.attributes.word("layout") != "tokens_heads" || !tables_fit || elements(x) == 0 ||
        (!per_token && type(node.operands[3]).element != Type::i32)) {
      reason = "needs [tokens, heads, size], f32 tables and i32 positions";
      return false;
    }
    const int64_t heads = x.shape[x.shape.size() - 2].number(), size = last(x);
    call.rows = elements(x) / (heads * size);  // the tokens of all sequences of a batch
    const TensorType& of_tokens = type(node.operands[per_token ? 1 : 3]);
    const int64_t for_each = per_token ? last(of_tokens) : op == "mrope" ? 3 : op == "rope" ? 1 : 2;
    if (elements(of_tokens) != call.rows * for_each) {
      reason = "the sequences of the batch share their positions";
      return false;
    }
    call.values["heads"] = std::to_string(heads);
    call.values["dim"] = std::to_string(size);
    if (op == "mrope") {
      const auto& section = node.attributes.integers("section");
      call.values["kind"] = "mrope";
      call.values["section"] = fmt::format("{}:{}:{}", section[0], section[1], section[2]);
    } else if (op == "vision_rope") {
      call.values["kind"] = "vision";
    } else {
      call.values["kind"] = "rope";
      if (node.attributes.flag("interleaved")) call.values["interleaved"] = "true";
      const int64_t rotary = node.attributes.integer("rotary_dim");
      if (rotary != 0 && rotary != size) call.values["rotary_dim"] = std::to_string(rotary);
      if (per_token) call.values["tables"] = "per_token";
    }
    call.kind = CallKind::kernel;
    for (ValueId operand : node.operands)
      if (operand >= 0) call.inputs.push_back(operand);
    set_types(call, x.element, type(node.results.front()).element);
    return true;
  }

  bool embedding(const Node& node, Call& call, std::string& reason) {
    const TensorType& table = type(node.operands[0]);
    if (!is_real(table.element) || table.shape.size() != 2 ||
        type(node.operands[1]).element != Type::i32 || elements(table) == 0 ||
        elements(type(node.operands[1])) == 0) {
      reason = "needs a float table and i32 ids";
      return false;
    }
    call.kind = CallKind::kernel;
    call.inputs = node.operands;
    call.width = last(table);
    call.rows = elements(type(node.operands[1]));
    set_types(call, table.element, type(node.results.front()).element);
    return true;
  }

  bool quantize(const Node& node, Call& call, std::string& reason) {
    const TensorType& x = type(node.operands[0]);
    if (type(node.results.front()).element != Type::q8_0 || elements(x) == 0) {
      reason = "kernels quantise to q8_0";
      return false;
    }
    call.kind = CallKind::kernel;
    call.inputs = node.operands;
    call.width = last(x);
    call.rows = elements(x) / call.width;
    call.values["type"] = ir::name(x.element);
    return true;
  }

  // What nobody reads needs no call: constants that every reader has taken in as a number,
  // transposes that every reader has taken in as the other way to read, and what makes the blocks,
  // pages, lists and factors that every reader takes as they are.
  void drop_unread() {
    std::vector<int> readers(graph().values.size(), 0);
    const auto add = [&](ValueId value, int count) {
      readers[static_cast<size_t>(value)] += count;
    };
    for (const ValueId output : graph().outputs) add(output, 1);
    for (const Call& call : lowered_.calls)
      for (const ValueId value : call.reads()) add(value, 1);
    std::vector<Call> kept;
    for (size_t i = lowered_.calls.size(); i-- > 0;) {
      Call& call = lowered_.calls[i];
      const bool is_read =
          std::any_of(call.outputs.begin(), call.outputs.end(),
                      [&](ValueId value) { return readers[static_cast<size_t>(value)] > 0; });
      if (is_read) {
        kept.push_back(std::move(call));
      } else {
        for (const ValueId value : call.reads()) add(value, -1);
      }
    }
    std::reverse(kept.begin(), kept.end());
    lowered_.calls = std::move(kept);
  }

  LoweredGraph lowered_;
  std::vector<bool> live_;
};

}  // namespace

const Family& family_of(CallForm form) {
  const auto& families = catalogue();
  return **std::find_if(families.begin(), families.end(),
                        [&](const Family* family) { return family->form == form; });
}

bool computes(const Family& family, std::string_view op) {
  return std::find(family.graph_ops.begin(), family.graph_ops.end(), op) != family.graph_ops.end();
}

Result<LoweredGraph> select_kernels(const Graph& graph, const LayoutRule& layouts) {
  return Selector(graph, layouts).run();
}

}  // namespace lathe::compiler::lowering
