// Keys and values as the products read them: f32, in panels.
#include <algorithm>

#include "compiler/kernels/attention/attention.h"
#include "compiler/kernels/transpose.h"

namespace lathe::compiler::kernels::attention {
namespace {

using ir::program::BufferAccess;
using ir::program::Builder;
using ir::program::Pointer;
using ir::program::Program;
using ir::program::Scalar;
using ir::program::Span;

}  // namespace

Program pack_keys_program(const Attention& attention, const Blocking& blocking,
                          const ir::Target& target) {
  Builder b("attention_pack_keys", target);
  const Pointer k = b.buffer("k", attention.kv_type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar stride = b.parameter("k.stride1");
  const int64_t panel = blocking.scores.panel, lanes = b.lanes();
  const int64_t vectors = panel / lanes;
  // Where vector `i` of the block's keys begins.
  const auto place = [&](Scalar i) {
    const Scalar of_panel = b.div(i, vectors);
    const Scalar vector = b.sub(i, b.mul(of_panel, vectors));
    return b.offset(b.offset(packed, b.mul(of_panel, blocking.scores.part_bytes.front())),
                    b.mul(vector, lanes * 4));
  };
  const Scalar length = b.scalar(attention.dim);
  const Scalar whole = b.div(rows, lanes);
  b.loop(0, whole, 1, [&](Scalar i) {
    copy_transposed(b, k, stride, static_cast<int>(lanes), length, place(i), panel);
    b.advance(k, b.mul(stride, lanes));
  });
  // What is left of the last panel: zeros, then the keys that there are, one by one.
  const Scalar panels = b.div(b.add(rows, panel - 1), panel);
  b.loop(whole, b.mul(panels, vectors), 1, [&](Scalar i) {
    const Pointer to = place(i);
    b.loop(0, attention.dim, 1, [&](Scalar) {
      b.store(to, Span{}, b.constant(0));
      b.advance(to, panel * 4);
    });
  });
  const Pointer last = place(whole);
  b.loop(0, b.sub(rows, b.mul(whole, lanes)), 1, [&](Scalar) {
    const Pointer from = b.copy(k);
    const Pointer to = b.copy(last);
    b.loop(0, attention.dim, 1, [&](Scalar) {
      b.store(to, Span{0, {}, 1, lanes == 1}, b.load_splat(from));
      b.advance(from, ir::size_of(attention.kv_type));
      b.advance(to, panel * 4);
    });
    b.advance(k, stride);
    b.advance(last, 4);
  });
  return b.finish();
}

Program pack_values_program(const Attention& attention, const Blocking& blocking,
                            const ir::Target& target) {
  Builder b("attention_pack_values", target);
  const Pointer v = b.buffer("v", attention.kv_type, BufferAccess::read);
  const Pointer packed = b.buffer("packed", ir::Type::f32, BufferAccess::write);
  const Scalar rows = b.parameter("rows");
  const Scalar stride = b.parameter("v.stride1");
  const int64_t panel = blocking.values.panel, lanes = b.lanes();
  b.loop(0, rows, 1, [&](Scalar) {
    const Pointer to = b.copy(packed);
    for (int64_t column = 0; column < blocking.values.panels() * panel; column += lanes) {
      const int64_t count = std::clamp<int64_t>(attention.value_dim - column, 0, lanes);
      const auto value =
          count == 0 ? b.constant(0) : b.load(v, Span{column, {}, count, count == lanes});
      b.store(to, Span{column % panel}, value);
      if ((column + lanes) % panel == 0) b.advance(to, blocking.values.part_bytes.front());
    }
    b.advance(v, stride);
    b.advance(packed, panel * 4);
  });
  return b.finish();
}

}  // namespace lathe::compiler::kernels::attention
