// Runs a program over abstract lanes and checks the narrow integer instructions against them.
#include "ir/program/ranges.h"

#include <algorithm>

#include "ir/program/lane_ranges.h"
#include "ir/program/printer.h"
#include "ir/program/provenance.h"

namespace lathe::ir::program {
namespace {

constexpr uint64_t kUnrolledTrips = 64;     // shorter loops are followed trip by trip
constexpr uint64_t kStepLimit = 1'000'000;  // and no longer than this many instructions in all
constexpr int kRoundsBeforeWidening = 3;

bool must_be_proven(Op op) {
  return op == Op::iadd16 || op == Op::dot2_u8s8 || op == Op::dot2_s16 || op == Op::dot4_u8s8 ||
         op == Op::isign8;
}

bool any_to_prove(const Block& block) {
  return std::any_of(block.begin(), block.end(), [](const Node& node) {
    if (const auto* instr = std::get_if<Instr>(&node.value)) return must_be_proven(instr->op);
    if (const auto* loop = std::get_if<Loop>(&node.value)) return any_to_prove(loop->body);
    const auto& branch = std::get<Branch>(node.value);
    return any_to_prove(branch.then) || any_to_prove(branch.otherwise);
  });
}

class RangeCheck {
 public:
  RangeCheck(const Program& program, std::vector<int> buffer_of)
      : program_(program),
        buffer_of_(std::move(buffer_of)),
        lanes_(program.count(RegClass::vector)) {}

  Status run() { return block(program_.body); }

 private:
  using State = std::vector<LaneRange>;

  Status block(const Block& nodes) {
    for (const Node& node : nodes) {
      if (const auto* instr = std::get_if<Instr>(&node.value)) {
        ++steps_;
        if (info(instr->op).result != 'v') continue;
        LATHE_TRY(auto result, value(*instr));
        lanes_[instr->dst.id] = result;
      } else if (const auto* loop = std::get_if<Loop>(&node.value)) {
        LATHE_CHECK(this->loop(*loop));
      } else {
        LATHE_CHECK(branch(std::get<Branch>(node.value)));
      }
    }
    return {};
  }

  Status branch(const Branch& branch) {
    const State before = lanes_;
    LATHE_CHECK(block(branch.then));
    State then = std::move(lanes_);
    lanes_ = before;
    LATHE_CHECK(block(branch.otherwise));
    join(lanes_, then);
    return {};
  }

  Status loop(const Loop& loop) {
    if (loop.begin.is_imm() && loop.end.is_imm()) {
      if (loop.begin.imm >= loop.end.imm) return {};
      const uint64_t span =
          static_cast<uint64_t>(loop.end.imm) - static_cast<uint64_t>(loop.begin.imm);
      const auto step = static_cast<uint64_t>(loop.step);
      const uint64_t trips = span / step + (span % step != 0 ? 1 : 0);
      if (trips <= kUnrolledTrips && steps_ < kStepLimit)
        return followed(loop.body, static_cast<int>(trips));
    }
    return to_fixpoint(loop.body);
  }

  Status followed(const Block& body, int trips) {
    for (int trip = 0; trip < trips; ++trip) {
      if (steps_ >= kStepLimit) return to_fixpoint(body);
      const State before = lanes_;
      LATHE_CHECK(block(body));
      if (lanes_ == before) break;  // the other trips are the same
    }
    return {};
  }

  // The last round runs on a state that holds before every trip; earlier rounds on parts of it.
  Status to_fixpoint(const Block& body) {
    State before = lanes_;
    for (int round = 0;; ++round) {
      LATHE_CHECK(block(body));
      join(lanes_, before);
      if (lanes_ == before) return {};
      if (round >= kRoundsBeforeWidening)
        for (size_t i = 0; i < lanes_.size(); ++i)
          if (lanes_[i] != before[i]) lanes_[i] = LaneRange();
      before = lanes_;
    }
  }

  static void join(State& into, const State& other) {
    for (size_t i = 0; i < into.size(); ++i) into[i] = hull(into[i], other[i]);
  }

  const LaneRange& source(const Instr& instr, size_t i) const { return lanes_[instr.src[i].id]; }

  Result<LaneRange> value(const Instr& instr) const;
  Result<LaneRange> narrow(const Instr& instr) const;
  Status pair_of_products(const Instr& instr, const Interval& a, const Interval& b,
                          const Interval& limits, std::string_view what) const;

