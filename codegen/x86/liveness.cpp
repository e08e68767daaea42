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
  bool has(size_t k) const { return ((words_[k / 64] >> (k % 64)) & 1) != 0; }
  void add(size_t k) { words_[k / 64] |= uint64_t{1} << (k % 64); }
  void remove(size_t k) { words_[k / 64] &= ~(uint64_t{1} << (k % 64)); }
  void merge(const LiveSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  // What is in this set and not in the other.
  template <typename F>
  void for_each_beyond(const LiveSet& other, const F& f) const {
    for (size_t i = 0; i < words_.size(); ++i)
      for (uint64_t word = words_[i] & ~other.words_[i]; word != 0; word &= word - 1)
        f(i * 64 + static_cast<size_t>(std::countr_zero(word)));
  }

 private:
  std::vector<uint64_t> words_;
};

class Liveness {
 public:
  explicit Liveness(const FlatProgram& flat)
      : flat_(flat), segments_(flat.key_count()), ends_(flat.key_count()) {
    std::vector<int> open;
    branches_.resize(flat.items.size());
    for (size_t i = 0; i < flat.items.size(); ++i) {
      const Item::Kind kind = flat.items[i].kind;
      if (kind == Item::Kind::branch) open.push_back(static_cast<int>(i));
      if (kind == Item::Kind::join) {
        branches_[i] = open.back();
        open.pop_back();
      }
    }
  }

  std::vector<std::vector<Segment>> run() {
    const LiveSet none(flat_.key_count());
    LiveSet live = none;
    walk(0, static_cast<int>(flat_.items.size()), live, true);
    become(live, none, 0);
    for (auto& list : segments_) std::reverse(list.begin(), list.end());
    return std::move(segments_);
  }

 private:
  // From what is live after item end - 1 to what is live before item begin. While it is recorded,
  // each register of `live` has a segment whose end is known and whose begin is not yet.
  void walk(int begin, int end, LiveSet& live, bool record) {
    for (int i = end - 1; i >= begin; --i) {
      const Item& item = flat_.items[static_cast<size_t>(i)];
      const auto becomes = [&](const LiveSet& next, int before) {
        if (record) become(live, next, 2 * before + 2);
        live = next;
      };
      const auto grows = [&](const LiveSet& more, int before) {
        LiveSet next = live;
        next.merge(more);
        becomes(next, before);
      };
      switch (item.kind) {
        case Item::Kind::loop_end: {
          const LiveSet after = live;
          LiveSet head = after;  // what the back edge asks for, found by a walk without it
          step(i, head, false);
          walk(item.partner + 1, i, head, false);
          grows(head, i);
          step(i, live, record);
          walk(item.partner + 1, i, live, record);
          if (!flat_.items[static_cast<size_t>(item.partner)].always_entered)
            grows(after, item.partner);
          step(item.partner, live, record);
          i = item.partner;
          break;
        }
        case Item::Kind::join: {
          const int middle = item.partner, first = branches_[static_cast<size_t>(i)];
          step(i, live, record);
          const LiveSet joined = live;
          walk(middle + 1, i, live, record);
          const LiveSet otherwise = live;
          becomes(joined, middle);
          step(middle, live, record);
          walk(first + 1, middle, live, record);
          grows(otherwise, first);
          step(first, live, record);
          i = first;
          break;
        }
        default: step(i, live, record);
      }
    }
  }

  // The walk, which had come down to `position`, goes on with another set.
  void become(const LiveSet& live, const LiveSet& next, int position) {
    live.for_each_beyond(next, [&](size_t k) { cover(k, position, ends_[k]); });
    next.for_each_beyond(live, [&](size_t k) { ends_[k] = position - 1; });
  }

  void step(int i, LiveSet& live, bool record) {
    const Item& item = flat_.items[static_cast<size_t>(i)];
    const int reads = 2 * i, writes = 2 * i + 1;
    for_each_def(flat_, item, [&](Reg reg) {
      const size_t k = key(reg);
      if (record) {
        cover(k, writes, live.has(k) ? ends_[k] : writes);
        ends_[k] = writes;  // of a loop's counter, which its end changes, and so needs
      }
      if (item.kind != Item::Kind::loop_end) live.remove(k);
    });
    const uint32_t late = record ? late_sources(item) : 0;
    const auto use = [&](size_t k, int end) {
      if (live.has(k)) return;
      live.add(k);
      if (record) ends_[k] = end;
    };
    // What must not share a register with the result although it is read for the last time here.
    if (item.kind == Item::Kind::instr && late != 0) {
      for (size_t s = 0; s < item.instr.src.size(); ++s)
        if (((late >> s) & 1) != 0 && item.instr.src[s].valid())
          use(key(item.instr.src[s]), writes);
    }
    const int end = item.kind == Item::Kind::loop_begin ? writes : reads;
    for_each_use(item, [&](Reg reg) { use(key(reg), end); });
  }

  uint32_t late_sources(const Item& item) const {
    if (item.kind != Item::Kind::instr) return 0;
    return constraints_of(item, flat_.source->target).late_sources;
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
  std::vector<int> ends_;      ///< by key: of the segment that is still open
  std::vector<int> branches_;  ///< by join: where it branched
};

}  // namespace

std::vector<std::vector<Segment>> live_segments(const FlatProgram& flat) {
  return Liveness(flat).run();
}

}  // namespace lathe::codegen::x86
