// Fusion of matrix products with what follows them, and of two products of one x.
#include <algorithm>
#include <optional>

#include "compiler/choose_layout.h"
#include "compiler/lowering/fuse_rules.h"
#include "compiler/lowering/passes.h"
#include "compiler/lowering/select.h"

namespace lathe::compiler::lowering {
namespace {

bool has_leaf(const Chain& chain, std::string_view wrapper, ValueId but) {
  const auto leaves = chain.values();
  return std::any_of(leaves.begin(), leaves.end(),
                     [&](const auto& leaf) { return leaf.first != but && leaf.second == wrapper; });
}

// An epilogue reads matrices of x's type (f32 beside q8_0) and f32 vectors, and works on the f32
// sums.
bool types_meet(const Call& product, const Call& consumer, const Chain& chain, ValueId value) {
  if (out_type(product) != in_type(consumer)) return false;
  if (has_leaf(chain, "", value) && matrix_type(product) != in_type(consumer)) return false;
  return !has_leaf(chain, "vec", value) ||
         value_or(consumer, "weight_type", in_type(consumer)) == "f32";
}

bool all_before(const LoweredGraph& lowered, const std::vector<ValueId>& values, int index) {
  return std::all_of(values.begin(), values.end(),
                     [&](ValueId value) { return lowered.producer(value) < index; });
}

std::vector<ValueId> without(std::vector<ValueId> values, ValueId value) {
  values.erase(std::remove(values.begin(), values.end(), value), values.end());
  return values;
}

// The product that alone computes `value` for `consumer`, or -1.
int only_product(const LoweredGraph& lowered, const Call& consumer, ValueId value) {
  const int p = lowered.producer(value);
  if (p < 0 || !is_full_reader(consumer.prologue, value) || lowered.uses(value) != 1) return -1;
  const Call& product = lowered.calls[static_cast<size_t>(p)];
  return product.is_product() && same_rows(product, consumer) ? p : -1;
}

// What packs the weight of a product.
int packing_of(const LoweredGraph& lowered, const Call& product) {
  return lowered.producer(product.inputs[1]);
}

// The first product takes the second one's weight, too, and becomes what `chain` makes of both.
struct Pair {
  int consumer, first, second;
  ValueId y, z;
};
std::optional<Pair> find_pair(const LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    const Call& consumer = lowered.calls[i];
    if (!consumer.is(CallForm::chain)) continue;
    std::vector<std::pair<int, ValueId>> products;
    for (const auto& [value, wrapper] : consumer.prologue.values()) {
      const int p = only_product(lowered, consumer, value);
      if (p >= 0) products.emplace_back(p, value);
    }
    if (products.size() != 2) continue;
    const Call& a = lowered.calls[static_cast<size_t>(products[0].first)];
    const Call& b = lowered.calls[static_cast<size_t>(products[1].first)];
    if (!a.is(CallForm::linear) || !b.is(CallForm::linear)) continue;
    if (a.values != b.values || a.inputs.front() != b.inputs.front() ||
        value_or(a, "pair", "false") == "true") {
      continue;
    }
    const Call& pack_a = lowered.calls[static_cast<size_t>(packing_of(lowered, a))];
    const Call& pack_b = lowered.calls[static_cast<size_t>(packing_of(lowered, b))];
    if (pack_a.transposed != pack_b.transposed || pack_a.layout.pair || pack_b.layout.pair)
      continue;
    const int last = std::max(products[0].first, products[1].first);
    // The pair stands where the later of the two stood: all that it reads must be there already.
    std::vector<ValueId> others = consumer.reads();
    for (const auto& [p, value] : products) others = without(std::move(others), value);
    Chain rest = consumer.prologue.substitute(products[0].second, Chain::self());
    rest = rest.substitute(products[1].second, Chain::self());
    if (!all_before(lowered, others, last) || !types_meet(a, consumer, rest, -1)) continue;
    return Pair{static_cast<int>(i), products[0].first, products[1].first, products[0].second,
                products[1].second};
  }
  return std::nullopt;
}

bool reads_product(const Chain& chain) {
  if (chain.is_leaf()) return !chain.number && chain.value < -1;
  return std::any_of(chain.arguments.begin(), chain.arguments.end(), reads_product);
}

// Sums and products begin with the kernel's own result: add(y,r) and add(r,y) are one problem.
Chain self_first(Chain chain) {
  for (Chain& argument : chain.arguments) argument = self_first(std::move(argument));
  const bool commutes = chain.op == "add" || chain.op == "mul";
  if (commutes && !reads_product(chain.arguments[0]) && reads_product(chain.arguments[1]))
    std::swap(chain.arguments[0], chain.arguments[1]);
  return chain;
}

// The epilogue of a single product, as that of the second of a pair.
Chain as_other(const Chain& chain) {
  Chain copy = chain;
  if (chain.is_leaf() && !chain.number && chain.value == Chain::kSelf) copy.value = Chain::kOther;
  for (Chain& argument : copy.arguments) argument = as_other(argument);
  return copy;
}

}  // namespace

