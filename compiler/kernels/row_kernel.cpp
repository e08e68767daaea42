// Row kernels: programs that run over a block of rows, and the plan that cuts rows into blocks.
#include "compiler/kernels/row_kernel.h"

#include <algorithm>
#include <cassert>

namespace lathe::compiler::kernels {
namespace {

using ir::plan::Expr;
using ir::program::BufferAccess;
using ir::program::Compare;
using ir::program::Op;

// Outputs above this are larger than any cache near the core, so that writing them past it may pay.
constexpr int64_t kLeastStreamedBytes = int64_t{1} << 20;
// Above this it surely does.
constexpr int64_t kSurelyStreamedBytes = int64_t{32} << 20;

// Traffic of one row.
int64_t traffic_of(const Signature& signature) {
  int64_t bytes = 0;
  for (const Port& port : signature) {
    if (port.row_dimension() >= 0 || port.updated()) bytes += port.row_bytes();
  }
  return std::max<int64_t>(bytes, 1);
}

std::string stride_name(const std::string& operand, int k) {
  return fmt::format("{}.stride{}", operand, k);
}

const Port* streamable(const Signature& signature) {
  const auto found = std::find_if(signature.rbegin(), signature.rend(), [](const Port& port) {
    return port.output && !port.updated() && port.type == Type::f32;
  });
  return found == signature.rend() ? nullptr : &*found;
}

BufferAccess access_of(const Port& port) {
  if (!port.output) return BufferAccess::read;
  return port.reread ? BufferAccess::read_write : BufferAccess::write;
}

}  // namespace

RowKernel::RowKernel(std::string name, Signature signature, const Target& target)
    : name_(std::move(name)), signature_(std::move(signature)), b_(name_, target) {
  for (const Port& port : signature_) {
    slots_[port.name].pointer = b_.buffer(port.name, port.type, access_of(port));
  }
  rows_ = b_.parameter("rows");
  for (const Port& port : signature_) {
    for (int k = 0; k + 1 < static_cast<int>(port.shape.size()); ++k) {
      // A dimension of size 1 is never stepped over.
      if (port.shape[static_cast<size_t>(k)] == ir::graph::Dim(1)) continue;
      slots_[port.name].strides[k] = b_.parameter(stride_name(port.name, k));
    }
  }
}

Scalar RowKernel::stride(std::string_view operand, int k) const {
  return slots_.at(std::string(operand)).strides.at(k);
}

Pointer RowKernel::scratch(const std::string& name, Type type, int64_t elements) {
  scratch_.emplace_back(name, ir::bytes_of(type, elements));
  return b_.buffer(name, type, BufferAccess::read_write);
}

void RowKernel::rows_loop(const std::function<void()>& body, const std::function<void()>& before) {
  if (before) before();
  b_.loop(0, rows_, 1, [&](Scalar row) {
    row_ = row;
    body();
    for (const Port& port : signature_) {
      const int k = port.row_dimension();
      if (k < 0) continue;
      const Slot& slot = slots_.at(port.name);
      const bool contiguous = k + 1 == static_cast<int>(port.shape.size());
      b_.advance(slot.pointer, contiguous ? ir::program::Count(ir::size_of(port.type))
                                          : ir::program::Count(slot.strides.at(k)));
    }
  });
}

void RowKernel::for_rows(const std::function<void()>& body) { rows_loop(body); }

// 0 where every row of the operand starts at a multiple of a vector's bytes.
Scalar RowKernel::misalignment(std::string_view operand) {
  const int64_t bytes = b_.target().vector_bytes();
  Scalar sum = b_.misaligned(at(operand), bytes);
  for (const auto& [k, stride] : slots_.find(operand)->second.strides) {
    ir::program::Instr low_bits{.op = Op::sand};
    low_bits.src[0] = stride.reg;
    low_bits.scalar = {{}, bytes - 1};
    Scalar rest = stride;
    rest.reg = b_.emit(low_bits);
    sum = b_.add(sum, rest);
  }
  return sum;
}

Pointer RowKernel::next_row(std::string_view operand) {
  const Scalar last = b_.sub(rows_, 1);
  const Scalar left = b_.sub(last, row_);
  return b_.offset(at(operand), b_.mul(b_.min(left, 1), stride(operand, 0)));
}

void RowKernel::for_rows(const std::string& streamed, const std::function<void()>& body,
                         const std::function<void()>& before) {
  if (streamed.empty() || b_.lanes() == 1) return rows_loop(body, before);
  b_.branch(
      Compare::eq, misalignment(streamed), 0,
      [&] {
        streaming_ = streamed;
        rows_loop(body, before);
        streaming_.clear();
      },
      [&] { rows_loop(body, before); });
}

void RowKernel::store(std::string_view operand, const Span& at_place, Vec value) {
  if (is_streaming(operand)) {
    b_.store_stream(at(operand), at_place, value);
  } else {
    b_.store(at(operand), at_place, value);
  }
}

Vec RowKernel::load(const FragmentInput& input, const Span& at_place) {
  return input.kind == LeafKind::column ? b_.load_splat(at(input.name))
                                        : b_.load(at(input.name), at_place);
}

Vec RowKernel::masked(Vec value, const Span& at_place, float fill) {
  if (at_place.whole) return value;
  assert(at_place.count.operand.is_imm());
  const auto lanes = static_cast<uint32_t>(at_place.count.operand.imm);
  const Vec lane = b_.iota();
  const auto inside = b_.compare_int(Compare::lt, lane, b_.constant_bits(lanes));
  return b_.select(inside, value, b_.constant(fill));
}

Plan RowKernel::plan(int64_t grain_kib, bool in_place) {
  Plan plan;
  plan.name = name_;
  plan.in_place = in_place;
  const Expr rows = Expr::variable(plan.input("rows"));
  for (const Port& port : signature_) {
    for (const auto& dim : port.shape) {
      if (!dim.is_number()) plan.input(dim.symbol);
    }
  }
  for (const Port& port : signature_) {
    for (int k = 0; k + 1 < static_cast<int>(port.shape.size()); ++k)
      plan.input(stride_name(port.name, k));
  }
  const Expr threads = Expr::variable(plan.input("threads"));
  const bool has_batch = std::any_of(signature_.begin(), signature_.end(),
                                     [](const Port& port) { return port.dimension("batch") >= 0; });
  const int item = has_batch ? plan.loop_variable("item") : -1;
  const int row = plan.loop_variable("row");
  const int64_t least = std::max<int64_t>(grain_kib * 1024 / traffic_of(signature_), 1);
  // Several tasks a thread: a thread that comes late finds some of its own taken over.
  constexpr int64_t kTasks = 4;
  const Expr block = max(ceil_div(rows, threads * Expr(kTasks)), Expr(least));

  ir::plan::Bindings names;
  for (const Port& port : signature_) {
    ir::plan::Operand operand{port.name, port.type, access_of(port)};
    operand.updated = port.updated();
    if (!port.index_limit.empty()) {
      operand.elements = ir::plan::ElementRule{
          .below = Expr::variable(plan.input(port.index_limit)) * Expr(port.index_factor),
          .distinct = port.slots,
          .or_none = port.slots};
    }
    const ir::plan::Place place = plan.add_operand(std::move(operand));
    Expr offset = 0;
    for (int k = 0; k + 1 < static_cast<int>(port.shape.size()); ++k) {
      const std::string name = stride_name(port.name, k);
      names.set(name, Expr::variable(plan.input(name)));
    }
    if (const int k = port.row_dimension(); k >= 0) {
      const bool contiguous = k + 1 == static_cast<int>(port.shape.size());
      const Expr step = contiguous ? Expr(ir::size_of(port.type))
                                   : Expr::variable(plan.input(stride_name(port.name, k)));
      offset = Expr::variable(row) * step;
    }
    if (const int k = port.dimension("batch"); k >= 0)
      offset =
          Expr::variable(item) * Expr::variable(plan.input(stride_name(port.name, k))) + offset;
    names.at(port.name, place + offset);
  }
  for (const auto& [name, bytes] : scratch_) names.at(name, plan.add_scratch({name, bytes}));
  names.set("rows", min(block, rows - Expr::variable(row)));
  const int program = plan.add_program(b_.finish());
  ir::plan::Loop loop{row, 0, rows, block, /*parallel=*/true};
  append(loop.body, bind(plan, program, names));
  if (!has_batch) {
    append(plan.body, std::move(loop));
    return plan;
  }
  const Expr batch = Expr::variable(plan.input("batch"));
  ir::plan::Loop items{item, 0, batch, 1, /*parallel=*/true};
  append(items.body, std::move(loop));
  append(plan.body, std::move(items));
  return plan;
}

Accumulators::Accumulators(Builder& b, int count, float start) : b_(b) {
  for (int i = 0; i < count; ++i) values_.push_back(b.copy(b.constant(start)));
}

void Accumulators::reset(float start) {
  for (const Vec& value : values_) b_.set(value, b_.constant(start));
}

Vec Accumulators::combine(Op op) const {
  std::vector<Vec> values = values_;
  for (size_t n = values.size(); n > 1; n = (n + 1) / 2) {
    for (size_t i = 0; i < n / 2; ++i) {
      values[i] = b_.vector_op(op, {values[i], values[i + (n + 1) / 2]});
    }
  }
  return values.front();
}

Vec Accumulators::sum() const { return b_.reduce_add(combine(Op::fadd)); }
Vec Accumulators::largest() const { return b_.reduce_max(combine(Op::fmax)); }

void branch_any(Builder& b, ir::program::Mask mask, const std::function<void()>& then,
                const std::function<void()>& otherwise) {
  ir::program::Instr bits{.op = ir::program::Op::sbits};
  bits.src[0] = mask.reg;
  Scalar lanes;
  lanes.reg = b.emit(bits);
  lanes.builder = &b;
  b.branch(ir::program::Compare::ne, lanes, 0, then, otherwise);
}

void add_unroll(SearchSpace& space, int64_t width, const Target& target, int64_t default_value) {
  // More vectors a trip than the row has would be the same straight-line code.
  std::vector<int64_t> values;
  for (const int64_t unroll : {1, 2, 4, 8}) {
    if (unroll == 1 || unroll <= vectors_in(width, target)) values.push_back(unroll);
  }
  space.knob("unroll", values, std::min(default_value, values.back()),
             "vectors of a row in one trip of its loops");
}

void add_division(SearchSpace& space) {
  space.choice("division", {"exact", "newton"}, "exact",
               "quotients and roots by the divider, or by its estimate and a Newton step");
}

math::Options options_of(const Schedule& schedule) {
  const bool newton = schedule.has("division") && schedule["division"] == 1;
  return {newton ? math::Division::newton : math::Division::exact};
}

namespace {

int64_t streamable_bytes(const Signature& signature, const Bucket& rows) {
  const Port* out = streamable(signature);
  return out == nullptr ? 0 : representative(rows) * out->row_bytes();
}

}  // namespace

bool surely_streams(const Signature& signature, const Bucket& rows) {
  return streamable_bytes(signature, rows) >= kSurelyStreamedBytes;
}

void add_row_knobs(SearchSpace& space, const Signature& signature, const Bucket& rows,
                   const Target& target) {
  const int64_t bytes = streamable_bytes(signature, rows);
  if (bytes >= kLeastStreamedBytes && target.lanes > 1) {
    space.choice("stream", {"off", "on"}, surely_streams(signature, rows) ? "on" : "off",
                 "whether aligned f32 outputs are written past the caches");
  }
  if (rows.high > 1) {
    space.knob("grain", {8, 32, 128}, 32, "KiB of traffic that are worth a thread of their own");
  } else {
    space.knob("grain", {32}, 32,
               "KiB of traffic that are worth a thread of their own; one row is one task");
  }
}

std::string streamed_output(const Schedule& schedule, const Signature& signature) {
  if (!schedule.has("stream") || schedule["stream"] == 0) return {};
  return streamable(signature)->name;
}

}  // namespace lathe::compiler::kernels
