// The passes of a norm over one row, in kernel instructions.
#include <algorithm>
#include <cassert>

#include "compiler/kernels/norm.h"

namespace lathe::compiler::kernels {
namespace {

constexpr int64_t kLineBytes = 64;

Vec rounded(Builder& b, Vec value, Type type) {
  switch (type) {
    case Type::f16: return b.round_f16(value);
    case Type::bf16: return b.round_bf16(value);
    default: return value;
  }
}

}  // namespace

NormRow::NormRow(RowKernel& kernel, const Norm& norm, const Schedule& s)
    : kernel_(kernel),
      b_(kernel.builder()),
      norm_(norm),
      unroll_(static_cast<int>(s["unroll"])),
      accumulators_(static_cast<int>(s["accumulators"])),
      hold_(static_cast<Hold>(s["hold"])),
      prefetch_(s.has("prefetch") ? static_cast<Prefetch>(s["prefetch"]) : Prefetch::off),
      prologue_(norm.prologue, b_, options_of(s)),
      epilogue_(norm.epilogue, b_, options_of(s)) {
  const int64_t vectors = vectors_in(norm.width, b_.target());
  if (hold_ == Hold::buffer) buffer_ = kernel.scratch("row", Type::f32, norm.width);
  if (hold_ == Hold::registers) unroll_ = static_cast<int>(vectors);
  if (norm.out != Type::q8_0) return;
  quantizer_.emplace(b_);
  // The last pass reads h at a place before it writes y there.
  result_ = hold_ == Hold::buffer ? buffer_ : kernel.scratch("result", Type::f32, norm.width);
}

void NormRow::begin() {
  const auto column = [&](const FragmentInput& input) { return kernel_.load(input, {}); };
  prologue_.begin_row(column);
  epilogue_.begin_row(column);
  registers_.clear();
  next_.clear();
  if (prefetch_ == Prefetch::off) return;
  for (const FragmentInput& input : norm_.prologue.inputs()) {
    if (input.kind == LeafKind::full)
      next_.push_back(b_.offset(kernel_.at(input.name), kernel_.stride(input.name, 0)));
  }
}

Vec NormRow::compute(const Span& at) {
  const Vec h = prologue_.at([&](const FragmentInput& input) { return kernel_.load(input, at); });
  return norm_.keep ? rounded(b_, h, norm_.type) : h;
}

Vec NormRow::held(const Span& at, int place) {
  switch (hold_) {
    case Hold::registers: return registers_[static_cast<size_t>(place)];
    case Hold::buffer: return b_.load(buffer_, at);
    default: return norm_.keep ? b_.load(kernel_.at("h"), at) : compute(at);
  }
}

void NormRow::hold(Vec value, const Span& at, int place) {
  if (hold_ == Hold::buffer) b_.store(buffer_, at, value);
  if (hold_ != Hold::registers) return;
  const auto i = static_cast<size_t>(place);
  if (registers_.size() <= i) registers_.resize(i + 1);
  registers_[i] = value;
}

void NormRow::visit_places(const std::function<void(const Span&, int)>& body) {
  b_.vectors(norm_.width, unroll_, body);
}

void NormRow::first_pass(float fill, const Visit& visit, bool held) {
  visit_places([&](const Span& at, int place) {
    const Vec h = compute(at);
    if (norm_.keep) kernel_.store("h", at, h);
    const bool is_masked = fill == 0 && norm_.prologue.is_leaf();  // a partial load leaves zeros
    const Vec value = is_masked ? h : kernel_.masked(h, at, fill);
    if (held) hold(value, at, place);
    visit(value, at, place);
  });
}

void NormRow::again(const Visit& visit) {
  visit_places([&](const Span& at, int place) { visit(held(at, place), at, place); });
}

void NormRow::where_large(Vec square, const std::function<void(Vec)>& body) {
  const auto is_large = b_.compare(ir::program::Compare::ge, square, b_.constant(kLargeSquare));
  branch_any(b_, is_large, [&] {
    Accumulators squares(b_, std::min(accumulators_, kRareAccumulators), 0);
    again([&](Vec h, const Span& at, int place) {
      const Vec small = masked(h * kShrink, at, 0);
      b_.set(squares.of(place), b_.fma(small, small, squares.of(place)));
    });
    body(squares.sum());
  });
}

void NormRow::replace(const Map& map) {
  assert(holds_row());
  visit_places(
      [&](const Span& at, int place) { hold(map(held(at, place), at, place), at, place); });
}

void NormRow::replace_from_input(const Map& map, float fill, const Visit& next) {
  assert(holds_row() && is_plain());
  Pointer next_row;
  const std::string& input = norm_.prologue.inputs().front().name;
  if (next) next_row = kernel_.next_row(input);
  visit_places([&](const Span& at, int place) {
    hold(map(compute(at), at, place), at, place);
    if (next) next(kernel_.masked(b_.load(next_row, at), at, fill), at, place);
  });
}

Span NormRow::first() const {
  const int64_t lanes = std::min<int64_t>(norm_.width, b_.lanes());
  return {0, {}, lanes, lanes == b_.lanes()};
}

void NormRow::last_pass(const Map& map) {
  visit_places([&](const Span& at, int place) {
    prefetch_next_row(at);
    const Vec y = map(held(at, place), at, place);
    const Vec result = epilogue_.at([&](const FragmentInput& input) {
      return input.name == "y" ? y : kernel_.load(input, at);
    });
    if (quantizer_) {
      b_.store(result_, at, result);
    } else {
      kernel_.store("y", at, result);
    }
  });
  if (!quantizer_) return;
  const int64_t blocks = norm_.width / BlockQuantizer::kBlock;
  quantizer_->write_row(result_, kernel_.at("y"), blocks,
                        BlockQuantizer::together(b_.target(), blocks));
}

Vec NormRow::weighted(Vec n, const Span& at) {
  Vec weight;
  Vec bias;
  if (norm_.weight) weight = b_.load(kernel_.at("weight"), at);
  if (norm_.bias) bias = b_.load(kernel_.at("bias"), at);
  if (norm_.weight && norm_.bias) return b_.fma(n, weight, bias);
  if (norm_.weight) return n * weight;
  return norm_.bias ? n + bias : n;
}

// Asks once for each cache line, at the places whose vectors start one.
void NormRow::prefetch_next_row(const Span& at) {
  const int64_t element = ir::size_of(norm_.type);
  if (prefetch_ == Prefetch::off || (at.offset * element) % kLineBytes != 0) return;
  for (const Pointer& next : next_) {
    ir::program::Instr prefetch{.op = ir::program::Op::prefetch};
    prefetch.imm = prefetch_ == Prefetch::near ? 0 : 1;
    prefetch.address = {next.reg, at.index.reg, static_cast<int>(element), at.offset * element};
    b_.emit(prefetch);
  }
}

Result<Plan> build_norm(const Problem& p, const SearchSpace& space, const Schedule& s,
                        const Target& target,
                        const std::function<void(NormRow&, const Norm&, Builder&)>& body,
                        const std::function<void(NormRow&, Builder&)>& before) {
  LATHE_CHECK(space.check(s));
  const Norm norm(p);
  RowKernel kernel(norm.name, norm.signature, target);
  NormRow row(kernel, norm, s);
  std::function<void()> at_first;
  if (before) at_first = [&] { before(row, kernel.builder()); };
  const auto each = [&] {
    row.begin();
    body(row, norm, kernel.builder());
  };
  kernel.for_rows(streamed_output(s, norm.signature), each, at_first);
  return kernel.plan(s["grain"], norm.in_place());
}

}  // namespace lathe::compiler::kernels