void fuse_linear_pair(LoweredGraph& lowered) {
  while (const auto pair = find_pair(lowered)) {
    const Call& consumer = lowered.calls[static_cast<size_t>(pair->consumer)];
    const Call& first = lowered.calls[static_cast<size_t>(pair->first)];
    const Call& second = lowered.calls[static_cast<size_t>(pair->second)];
    const Call& pack_first = lowered.calls[static_cast<size_t>(packing_of(lowered, first))];
    const Call& pack_second = lowered.calls[static_cast<size_t>(packing_of(lowered, second))];

    Call pack = pack_first;
    const WeightLayout& half = pack_first.layout;
    pack.layout = lowered.layouts(half.type, half.n, half.k, true);
    pack.inputs = {pack_first.inputs.front(), pack_second.inputs.front()};
    Call product = first;
    product.epilogue = consumer.prologue.substitute(pair->y, first.epilogue)
                           .substitute(pair->z, as_other(second.epilogue));
    product.epilogue = self_first(std::move(product.epilogue));
    if (!fits(product.epilogue)) return;
    product.values["pair"] = "true";
    product.values["panel"] = std::to_string(pack.layout.panel);
    product.values["out"] = out_type(consumer);
    product.outputs = consumer.outputs;
    add_parts(lowered, pack);
    product.inputs = {first.inputs.front()};
    product.inputs.insert(product.inputs.end(), pack.outputs.begin(), pack.outputs.end());

    const int at = std::max(pair->first, pair->second);
    const ValueId old_first = first.inputs[1], old_second = second.inputs[1];
    lowered.calls[static_cast<size_t>(at)] = std::move(product);
    lowered.calls.erase(lowered.calls.begin() + pair->consumer);
    lowered.calls.insert(lowered.calls.begin() + at, std::move(pack));
    remove(lowered, std::min(pair->first, pair->second));
    for (const ValueId part : {old_first, old_second}) {
      const int packing = lowered.producer(part);  // none where both weights are one
      if (packing >= 0 && lowered.uses(part) == 0) remove(lowered, packing);
    }
  }
}

void fuse_linear_epilogue(LoweredGraph& lowered) {
  for (size_t i = 0; i < lowered.calls.size(); ++i) {
    if (!lowered.calls[i].is(CallForm::chain)) continue;
    const Call& consumer = lowered.calls[i];
    for (const auto& [value, wrapper] : consumer.prologue.values()) {
      const int p = only_product(lowered, consumer, value);
      if (p < 0 || !all_before(lowered, without(consumer.reads(), value), p)) continue;
      Call& product = lowered.calls[static_cast<size_t>(p)];
      Chain chain = consumer.prologue.substitute(value, product.epilogue);
      if (!types_meet(product, consumer, consumer.prologue, value) || !fits(chain)) continue;
      product.epilogue = self_first(std::move(chain));
      product.outputs = consumer.outputs;
      product.values["out"] = out_type(consumer);
      remove(lowered, static_cast<int>(i));
      --i;
      break;
    }
  }
}

}  // namespace lathe::compiler::lowering