  const Program& program_;
  std::vector<int> buffer_of_;
  State lanes_;  // indexed by vector register
  uint64_t steps_ = 0;
};

Result<LaneRange> RangeCheck::value(const Instr& instr) const {
  switch (instr.op) {
    case Op::vconst: return LaneRange::of_constant(static_cast<uint32_t>(instr.imm));
    case Op::viota: return LaneRange::of_s32({0, program_.target.lanes - 1});
    case Op::vmov:
    case Op::permute: return source(instr, 0);
    case Op::shuffle2: return hull(source(instr, 0), source(instr, 1));
    case Op::select: return hull(source(instr, 1), source(instr, 2));
    case Op::load:
    case Op::load_splat:
    case Op::load_part:
    case Op::load_group: {
      const auto buffer = static_cast<size_t>(buffer_of_[instr.address.pointer.id]);
      return loaded(program_.buffers[buffer], instr.memory, instr.op == Op::load_part);
    }
    case Op::byte_shuffle: {
      // Any byte of the table, or zero.
      const LaneRange& table = source(instr, 0);
      LaneRange bytes = LaneRange::of_u8(hull(table.u8, {0, 0}));
      bytes.s8 = hull(table.s8, {0, 0});
      return bytes;
    }
    case Op::lookup8: {
      LaneRange words = LaneRange::of_constant(table_word(instr, 0));
      for (size_t i = 1; i < 8; ++i)
        words = hull(words, LaneRange::of_constant(table_word(instr, i)));
      return words;
    }
    case Op::iand:
    case Op::iandn:
    case Op::ior:
    case Op::ixor:
    case Op::iadd:
    case Op::isub:
    case Op::imul:
    case Op::imin:
    case Op::imax: return bitwise(instr, source(instr, 0), source(instr, 1));
    case Op::ishl:
    case Op::ishr:
    case Op::isar: return bitwise(instr, source(instr, 0), {});
    case Op::iadd16:
    case Op::dot2_u8s8:
    case Op::dot2_s16:
    case Op::dot4_u8s8:
    case Op::iabs8:
    case Op::isign8: return narrow(instr);
    default: return LaneRange();
  }
}

Result<LaneRange> RangeCheck::narrow(const Instr& instr) const {
  const LaneRange& a = source(instr, 0);
  switch (instr.op) {
    case Op::iadd16: {
      const LaneRange& b = source(instr, 1);
      const Interval sum = a.s16 + b.s16;
      const bool above = sum.high > kS16.high;
      if (above || sum.low < kS16.low)
        return fail(ErrorCode::verify_error,
                    "program '{}': '{}': iadd16: {} + {} = {} {} {}: not proven not to wrap; add "
                    "fewer steps in 16 bits, or narrow the buffers' declared ranges",
                    program_.name, print(instr), above ? a.s16.high : a.s16.low,
                    above ? b.s16.high : b.s16.low, above ? sum.high : sum.low, above ? '>' : '<',
                    above ? kS16.high : kS16.low);
      return LaneRange::of_s16(sum);
    }
    case Op::dot2_u8s8: {
      const LaneRange& b = source(instr, 1);
      LATHE_CHECK(pair_of_products(instr, a.u8, b.s8, kS16, "saturate"));
      return LaneRange::of_s16(a.u8 * b.s8 * Interval{2, 2});
    }
    case Op::dot2_s16: {
      const LaneRange& b = source(instr, 1);
      LATHE_CHECK(pair_of_products(instr, a.s16, b.s16, kS32, "wrap"));
      return LaneRange::of_s32(a.s16 * b.s16 * Interval{2, 2});
    }
    case Op::dot4_u8s8: {
      // Without vnni the products are added pairwise in 16 bits.
      const LaneRange& b = source(instr, 1);
      if (!program_.target.vnni) LATHE_CHECK(pair_of_products(instr, a.u8, b.s8, kS16, "saturate"));
      return LaneRange::of_s32(a.u8 * b.s8 * Interval{4, 4} + source(instr, 2).s32);
    }
    case Op::iabs8: {
      const int64_t most = std::max(-a.s8.low, a.s8.high);
      const int64_t least = std::max<int64_t>({a.s8.low, -a.s8.high, 0});
      return LaneRange::of_u8({least, most});
    }
    default: {  // isign8
      if (a.s8.low == kS8.low)
        return fail(ErrorCode::verify_error,
                    "program '{}': '{}': isign8: the first operand may be -128, which has no "
                    "negative in 8 bits; declare the buffer's range as -127 … 127",
                    program_.name, print(instr));
      const int64_t most = std::max(-a.s8.low, a.s8.high);
      return LaneRange::of_s8({-most, most});
    }
  }
}

Status RangeCheck::pair_of_products(const Instr& instr, const Interval& a, const Interval& b,
                                    const Interval& limits, std::string_view what) const {
  const Interval sum = a * b * Interval{2, 2};
  if (sum.within(limits)) return {};
  const bool above = sum.high > limits.high;
  const int64_t worst = above ? sum.high : sum.low;
  for (const int64_t x : {a.low, a.high}) {
    for (const int64_t y : {b.low, b.high}) {
      if (2 * x * y != worst) continue;
      return fail(ErrorCode::verify_error,
                  "program '{}': '{}': {}: 2*{}*{} = {} {} {}: not proven not to {}; narrow the "
                  "buffers' declared ranges",
                  program_.name, print(instr), info(instr.op).name, x, y, worst, above ? '>' : '<',
                  above ? limits.high : limits.low, what);
    }
  }
  return fail(ErrorCode::internal, "a product's bound {} is not at a corner", worst);
}

}  // namespace

Status check_ranges(const Program& program) {
  if (!any_to_prove(program.body)) return {};
  LATHE_TRY(auto buffers, pointer_buffers(program));
  return RangeCheck(program, std::move(buffers)).run();
}

}  // namespace lathe::ir::program
