// Backward data flow over the structured program; a loop's body is walked twice, which is its
// fixpoint.
#include "codegen/x86/liveness.h"

#include <algorithm>
#include <bit>

#include "codegen/x86/constraints.h"

namespace lathe::codegen::x86 {
namespace {

class LiveSet {
 public:
  explicit LiveSet(size_t keys) : words_((keys + 63) / 64) {}
  void add(Reg reg) { words_[key(reg) / 64] |= uint64_t{1} << (key(reg) % 64); }
  void remove(Reg reg) { words_[key(reg) / 64] &= ~(uint64_t{1} << (key(reg) % 64)); }
  void merge(const LiveSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  template <typename F>
  void for_each(const F& f) const {
    for (size_t i = 0; i < words_.size(); ++i)
      for (uint64_t word = words_[i]; word != 0; word &= word - 1)
        f(i * 64 + static_cast<size_t>(std::countr_zero(word)));
  }

 private:
  std::vector<uint64_t> words_;
};

class Liveness {
 public:
  explicit Liveness(const FlatProgram& flat) : flat_(flat), segments_(flat.key_count()) {}

  std::vector<std::vector<Segment>> run() {
    LiveSet live(flat_.key_count());
    walk(0, static_cast<int>(flat_.items.size()), live, true);
    for (auto& list : segments_) std::reverse(list.begin(), list.end());
    return std::move(segments_);
  }

 private:
  // From what is live after item end - 1 to what is live before item begin.
  void walk(int begin, int end, LiveSet& live, bool record) {
    for (int i = end - 1; i >= begin; --i) {
      const Item& item = flat_.items[static_cast<size_t>(i)];
      switch (item.kind) {
        case Item::Kind::loop_end: {
          const LiveSet after = live;
          LiveSet head = after;  // what the back edge asks for, found by a walk without it
          step(i, head, false);
          walk(item.partner + 1, i, head, false);
          live.merge(head);
          step(i, live, record);
          walk(item.partner + 1, i, live, record);
          if (!flat_.items[static_cast<size_t>(item.partner)].always_entered) live.merge(after);
          step(item.partner, live, record);
          i = item.partner;
          break;
        }
        case Item::Kind::join: {
          const int middle = item.partner, first = branch_of(middle);
          step(i, live, record);
          LiveSet then = live;
          walk(middle + 1, i, live, record);
          step(middle, then, record);
          walk(first + 1, middle, then, record);
          live.merge(then);
          step(first, live, record);
          i = first;
          break;
        }
        default: step(i, live, record);
      }
    }
  }

  int branch_of(int otherwise) const {
    int open = 0;
    for (int i = otherwise - 1;; --i) {
      const Item::Kind kind = flat_.items[static_cast<size_t>(i)].kind;
      if (kind == Item::Kind::join) ++open;
      if (kind == Item::Kind::branch && open-- == 0) return i;
    }
  }

  void step(int i, LiveSet& live, bool record) {
    const Item& item = flat_.items[static_cast<size_t>(i)];
    if (record) {
      live.for_each([&](size_t k) { cover(k, 2 * i + 1, 2 * i + 1); });
      for_each_def(flat_, item, [&](Reg reg) { cover(key(reg), 2 * i + 1, 2 * i + 1); });
      record_conflicts(i, item);
    }
    if (item.kind != Item::Kind::loop_end)  // which changes its counter, and so needs it
      for_each_def(flat_, item, [&](Reg reg) { live.remove(reg); });
    for_each_use(item, [&](Reg reg) { live.add(reg); });
    if (record) live.for_each([&](size_t k) { cover(k, 2 * i, 2 * i); });
  }

  // What must not share a register with the result although it is read for the last time here.
  void record_conflicts(int i, const Item& item) {
    if (item.kind == Item::Kind::loop_begin) {
      for_each_use(item, [&](Reg reg) { cover(key(reg), 2 * i, 2 * i + 1); });
      return;
    }
    if (item.kind != Item::Kind::instr) return;
    const Constraints constraints = constraints_of(item, flat_.source->target);
    for (size_t s = 0; s < item.instr.src.size(); ++s)
      if (((constraints.late_sources >> s) & 1) != 0 && item.instr.src[s].valid())
        cover(key(item.instr.src[s]), 2 * i, 2 * i + 1);
  }

  // Positions come in falling order, so that only the last segment of the list can grow.
  void cover(size_t k, int begin, int end) {
    auto& list = segments_[k];
    if (!list.empty() && list.back().begin <= end + 1) {
      list.back().begin = std::min(list.back().begin, begin);
      list.back().end = std::max(list.back().end, end);
      return;
    }
    list.push_back({begin, end});
  }

  const FlatProgram& flat_;
  std::vector<std::vector<Segment>> segments_;
};

}  // namespace

std::vector<std::vector<Segment>> live_segments(const FlatProgram& flat) {
  return Liveness(flat).run();
}

}  // namespace lathe::codegen::x86
