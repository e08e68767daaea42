// Records of layouts: keys, and the one that counts.
#include "runtime/library/layout_record.h"

#include <algorithm>

namespace lathe::runtime {

std::string layout_in(const compiler::SharedOperand& operand, const std::string& schedule) {
  const std::string prefix = operand.parameter + "=";
  if (!schedule.starts_with(prefix) || schedule.find(' ') != std::string::npos) return {};
  return schedule.substr(prefix.size());
}

store::Key layout_key(const compiler::LayoutCandidates& candidates, const std::string& at,
                      const ir::Target& target, const RecordContext& context) {
  store::Key key = host_key(target, context);
  key.problem = candidates.name();
  key.family = candidates.operand->kind;
  key.family_revision = compiler::revision_of(*candidates.operand);
  key.at = at;
  return key;
}

Result<std::optional<store::KeyedWinner>> layout_record(
    const compiler::LayoutCandidates& candidates, const ir::Target& target,
    const RecordContext& context, store::Store& store) {
  const store::Key wanted = layout_key(candidates, "", target, context);
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

Result<std::vector<LayoutStanding>> layout_standings(const compiler::SharedOperand& operand,
                                                     const store::KeyedWinner& record,
                                                     store::Store& store) {
  LATHE_TRY(const std::vector<store::Trial> trials, store.trials(record.key));
  std::vector<LayoutStanding> standings;
  for (const store::Trial& trial : trials) {  // oldest first; a decision has one of each layout
    LayoutStanding standing{layout_in(operand, trial.schedule), 0,
                            trial.state != store::TrialState::timed};
    if (record.winner.default_ns > 0)
      standing.relative = trial.median_ns / record.winner.default_ns;
    const auto same =
        std::find_if(standings.begin(), standings.end(),
                     [&](const LayoutStanding& other) { return other.layout == standing.layout; });
    if (same == standings.end())
      standings.push_back(std::move(standing));
    else
      *same = std::move(standing);
  }
  return standings;
}

Result<std::string> choose_layout(const compiler::LayoutCandidates& candidates,
                                  const ir::Target& target, const RecordContext& context,
                                  store::Store& store) {
  LATHE_TRY(const auto record, layout_record(candidates, target, context, store));
  if (record) {
    for (const std::string& layout : candidates.layouts)
      if (candidates.text(layout) == record->winner.schedule) return layout;
  }
  return candidates.layouts.front();
}

}  // namespace lathe::runtime
