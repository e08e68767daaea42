// Records of layouts: keys, and the one that counts.
#include "runtime/library/layout_record.h"

#include <algorithm>
#include <charconv>

#include "support/log.h"

namespace lathe::runtime {
namespace {

constexpr std::string_view kPanel = "panel=";

}  // namespace

std::string layout_schedule(const compiler::WeightLayout& layout) {
  return fmt::format("{}{}", kPanel, layout.panel);
}

int64_t panel_of(const std::string& schedule) {
  int64_t panel = 0;
  if (schedule.rfind(kPanel, 0) != 0) return 0;
  const char* end = schedule.data() + schedule.size();
  const auto read = std::from_chars(schedule.data() + kPanel.size(), end, panel);
  return read.ec == std::errc() && read.ptr == end ? panel : 0;
}

store::Key layout_key(const compiler::WeightLayout& weight, const std::string& at,
                      const ir::Target& target, const RecordContext& context) {
  store::Key key = host_key(target, context);
  key.problem = fmt::format("{} {}", kLayoutFamily, compiler::weight_parameters(weight));
  key.family = kLayoutFamily;
  // The catalogue has it: its kernels are what layouts are for.
  key.family_revision = (*compiler::find_family("linear"))->revision;
  key.at = at;
  return key;
}

Result<std::optional<store::KeyedWinner>> layout_record(const compiler::WeightLayout& weight,
                                                        const ir::Target& target,
                                                        const RecordContext& context,
                                                        store::Store& store) {
  const store::Key wanted = layout_key(weight, "", target, context);
  LATHE_TRY(std::vector<store::KeyedWinner> records, store.of_problem(wanted));
  std::optional<store::KeyedWinner> best;
  for (store::KeyedWinner& record : records) {  // newest first
    if (record.key.host != wanted.host || record.key.target != wanted.target) continue;
    const bool nearer =
        best && best->key.threads != wanted.threads && record.key.threads == wanted.threads;
    if (!best || nearer) best = std::move(record);
  }
  return best;
}

Result<std::vector<LayoutStanding>> layout_standings(const store::KeyedWinner& record,
                                                     store::Store& store) {
  LATHE_TRY(const std::vector<store::Trial> trials, store.trials(record.key));
  std::vector<LayoutStanding> standings;
  for (const store::Trial& trial : trials) {  // oldest first; a decision has one of each layout
    LayoutStanding standing{panel_of(trial.schedule), 0, trial.state != store::TrialState::timed};
    if (record.winner.default_ns > 0)
      standing.relative = trial.median_ns / record.winner.default_ns;
    const auto same =
        std::find_if(standings.begin(), standings.end(),
                     [&](const LayoutStanding& other) { return other.panel == standing.panel; });
    if (same == standings.end())
      standings.push_back(standing);
    else
      *same = standing;
  }
  return standings;
}

Result<compiler::WeightLayout> choose_layout(const compiler::WeightLayout& weight,
                                             const ir::Target& target, const RecordContext& context,
                                             store::Store& store) {
  const auto candidates =
      compiler::candidate_layouts(weight.type, weight.n, weight.k, weight.pair, target);
  LATHE_TRY(const auto record, layout_record(weight, target, context, store));
  if (record) {
    for (const compiler::WeightLayout& layout : candidates)
      if (layout_schedule(layout) == record->winner.schedule) return layout;
  }
  return candidates.front();
}

}  // namespace lathe::runtime
