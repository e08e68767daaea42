// Linear scan: registers in the order of their first position take the first machine register that
// is free in all their segments, preferring the one that saves a copy.
#include "codegen/x86/allocation.h"

#include <algorithm>
#include <span>

#include "codegen/x86/constraints.h"
#include "codegen/x86/folding.h"
#include "codegen/x86/forms.h"
#include "codegen/x86/liveness.h"
#include "codegen/x86/spilling.h"

namespace lathe::codegen::x86 {
namespace {

enum class File : uint16_t { vector, mask, general };
constexpr int kRax = 0, kRdx = 2, kRdi = 7;

// Caller-saved first, so that small kernels push nothing; rsp is not ours.
constexpr std::array<int16_t, 15> kGenerals = {0, 1, 2, 6, 7, 8, 9, 10, 11, 3, 5, 12, 13, 14, 15};

struct Interval {
  File file = File::vector;
  std::span<const Segment> segments;
  int64_t owner = -1;  ///< register key, or -1 - item for scratch
  int16_t* home = nullptr;
};

// The busy segments of one machine register, ascending.
class Track {
 public:
  bool free_for(std::span<const Segment> segments) const {
    auto busy = busy_.begin();
    for (const Segment& segment : segments) {
      busy = std::lower_bound(busy, busy_.end(), segment.begin,
                              [](const Segment& s, int begin) { return s.end < begin; });
      if (busy != busy_.end() && busy->begin <= segment.end) return false;
    }
    return true;
  }
  void take(std::span<const Segment> segments) {
    for (const Segment& segment : segments)
      busy_.insert(std::upper_bound(busy_.begin(), busy_.end(), segment.begin,
                                    [](int begin, const Segment& s) { return begin < s.begin; }),
                   segment);
  }

 private:
  std::vector<Segment> busy_;
};

class Scan {
 public:
  Scan(const FlatProgram& flat, Allocation& result) : flat_(flat), result_(result) {
    result_.home.assign(flat.key_count(), -1);
    result_.scratch.assign(flat.items.size(), {});
    segments_ = live_segments(flat);
    own_segments_.reserve(flat.items.size() * 6);
    for (size_t k = 0; k < segments_.size(); ++k) {
      if (segments_[k].empty()) continue;
      intervals_.push_back(
          {file_of(reg_of_key(k).cls), segments_[k], static_cast<int64_t>(k), &result_.home[k]});
    }
    add_scratch();
    find_definitions();
    std::stable_sort(intervals_.begin(), intervals_.end(),
                     [](const Interval& a, const Interval& b) {
                       return a.segments.front().begin < b.segments.front().begin;
                     });
  }

  void run() {
    for (Interval& interval : intervals_) place(interval);
  }

  const std::vector<std::vector<Segment>>& segments() const { return segments_; }
  int used(File file) const { return static_cast<int>(tracks_[static_cast<size_t>(file)].size()); }

 private:
  void add_scratch() {
    general(kRdi).take(std::array{Segment{0, 0}});
    for (size_t i = 0; i < flat_.items.size(); ++i) {
      const Constraints constraints = constraints_of(flat_.items[i], flat_.source->target);
      Allocation::Scratch& scratch = result_.scratch[i];
      const int at = 2 * static_cast<int>(i);
      const auto add = [&](File file, int count, std::array<int16_t, 2>& homes) {
        for (int n = 0; n < count; ++n) {
          own_segments_.push_back({at, at + 1});
          intervals_.push_back(
              {file, {&own_segments_.back(), 1}, -1, &homes[static_cast<size_t>(n)]});
        }
      };
      add(File::vector, constraints.vectors, scratch.vectors);
      add(File::mask, constraints.masks, scratch.masks);
      add(File::general, constraints.generals, scratch.generals);
      if (constraints.divides)
        for (const int fixed : {kRax, kRdx}) {
          general(fixed).take(std::array{Segment{at, at + 1}});
          result_.generals_used[static_cast<size_t>(fixed)] = true;
        }
    }
  }

  void find_definitions() {
    first_writer_.assign(flat_.key_count(), nullptr);
    for (const Item& item : flat_.items)
      for_each_def(flat_, item, [&](Reg reg) {
        if (first_writer_[key(reg)] == nullptr) first_writer_[key(reg)] = &item;
      });
  }

  File file_of(RegClass cls) const {
    const bool masks_apart = flat_.source->target.mask_registers > 0;
    if (cls == RegClass::mask) return masks_apart ? File::mask : File::vector;
    return cls == RegClass::vector ? File::vector : File::general;
  }

  std::vector<Track>& tracks(File file) { return tracks_[static_cast<size_t>(file)]; }

  // Tracks of general registers stand in the order of preference.
  Track& general(int machine) {
    const auto at = std::find(kGenerals.begin(), kGenerals.end(), machine) - kGenerals.begin();
    auto& list = tracks(File::general);
    if (list.size() <= static_cast<size_t>(at)) list.resize(static_cast<size_t>(at) + 1);
    return list[static_cast<size_t>(at)];
  }

