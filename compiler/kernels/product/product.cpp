// Products and blockings as values, and which arithmetic is a product's.
#include "compiler/kernels/product/product.h"

#include <algorithm>

#include "compiler/kernels/product/arithmetic.h"
#include "compiler/weight_packing.h"

namespace lathe::compiler::kernels::product {

void Product::add_epilogue_operands() {
  Signature inputs;
  add_inputs(inputs, epilogue, type == Type::q8_0 ? Type::f32 : type, Type::f32, n, "y");
  for (Port& port : inputs)
    if (!(pair && port.name == "z")) signature.push_back(std::move(port));
  signature.push_back(output(matrix("y", out, n)));
}

Elements Product::elements() const {
  if (weight == Type::i8) return Elements::channels;
  return ir::info(weight).block_elements > 1 ? Elements::blocks : Elements::floats;
}

bool Product::has_plain_epilogue() const {
  if (tile_out() != Type::f32 || pair) return false;
  const auto& inputs = epilogue.inputs();
  if (inputs.size() != 2 || inputs[1].kind != LeafKind::vector) return epilogue.is_leaf();
  return epilogue.text() == fmt::format("add(y,vec({}))", inputs[1].name);
}

int64_t Product::panels_in_blocks() const {
  const int64_t block = ir::info(out).block_elements;
  return block > panel_columns() ? block / panel_columns() : 1;
}

Product packed_product(std::string name, const Bucket& rows, int64_t n, int64_t k, int64_t panel,
                       int64_t kc) {
  Product product{.name = std::move(name), .rows = rows, .n = n, .k = k, .panel = panel};
  product.epilogue = *Fragment::parse("y");
  product.part_bytes = {kc * panel * 4};
  product.signature = {matrix("x", Type::f32, k), {"w", Type::f32, {product.panels(), kc, panel}}};
  product.add_epilogue_operands();
  return product;
}

Blocking blocking_of(const Product& product, const Schedule& s, const Target& target) {
  const auto arithmetic = arithmetic_of(product, target);
  const Elements elements = product.elements();
  const bool many = product.rows.low >= kManyRows;
  const auto number = [&](const char* knob, int64_t otherwise) {
    return s.has(knob) ? s[knob] : otherwise;
  };
  const auto small = [&](const char* knob, int64_t otherwise) {
    return static_cast<int>(number(knob, otherwise));
  };
  const int64_t trip = elements == Elements::blocks ? 32 : kInt8Unit;
  Blocking b;
  b.mr = small("mr", 1);
  b.nr = small("nr", 1);
  b.parts = static_cast<int>(product.panel / target.lanes / b.nr);
  b.streams = small("streams", 1);
  b.chains = small("chains", 1);
  b.unroll = small("unroll", elements == Elements::floats ? b.unroll : trip);
  b.mc = std::max<int64_t>(number("mc", INT32_MAX) / b.mr, 1) * b.mr;
  b.nc = (number("nc", 0) + product.panel - 1) / product.panel;
  b.kc = number("kc", 0) == 0 ? product.k : s["kc"];
  b.kc_inside = !s.has("mc");
  b.pack = number("pack", arithmetic->must_pack() || many ? 1 : 0) == 1;
  b.expand = number("expand", many && arithmetic->widens() ? 1 : 0) == 1;
  b.prefetch = number("prefetch", 0);
  b.next_panel = number("next", 0) == 1;
  b.prefetch_y = b.pack;
  const int panel_vectors = b.nr * b.parts;
  for (int mr = 1; mr < b.mr; ++mr) {
    int most = b.nr;
    for (int nr = b.nr + 1; nr <= panel_vectors; ++nr) {
      const TileShape wider{mr, nr, b.streams, b.chains, b.expand};
      if (panel_vectors % nr == 0 && arithmetic->fits(wider)) most = nr;
    }
    b.nr_of_fewer.push_back(most);
  }
  return b;
}

Blocking Blocking::of_rows(int count) const {
  Blocking fewer = *this;
  if (count - 1 < static_cast<int>(nr_of_fewer.size())) {
    fewer.nr = nr_of_fewer[static_cast<size_t>(count) - 1];
    fewer.parts = nr * parts / fewer.nr;
  }
  return fewer;
}

std::unique_ptr<const Arithmetic> arithmetic_of(const Product& product, const Target& target) {
  switch (product.elements()) {
    case Elements::blocks: return blocks(product, target);
    case Elements::channels: return channels(product, target);
    default: return floats(product, target);
  }
}

std::vector<Pointer> Arithmetic::side_by_side(Builder& b, Pointer first, size_t part,
                                              int streams) const {
  std::vector<Pointer> panels;
  for (int i = 0; i < streams; ++i)
    panels.push_back(b.offset(first, product_.part_bytes[part] * i));
  return panels;
}

Program pack_rows_program(const Product& product, const Blocking& blocking, const Target& target) {
  return arithmetic_of(product, target)->pack_rows(blocking);
}

}  // namespace lathe::compiler::kernels::product
