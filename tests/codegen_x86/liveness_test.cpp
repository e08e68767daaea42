// Live segments of random programs, held against data flow iterated to its fixpoint item by item.
#include "codegen/x86/liveness.h"

#include <set>

#include <gtest/gtest.h>

#include "codegen/x86/constraints.h"
#include "codegen/x86/folding.h"
#include "compiler/passes/legalize.h"
#include "tests/codegen_x86/harness.h"
#include "tests/support/random_program.h"

namespace lathe::codegen::x86 {
namespace {

using Set = std::set<size_t>;

// Where control may go after item i.
std::vector<size_t> successors(const FlatProgram& flat, size_t i) {
  const auto partner = [&](size_t of) { return static_cast<size_t>(flat.items[of].partner); };
  switch (flat.items[i].kind) {
    case Item::Kind::loop_begin:
      if (flat.items[i].always_entered) return {i + 1};
      return {i + 1, partner(i) + 1};
    case Item::Kind::loop_end: return {partner(i) + 1, i + 1};
    case Item::Kind::branch: {
      // The other arm begins after the `otherwise` of this one.
      int open = 0;
      for (size_t k = i + 1;; ++k) {
        if (flat.items[k].kind == Item::Kind::branch) ++open;
        if (flat.items[k].kind == Item::Kind::join) --open;
        if (flat.items[k].kind == Item::Kind::otherwise && open == 0) return {i + 1, k + 1};
      }
    }
    case Item::Kind::otherwise: return {partner(i)};
    default: return {i + 1};
  }
}

// Keys by position, as live_segments() numbers positions.
std::vector<Set> positions(const FlatProgram& flat) {
  const size_t count = flat.items.size();
  std::vector<Set> before(count + 1), after(count);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = count; i-- > 0;) {
      const Item& item = flat.items[i];
      Set live;
      for (const size_t next : successors(flat, i))
        live.insert(before[next].begin(), before[next].end());
      after[i] = live;
      if (item.kind != Item::Kind::loop_end)
        for_each_def(flat, item, [&](Reg reg) { live.erase(key(reg)); });
      for_each_use(item, [&](Reg reg) { live.insert(key(reg)); });
      changed = changed || live != before[i];
      before[i] = std::move(live);
    }
  }
  std::vector<Set> positions(2 * count);
  for (size_t i = 0; i < count; ++i) {
    const Item& item = flat.items[i];
    positions[2 * i] = before[i];
    positions[2 * i + 1] = after[i];
    for_each_def(flat, item, [&](Reg reg) { positions[2 * i + 1].insert(key(reg)); });
    if (item.kind == Item::Kind::loop_begin)
      for_each_use(item, [&](Reg reg) { positions[2 * i + 1].insert(key(reg)); });
    if (item.kind != Item::Kind::instr) continue;
    const unsigned late = constraints_of(item, flat.source->target).late_sources;
    for (size_t s = 0; s < item.instr.src.size(); ++s)
      if (((late >> s) & 1) != 0 && item.instr.src[s].valid())
        positions[2 * i + 1].insert(key(item.instr.src[s]));
  }
  return positions;
}

TEST(Liveness, SegmentsAreThoseOfDataFlow) {
  for (const ir::Target& target : tests::x86_targets()) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      tests::RandomProgramOptions options;
      options.steps = 10 + static_cast<int>(seed % 4) * 20;
      const auto legal =
          compiler::passes::legalize(tests::random_program(seed, target, options).program);
      FlatProgram flat = flatten(legal);
      fold_loads(flat);
      const std::vector<Set> expected = positions(flat);
      std::vector<Set> found(expected.size());
      const auto segments = live_segments(flat);
      for (size_t k = 0; k < segments.size(); ++k) {
        int last = -2;
        for (const Segment& segment : segments[k]) {
          EXPECT_GT(segment.begin, last + 1) << "segments touch";
          EXPECT_LE(segment.begin, segment.end);
          last = segment.end;
          for (int at = segment.begin; at <= segment.end; ++at)
            found[static_cast<size_t>(at)].insert(k);
        }
      }
      for (size_t at = 0; at < expected.size(); ++at)
        ASSERT_EQ(found[at], expected[at])
            << target.name << ", seed " << seed << ", position " << at;
    }
  }
}

}  // namespace
}  // namespace lathe::codegen::x86
