// write_cache: y[slots[r],:,:] = x[r,:,:], the other entries of y as they were.
#include "compiler/kernels/block_quantizer.h"
#include "compiler/kernels/families.h"
#include "compiler/kernels/parameters.h"
#include "compiler/kernels/slots.h"

namespace lathe::compiler::kernels {
namespace {

struct WriteCache {
  explicit WriteCache(const Problem& p) : cache(p), type(p.type("type")) {
    Port x{"x", type, cache.leading()};
    x.shape.insert(x.shape.end(), {cache.heads, cache.dim});
    signature = {x, cache.slots_port(), cache.port()};
  }

  bool copies_blocks() const { return ir::info(type).block_elements > 1; }
  bool quantises() const { return !copies_blocks() && cache.type == Type::q8_0; }
  int64_t blocks() const { return cache.dim / BlockQuantizer::kBlock; }

  SlotCache cache;
  Type type;
  Signature signature;
};

Status validate(const Problem& p) {
  const Type type = p.type("type");
  const Type out = p.type("out");
  const auto in_blocks = [](Type of) { return ir::info(of).block_elements > 1; };
  const bool fits = in_blocks(type) ? out == type : !in_blocks(out) || out == Type::q8_0;
  if (!fits) {
    return fail(ErrorCode::invalid_argument, "out: found {}, expected {} with type={}",
                ir::name(out), in_blocks(type) ? ir::name(type) : "f32, f16, bf16 or q8_0",
                ir::name(type));
  }
  return check_slots(p);
}

Result<ir::graph::Graph> reference(const Problem& p) {
  const WriteCache write(p);
  ir::graph::GraphBuilder graph("write_cache");
  const NamedInputs inputs(graph, write.signature);
  const ir::graph::Var rows = cast_to(graph, inputs["x"], write.cache.type);
  return graph.finish({write.cache.written(graph, inputs["y"], rows, inputs["slots"])});
}

SearchSpace space(const Problem& p, const Target& target) {
  const WriteCache write(p);
  SearchSpace space;
  if (write.quantises()) {
    space.knob("blocks", {1, BlockQuantizer::kTogether},
               BlockQuantizer::together(target, write.blocks()),
               "blocks in one trip of the loop; they share the divisions for their scales");
  } else {
    add_unroll(space, write.cache.dim, target, 4);
  }
  add_row_knobs(space, write.signature, p.bucket("rows"), target);
  return space;
}

Result<Plan> build(const Problem& p, const Schedule& s, const Target& target) {
  LATHE_CHECK(space(p, target).check(s));
  const WriteCache write(p);
  RowKernel kernel("write_cache", write.signature, target);
  Builder& b = kernel.builder();
  BlockQuantizer quantizer(b);
  const auto head = [&](Pointer x, Pointer y) {
    if (write.quantises())
      return quantizer.write_row(x, y, write.blocks(), static_cast<int>(s["blocks"]));
    int64_t elements = write.cache.dim;
    if (write.copies_blocks()) {  // their bytes, an even number of them
      x.type = y.type = Type::i16;
      elements = ir::bytes_of(write.type, elements) / 2;
    }
    b.vectors(elements, static_cast<int>(s["unroll"]),
              [&](const Span& at, int) { b.store(y, at, b.load(x, at)); });
  };
  kernel.for_rows([&] {
    write.cache.at_entry(kernel, [&](Pointer entry) {
      const Pointer x = b.copy(kernel.at("x"));
      const Pointer y = b.copy(entry);
      if (write.cache.heads == 1) return head(x, y);
      b.loop(0, write.cache.heads, 1, [&](Scalar) {
        head(x, y);
        b.advance(x, kernel.stride("x", write.cache.heads_in_rows()));
        b.advance(y, kernel.stride("y", write.cache.heads_in_cache()));
      });
    });
  });
  return kernel.plan(s["grain"], /*in_place=*/false);
}

Work work(const Problem& p, const Sizes& sizes) {
  const WriteCache write(p);
  const double flops =
      write.quantises() ? BlockQuantizer::kFlops + 2.0 / BlockQuantizer::kBlock : 0;
  return work_of(write.signature, sizes,
                 flops * static_cast<double>(write.cache.heads * write.cache.dim));
}

ParameterSpec element_parameter(std::string name, std::string meaning) {
  ParameterSpec spec = float_type_parameter(std::move(name), std::move(meaning));
  spec.choices.insert(spec.choices.end(), {"q8_0", "q4_0", "q4_K"});
  return spec;
}

}  // namespace

const Family& write_cache() {
  static const Family family = [] {
    Family write;
    write.name = "write_cache";
    write.summary = "y[slots[r]] = x[r], what else is in the cache y stays";
    write.example = "write_cache rows=1 heads=8 dim=128 out=bf16";
    write.revision = 1;
    ParameterSpec heads =
        integer_parameter("heads", 1, 1, kMaxWidth, "heads of x [rows, heads, dim]");
    ParameterSpec dim = integer_parameter("dim", 1, 1, kMaxWidth, "elements of a head");
    heads.required = dim.required = true;
    ParameterSpec out = element_parameter("out", "element type of the cache");
    out.default_of = "type";
    write.parameters = {rows_parameter(),
                        heads,
                        dim,
                        slots_parameter(/*may_be_off=*/false),
                        page_parameter(),
                        slots_type_parameter(),
                        element_parameter("type", "element type of the rows; blocks are copied"),
                        out};
    write.limits = float_limits({0, 0});
    write.limits.push_back({Type::q8_0, {}});
    write.limits.push_back({Type::q4_0, {}});
    write.limits.push_back({Type::q4_K, {}});
    write.form = CallForm::write_cache;
    write.graph_ops = {"write_cache"};
    write.smallest = "write_cache rows=1 heads=2 dim=11";
    write.validate = validate;
    write.signature = [](const Problem& p) { return WriteCache(p).signature; };
    write.reference = reference;
    write.space = space;
    write.build = build;
    write.work = work;
    write.derive_sizes = derive_slot_sizes;
    return write;
  }();
  return family;
}

}  // namespace lathe::compiler::kernels
