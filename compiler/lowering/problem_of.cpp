// From a call to the canonical problem and its operands.
#include <algorithm>
#include <array>
#include <span>

#include "compiler/family.h"
#include "compiler/lowering/lowered_graph.h"
#include "ir/graph/updates.h"

namespace lathe::compiler::lowering {
namespace {

// Names for fragment inputs in order of appearance; none is a word of the fragment language or an
// operand that families name themselves.
constexpr std::array<std::string_view, 16> kNames = {"x", "r", "s", "t", "u", "v", "w", "a",
                                                     "b", "c", "d", "e", "f", "g", "i", "j"};
// For products, whose operands are x and the parts of w, or a and b: a bias is called b (with a
// variable b: c), a residual r.
constexpr std::array<std::string_view, 7> kVectors = {"b", "c", "e", "f", "g", "h", "k"};
constexpr std::array<std::string_view, 7> kMatrices = {"r", "s", "t", "u", "v", "a", "d"};
constexpr std::array<std::string_view, 6> kColumns = {"i", "j", "l", "n", "o", "p"};

class Namer {
 public:
  explicit Namer(const Call& call)
      : by_kind_(call.is_product()), two_sides_(call.is(CallForm::batched_matmul)) {}

  std::string name(const std::pair<ValueId, std::string>& leaf) {
    for (size_t i = 0; i < leaves_.size(); ++i)
      if (leaves_[i] == leaf) return names_[i];
    using Names = std::span<const std::string_view>;
    const Names all = !by_kind_              ? Names(kNames)
                      : leaf.second == "vec" ? Names(kVectors)
                      : leaf.second == "col" ? Names(kColumns)
                                             : Names(kMatrices);
    std::vector<std::string_view> list;
    for (const std::string_view name : all)
      if (!two_sides_ || (name != "a" && name != "b")) list.push_back(name);
    const auto same_kind =
        static_cast<size_t>(std::count_if(leaves_.begin(), leaves_.end(), [&](const auto& other) {
          return !by_kind_ || other.second == leaf.second;
        }));
    if (same_kind >= list.size()) complete_ = false;
    leaves_.push_back(leaf);
    names_.emplace_back(complete_ ? list[same_kind] : std::string_view("?"));
    return names_.back();
  }
  size_t count() const { return leaves_.size(); }
  bool complete() const { return complete_; }  ///< every leaf has a name
  ValueId value(std::string_view name) const {
    for (size_t i = 0; i < leaves_.size(); ++i)
      if (names_[i] == name) return leaves_[i].first;
    return -1;
  }

 private:
  bool by_kind_;
  bool two_sides_;  ///< the family has operands a and b
  bool complete_ = true;
  std::vector<std::pair<ValueId, std::string>> leaves_;
  std::vector<std::string> names_;
};

std::string text_of(const Chain& chain, Namer& names) {
  if (chain.number) return fmt::format("{}", *chain.number);
  if (chain.is_leaf()) {
    if (chain.value == Chain::kSelf) return "y";
    if (chain.value == Chain::kOther) return "z";
    const std::string name = names.name({chain.value, chain.wrapper});
    return chain.wrapper.empty() ? name : chain.wrapper + "(" + name + ")";
  }
  std::string text = chain.op + "(";
  for (size_t i = 0; i < chain.arguments.size(); ++i)
    text += (i == 0 ? "" : ",") + text_of(chain.arguments[i], names);
  return text + ")";
}

// The family that computes a chain by itself, and how.
struct OwnFamily {
  const Family* family = nullptr;
  const FragmentCall* call = nullptr;
};
OwnFamily own_family(std::string_view chain) {
  for (const Family* family : catalogue())
    for (const FragmentCall& call : family->fragments)
      if (call.text == chain) return {family, &call};
  return {};
}

}  // namespace

Result<BoundProblem> problem_of(const Call& call, const LoweredGraph& lowered) {
  std::string_view family = call.family->name;
  Namer names(call);
  const bool has_rows = call.has_rows();
  std::string line = has_rows ? fmt::format(" rows={}", call.rows / call.batch) : "";
  std::map<std::string, ValueId, std::less<>> operands;
  const auto add_width = [&] { line += fmt::format(" width={}", call.width); };
  OwnFamily own;
  if (call.is(CallForm::chain)) {
    const std::string expr = text_of(call.prologue, names);
    own = own_family(expr);
    if (own.call != nullptr) {
      family = own.family->name;
      if (!own.call->parameters.empty()) line += " " + own.call->parameters;
    } else {
      line += " expr=" + expr;
    }
    add_width();
  } else if (call.is_norm()) {
    line += " prologue=" + text_of(call.prologue, names);
    line += " epilogue=" + text_of(call.epilogue, names);
    add_width();
  } else if (call.is_product()) {
    line += " epilogue=" + text_of(call.epilogue, names);
  } else if (has_rows && !call.is(CallForm::rope) && !call.is(CallForm::write_cache)) {
    add_width();
  }
  if (!names.complete())
    return fail(ErrorCode::unsupported, "a fused chain reads {} tensors, more than have names",
                names.count());
  for (const auto& [key, value] : call.values) line += " " + key + "=" + value;

  BoundProblem bound;
  LATHE_TRY(bound.problem, parse_problem(std::string(family) + line));
  LATHE_TRY(const ir::graph::Graph reference, bound.problem.family().reference(bound.problem));
  bound.sizes = call.sizes;
  if (has_rows) bound.sizes["rows"] = call.rows / call.batch;
  if (call.is(CallForm::batched_matmul)) bound.sizes["batch"] = call.batch;
  bound.strides = call.strides;
  size_t next = 0;
  for (const ir::graph::CallOperand& operand : ir::graph::call_operands(reference)) {
    if (operand.output) continue;
    const ValueId id = operand.value;
    std::string_view name = reference.value(id).name;
    ValueId value = -1;
    if (own.call != nullptr) {
      for (const auto& [theirs, ours] : own.call->operands)
        if (theirs == name) name = ours;
    }
    value = names.value(name);
    if (value < 0) {
      if (next >= call.inputs.size()) {
        return fail(ErrorCode::internal, "{}: no operand for '{}'", bound.problem.line(), name);
      }
      value = call.inputs[next++];
    }
    bound.operands.push_back(value);
    // Sizes of the family's other named dimensions, from the value's own shape.
    const auto& shape = reference.type(id).shape;
    const auto& actual = lowered.graph.type(value).shape;
    for (size_t k = 0; k < shape.size() && shape.size() == actual.size(); ++k) {
      if (!shape[k].is_number() && bound.sizes.count(shape[k].symbol) == 0)
        bound.sizes[shape[k].symbol] = actual[k].number() / shape[k].factor;
    }
  }
  if (next != call.inputs.size() || reference.outputs.size() != call.outputs.size()) {
    return fail(ErrorCode::internal, "{}: {} operands and {} results do not fit the call",
                bound.problem.line(), call.inputs.size(), call.outputs.size());
  }
  for (ValueId value : call.outputs) bound.operands.push_back(value);
  return bound;
}

}  // namespace lathe::compiler::lowering
