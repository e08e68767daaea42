// rope's parameters read and checked, and its reference graph.
#include <charconv>

#include "compiler/kernels/parameters.h"
#include "compiler/kernels/rope.h"

namespace lathe::compiler::kernels {
namespace {

// "24:20:20"; invalid_argument for anything else.
Result<std::array<int64_t, 3>> parse_section(std::string_view text) {
  std::array<int64_t, 3> section{};
  const char* at = text.data();
  const char* end = at + text.size();
  for (size_t i = 0; i < section.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, section[i]);
    const bool separated = i + 1 < section.size() ? next != end && *next == ':' : next == end;
    if (error != std::errc() || section[i] < 0 || section[i] > kMaxWidth || !separated) {
      return fail(ErrorCode::invalid_argument,
                  "section: found '{}', expected three numbers as in 24:20:20", text);
    }
    at = next + 1;
  }
  return section;
}

RopeKind kind_of(const Problem& p) {
  if (p.text("kind") == "mrope") return RopeKind::mrope;
  return p.text("kind") == "vision" ? RopeKind::vision : RopeKind::rope;
}

// [rows, …], of each item of a batch where the cache has one.
Port of_rows(std::string name, Type type, const Rope& rope, const ir::graph::Shape& rest) {
  Port port{std::move(name), type, rope.cache.leading()};
  port.shape.insert(port.shape.end(), rest.begin(), rest.end());
  return port;
}

Port table(std::string name, const Rope& rope) {
  if (rope.per_token) return of_rows(std::move(name), Type::f32, rope, {rope.pairs});
  const int64_t width = rope.kind == RopeKind::vision ? rope.pairs / 2 : rope.pairs;
  Port port{std::move(name), Type::f32, {"positions", width}};
  port.gathered = true;
  return port;
}

Port positions(const Rope& rope) {
  Port port = of_rows("positions", Type::i32, rope, {});
  if (rope.kind == RopeKind::mrope) port.shape.insert(port.shape.begin(), 3);
  if (rope.kind == RopeKind::vision) port.shape.emplace_back(2);
  port.index_limit = "positions";
  return port;
}

Status only(const Problem& p, std::string_view parameter, bool is_default, std::string_view kinds) {
  if (is_default) return {};
  return fail(ErrorCode::invalid_argument, "{}: kind={} has no such choice; it is for {}",
              parameter, p.text("kind"), kinds);
}

}  // namespace

Rope::Rope(const Problem& p)
    : kind(kind_of(p)),
      per_token(p.text("tables") == "per_token"),
      interleaved(p.flag("interleaved")),
      norm(p.flag("norm")),
      heads(p.integer("heads")),
      dim(p.integer("dim")),
      pairs((p.integer("rotary_dim") == 0 ? dim : p.integer("rotary_dim")) / 2),
      rows(p.bucket("rows")),
      cache(p) {
  if (kind == RopeKind::mrope) section = *parse_section(p.text("section"));
  signature.push_back(of_rows("x", p.type("type"), *this, {heads, dim}));
  signature.push_back(table("cos", *this));
  signature.push_back(table("sin", *this));
  if (!per_token) signature.push_back(positions(*this));
  if (norm) signature.push_back(row_vector("weight", p.type("weight_type"), dim));
  if (!cache.is_off()) signature.push_back(cache.slots_port());
  signature.push_back(cache.port());
}

int Rope::axis(int64_t pair) const {
  const auto remainder = static_cast<size_t>(pair % 3);
  return remainder != 0 && pair < 3 * section[remainder] ? static_cast<int>(remainder) : 0;
}

Status validate_rope(const Problem& p) {
  const RopeKind kind = kind_of(p);
  const int64_t dim = p.integer("dim");
  const int64_t rotary = p.integer("rotary_dim") == 0 ? dim : p.integer("rotary_dim");
  LATHE_CHECK(check_eps(p));
  LATHE_CHECK(check_slots(p));
  if (kind != RopeKind::rope) {
    LATHE_CHECK(only(p, "tables", p.text("tables") == "gathered", "kind=rope"));
    LATHE_CHECK(only(p, "interleaved", !p.flag("interleaved"), "kind=rope"));
    LATHE_CHECK(only(p, "rotary_dim", p.integer("rotary_dim") == 0, "kind=rope"));
  }
  if (rotary % 2 != 0 || rotary > dim) {
    return fail(ErrorCode::invalid_argument,
                "rotary_dim: found {}, expected an even number up to dim={}", rotary, dim);
  }
  if (kind == RopeKind::vision && dim % 4 != 0) {
    return fail(ErrorCode::invalid_argument,
                "dim: found {}, expected a multiple of 4 for kind=vision", dim);
  }
  if (kind != RopeKind::mrope) return {};
  LATHE_TRY(const auto section, parse_section(p.text("section")));
  if (section[0] + section[1] + section[2] == dim / 2) return {};
  return fail(ErrorCode::invalid_argument,
              "section: found {}, expected numbers whose sum is {}, half of dim", p.text("section"),
              dim / 2);
}

Result<ir::graph::Graph> rope_reference(const Problem& p) {
  const Rope rope(p);
  ir::graph::GraphBuilder graph("rope");
  const NamedInputs inputs(graph, rope.signature);
  ir::graph::Var x = inputs.wide("x");
  if (rope.norm) x = graph.op("rms_norm", {x, inputs.wide("weight")}, {{"eps", p.number("eps")}});
  std::vector<ir::graph::Var> operands = {x, inputs["cos"], inputs["sin"]};
  if (!rope.per_token) operands.push_back(inputs["positions"]);
  ir::graph::Var y;
  switch (rope.kind) {
    case RopeKind::rope:
      y = graph.op("rope", operands,
                   {{"interleaved", rope.interleaved}, {"rotary_dim", 2 * rope.pairs}});
      break;
    case RopeKind::mrope:
      y = graph.op("mrope", operands,
                   {{"section", std::vector<int64_t>(rope.section.begin(), rope.section.end())}});
      break;
    case RopeKind::vision: y = graph.op("vision_rope", operands); break;
  }
  y = cast_to(graph, y, p.type("out"));
  if (!rope.cache.is_off()) y = rope.cache.written(graph, inputs["y"], y, inputs["slots"]);
  return graph.finish({y});
}

}  // namespace lathe::compiler::kernels
