// Slots of caches: operands, addresses, the reference.
#include "compiler/kernels/slots.h"

#include <algorithm>

#include "compiler/kernels/parameters.h"
#include "compiler/sizes.h"

namespace lathe::compiler::kernels {
namespace {

constexpr int64_t kMostRowsOfAPage = int64_t{1} << 20;

Slots slots_of(const Problem& p) {
  const std::string& text = p.text("slots");
  if (text == "flat") return Slots::flat;
  if (text == "paged") return Slots::paged;
  return text == "batched" ? Slots::batched : Slots::off;
}

}  // namespace

SlotCache::SlotCache(const Problem& p)
    : slots(slots_of(p)),
      page(p.integer("page")),
      heads(p.integer("heads")),
      dim(p.integer("dim")),
      type(p.type("out")),
      slots_type(p.type("slots_type")) {}

ir::graph::Shape SlotCache::leading() const {
  if (slots == Slots::batched) return {"batch", "rows"};
  return {"rows"};
}

int SlotCache::heads_in_cache() const {
  return slots == Slots::off || slots == Slots::flat ? 1 : 2;
}

Port SlotCache::port() const {
  Port y{"y", type, {"rows", heads, dim}};
  y.output = true;
  if (is_off()) return y;
  y.updated_entry = 2;
  if (slots == Slots::flat) y.shape = {"capacity", heads, dim};
  if (slots == Slots::paged) y.shape = {"pages", page, heads, dim};
  if (slots == Slots::batched) y.shape = {"batch", "capacity", heads, dim};
  return y;
}

Port SlotCache::slots_port() const {
  Port port{"slots", slots_type, leading()};
  port.slots = true;
  port.index_limit = slots == Slots::paged ? "pages" : "capacity";
  port.index_factor = slots == Slots::paged ? page : 1;
  return port;
}

void SlotCache::at_entry(RowKernel& kernel, const std::function<void(Pointer)>& body) const {
  Builder& b = kernel.builder();
  const Scalar slot = b.load_integer(kernel.at("slots"));
  b.branch(ir::program::Compare::ge, slot, 0, [&] {
    Pointer y = kernel.at("y");
    if (slots == Slots::paged) {
      const Scalar number = b.div(slot, page);
      const Scalar first = b.mul(number, page);
      const Scalar within = b.sub(slot, first);
      y = b.offset(y, b.mul(number, kernel.stride("y", 0)));
      if (page > 1) y = b.offset(y, b.mul(within, kernel.stride("y", 1)));
    } else {
      y = b.offset(y, b.mul(slot, kernel.stride("y", slots == Slots::batched ? 1 : 0)));
    }
    body(y);
  });
}

ir::graph::Var SlotCache::written(ir::graph::GraphBuilder& graph, ir::graph::Var y,
                                  ir::graph::Var rows, ir::graph::Var slot) const {
  if (slots != Slots::paged) return graph.op("write_cache", {y, rows, slot});
  const auto reshaped = [&](ir::graph::Var x, ir::graph::Shape shape) {
    return graph.op("reshape", {x}, {{"shape", std::move(shape)}});
  };
  const ir::graph::Var flat = reshaped(y, {-1, heads, dim});
  return reshaped(graph.op("write_cache", {flat, rows, slot}), {-1, page, heads, dim});
}

ParameterSpec slots_parameter(bool may_be_off) {
  std::vector<std::string> choices = {"flat", "paged", "batched"};
  if (may_be_off) choices.insert(choices.begin(), "off");
  return choice_parameter("slots", std::move(choices),
                          "what the slots of rows name in the cache y: entries; entries of pages, "
                          "numbered page after page; entries of each item of a batch");
}

ParameterSpec page_parameter() {
  return integer_parameter("page", 0, 0, kMostRowsOfAPage, "slots=paged: tokens of a page");
}

ParameterSpec slots_type_parameter() {
  ParameterSpec spec{"slots_type", Type::i32, "element type of slots"};
  spec.choices = {"i32", "i64"};
  return spec;
}

Status check_slots(const Problem& p) {
  if (p.text("slots") == "off" && p.type("slots_type") != Type::i32) {
    return fail(ErrorCode::invalid_argument, "slots_type: found {}, but slots=off has none",
                ir::name(p.type("slots_type")));
  }
  const bool is_paged = p.text("slots") == "paged";
  if (is_paged != (p.integer("page") > 0)) {
    return fail(ErrorCode::invalid_argument, "page: found {}, expected {} with slots={}",
                p.integer("page"), is_paged ? "the tokens of a page" : "0", p.text("slots"));
  }
  return check_out_blocks(p, "dim");
}

Status derive_slot_sizes(const Problem& p, Sizes& sizes) {
  const Slots slots = slots_of(p);
  if (slots == Slots::off) return {};
  const auto rows = sizes.find("rows");
  const int64_t least = rows == sizes.end() ? representative(p.bucket("rows")) : rows->second;
  const int64_t room = std::max(least, kDefaultTableRows);
  if (slots == Slots::paged) {
    const int64_t page = p.integer("page");
    sizes.emplace("pages", (room + page - 1) / page);
  } else {
    sizes.emplace("capacity", room);
  }
  return {};
}

}  // namespace lathe::compiler::kernels
