// attention_page_bounds: the least and the greatest of each dimension among the keys of a page, by
// which attention_page_scores judges the page.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "ir/graph/builder.h"

namespace lathe::compiler::kernels {
namespace {

using ir::Target;
using ir::Type;
using ir::graph::Var;
using ir::plan::Expr;
using ir::program::BufferAccess;
using ir::program::Pointer;
using ir::program::Scalar;
using ir::program::Span;
using ir::program::Vec;

struct PageBounds {
  explicit PageBounds(const Problem& p)
      : pages(p.bucket("pages")),
        kv_heads(p.integer("kv_heads")),
        dim(p.integer("dim")),
        page(p.integer("page")),
        type(p.type("type")),
        out(p.type("out")) {
    signature.push_back({"k", type, {"batch", "pages", page, kv_heads, dim}});
    signature.push_back(output({"bounds", out, {"batch", "pages", kv_heads, 2 * dim}}));
  }
  Bucket pages;
  int64_t kv_heads, dim, page;
  Type type, out;
  Signature signature;
};

Result<ir::graph::Graph> reference_of_page_bounds(const Problem& p) {
  const PageBounds bounds(p);
  ir::graph::GraphBuilder graph("attention_page_bounds");
  const Var k = add_graph_inputs(graph, bounds.signature).front();
  return graph.finish({cast_to(graph, graph.op("page_bounds", {k}), bounds.out)});
}

SearchSpace space_of_page_bounds(const Problem& p, const Target&) {
  const PageBounds bounds(p);
  SearchSpace space;
  space.knob("vectors", {1, 2, 4}, 4, "vectors of a key that are visited at once");
  space.knob("split", bounds.pages.high > 8 ? std::vector<int64_t>{8, 64} : std::vector<int64_t>{8},
             8, "pages of a task");
  return space;
}

// Some pages of one head.
ir::program::Program bounds_program(const PageBounds& bounds, int64_t vectors,
                                    const Target& target) {
  ir::program::Builder b("attention_page_bounds", target);
  const Pointer k = b.buffer("k", bounds.type, BufferAccess::read);
  const Pointer to = b.buffer("bounds", bounds.out, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar page_stride = b.parameter("k.stride1"), key_stride = b.parameter("k.stride2");
  const Scalar bound_stride = b.parameter("bounds.stride1");
  const int64_t lanes = b.lanes();
  b.loop(0, rows, 1, [&](Scalar) {
    for (int64_t first = 0; first < bounds.dim; first += vectors * lanes) {
      std::vector<Span> spans;
      for (int64_t at = first; at < std::min(bounds.dim, first + vectors * lanes); at += lanes) {
        const int64_t count = std::min(lanes, bounds.dim - at);
        spans.push_back({at, {}, count, count == lanes});
      }
      const Pointer key = b.copy(k);
      std::vector<Vec> least, greatest;
      for (const Span& at : spans) {
        const Vec value = b.load(key, at);
        least.push_back(b.copy(value));
        greatest.push_back(b.copy(value));
      }
      b.loop(1, bounds.page, 1, [&](Scalar) {
        b.advance(key, key_stride);
        for (size_t i = 0; i < spans.size(); ++i) {
          const Vec value = b.load(key, spans[i]);
          b.set(least[i], b.min(value, least[i]));
          b.set(greatest[i], b.max(value, greatest[i]));
        }
      });
      for (size_t i = 0; i < spans.size(); ++i) {
        Span behind = spans[i];
        behind.offset += bounds.dim;
        b.store(to, spans[i], least[i]);
        b.store(to, behind, greatest[i]);
      }
    }
    b.advance(k, page_stride);
    b.advance(to, bound_stride);
  });
  return b.finish();
}

Result<ir::plan::Plan> build_page_bounds(const Problem& p, const Schedule& s,
                                         const Target& target) {
  LATHE_CHECK(space_of_page_bounds(p, target).check(s));
  const PageBounds bounds(p);
  ir::plan::Plan plan;
  plan.name = "attention_page_bounds";
  const auto input = [&](const std::string& name) { return Expr::variable(plan.input(name)); };
  const auto stride = [&](const Port& port, int k) {
    return input(fmt::format("{}.stride{}", port.name, k));
  };
  const Expr all_batches = input("batch"), all_pages = input("pages");
  for (const Port& port : bounds.signature)
    for (size_t k = 0; k + 1 < port.shape.size(); ++k) stride(port, static_cast<int>(k));
  plan.input("threads");
  for (const Port& port : bounds.signature)
    plan.add_operand(
        {port.name, port.type, port.output ? BufferAccess::write : BufferAccess::read});
  const int program = plan.add_program(bounds_program(bounds, s["vectors"], target));

  const int batch = plan.loop_variable("batch_index"), first = plan.loop_variable("first_page");
  const int head = plan.loop_variable("kv_head");
  ir::plan::Loop batches{batch, 0, all_batches, 1, /*parallel=*/true};
  ir::plan::Loop parts{first, 0, all_pages, Expr(s["split"]), /*parallel=*/true};
  ir::plan::Loop heads{head, 0, Expr(bounds.kv_heads)};
  ir::plan::Bindings names;
  names.set("rows", min(Expr(s["split"]), all_pages - Expr::variable(first)));
  for (const Port& port : bounds.signature) {
    // A head is the last dimension but one.
    const int of_head = static_cast<int>(port.shape.size()) - 2;
    names.at(port.name, plan.operand(port.name) + (Expr::variable(batch) * stride(port, 0) +
                                                   Expr::variable(first) * stride(port, 1) +
                                                   Expr::variable(head) * stride(port, of_head)));
    for (int k = 1; k < of_head; ++k)
      names.set(fmt::format("{}.stride{}", port.name, k), stride(port, k));
  }
  names.set("bounds.stride1", stride(bounds.signature.back(), 1));
  append(heads.body, bind(plan, program, names));
  append(parts.body, std::move(heads));
  append(batches.body, std::move(parts));
  append(plan.body, std::move(batches));
  return plan;
}

Work work_of_page_bounds(const Problem& p, const Sizes& sizes) {
  const PageBounds bounds(p);
  Work work = work_of(bounds.signature, sizes, 0);
  // Two comparisons of each number.
  work.flops = 2 * work.bytes_read / ir::size_of(bounds.type);
  return work;
}

}  // namespace

const Family& attention_page_bounds() {
  static const Family family = [] {
    ParameterSpec pages{"pages", Bucket{}, "bucket of the number of pages, a run-time size"};
    pages.required = true;
    ParameterSpec dim = integer_parameter("dim", 1, 1, 1 << 14, "size of a head of k");
    dim.required = true;
    Family bounds;
    bounds.name = "attention_page_bounds";
    bounds.summary = "the least and the greatest of each dimension among the keys of a page";
    bounds.example = "attention_page_bounds pages=512..2047 kv_heads=8 dim=128 out=bf16";
    bounds.parameters = {
        std::move(pages), integer_parameter("kv_heads", 1, 1, 1 << 16, "heads of k"),
        std::move(dim),   integer_parameter("page", 16, 1, 1024, "keys of a page"),
        type_parameter(), out_parameter()};
    bounds.limits = float_limits({0, 0});
    bounds.form = CallForm::operands;
    bounds.graph_ops = {"page_bounds"};
    bounds.smallest = "attention_page_bounds pages=1 dim=8 page=2";
    bounds.signature = [](const Problem& p) { return PageBounds(p).signature; };
    bounds.reference = reference_of_page_bounds;
    bounds.space = space_of_page_bounds;
    bounds.build = build_page_bounds;
    bounds.work = work_of_page_bounds;
    return bounds;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