  static int16_t machine(File file, size_t track) {
    if (file == File::general)
      return track < kGenerals.size() ? kGenerals[track] : static_cast<int16_t>(16 + track);
    return static_cast<int16_t>(file == File::mask ? track + 1 : track);
  }

  static size_t track_of(File file, int16_t home) {
    if (file == File::general && home < 16)
      return static_cast<size_t>(std::find(kGenerals.begin(), kGenerals.end(), home) -
                                 kGenerals.begin());
    if (file == File::general) return static_cast<size_t>(home - 16);
    return static_cast<size_t>(file == File::mask ? home - 1 : home);
  }

  void place(Interval& interval) {
    auto& list = tracks(interval.file);
    size_t chosen = preferred(interval);
    if (chosen >= list.size() || !list[chosen].free_for(interval.segments)) {
      chosen = 0;
      while (chosen < list.size() && !list[chosen].free_for(interval.segments)) ++chosen;
      if (chosen == list.size()) list.emplace_back();
    }
    list[chosen].take(interval.segments);
    *interval.home = machine(interval.file, chosen);
  }

  // The register of a source whose copy the result would otherwise need, if it is free by then.
  size_t preferred(const Interval& interval) {
    if (interval.owner < 0) return SIZE_MAX;
    const Item* writer = first_writer_[static_cast<size_t>(interval.owner)];
    if (writer == nullptr || writer->kind != Item::Kind::instr) return SIZE_MAX;
    const bool fma = writer->instr.op == Op::fma || writer->instr.op == Op::fms ||
                     writer->instr.op == Op::fnma || writer->instr.op == Op::dot4_u8s8;
    std::array<Reg, 4> candidates{};
    const auto& src = writer->instr.src;
    if (fma)
      candidates = {src[2], src[0], src[1], {}};
    else
      candidates = {src[0], src[1], writer->instr.address.pointer, {}};
    for (const Reg reg : candidates) {
      if (!reg.valid() || result_.home[key(reg)] < 0) continue;
      const File file = file_of(reg.cls);
      if (file != interval.file) continue;
      const size_t track = track_of(file, result_.home[key(reg)]);
      if (tracks(file)[track].free_for(interval.segments)) return track;
    }
    return SIZE_MAX;
  }

  const FlatProgram& flat_;
  Allocation& result_;
  std::vector<std::vector<Segment>> segments_;
  std::vector<Segment> own_segments_;
  std::vector<Interval> intervals_;
  std::vector<const Item*> first_writer_;
  std::array<std::vector<Track>, 3> tracks_;
};

std::vector<Reg> first(std::vector<Reg> regs, int count) {
  regs.resize(std::min(regs.size(), static_cast<size_t>(std::max(count, 0))));
  return regs;
}

}  // namespace

Result<Allocation> allocate(FlatProgram& flat) {
  const ir::Target& target = flat.source->target;
  int demoted = 0, limit = static_cast<int>(kGenerals.size());
  for (;;) {
    Allocation allocation;
    Scan scan(flat, allocation);
    scan.run();
    const int vectors = scan.used(File::vector), masks = scan.used(File::mask);
    if (vectors > target.vector_registers) {
      const auto constants = first(demotable_constants(flat), vectors - target.vector_registers);
      if (constants.empty())
        return fail(
            ErrorCode::rejected,
            "kernel {} needs {} vector registers, {} has {} ({} constants already read from "
            "memory): choose a schedule with fewer accumulators or a smaller tile",
            flat.source->name, vectors, target.name, target.vector_registers, demoted);
      demote_constants(flat, constants);
      demoted += static_cast<int>(constants.size());
      continue;
    }
    if (masks > target.mask_registers)
      return fail(ErrorCode::rejected,
                  "kernel {} needs {} mask registers, {} has {}: compute masks closer to their use",
                  flat.source->name, masks, target.name, target.mask_registers);
    const int generals = scan.used(File::general);
    if (generals > static_cast<int>(kGenerals.size())) {
      // Segments may fit nowhere although fewer registers are live everywhere: then one less
      // counts.
      std::vector<Reg> scalars;
      while (scalars.empty() && limit > 0) {
        scalars = scalars_to_spill(flat, scan.segments(), limit);
        if (scalars.empty()) --limit;
      }
      if (scalars.empty())
        return fail(
            ErrorCode::rejected,
            "kernel {} needs {} general registers, x86-64 has {}: use fewer loops in one nest",
            flat.source->name, generals, kGenerals.size());
      spill_scalars(flat, scalars);
      continue;
    }
    allocation.vectors_used = vectors;
    allocation.masks_used = masks;
    for (size_t k = 0; k < allocation.home.size(); ++k)
      if (allocation.home[k] >= 0 && k % 4 >= 2)
        allocation.generals_used[static_cast<size_t>(allocation.home[k])] = true;
    for (const auto& scratch : allocation.scratch)
      for (const int16_t general : scratch.generals)
        if (general >= 0) allocation.generals_used[static_cast<size_t>(general)] = true;
    return allocation;
  }
}

}  // namespace lathe::codegen::x86
