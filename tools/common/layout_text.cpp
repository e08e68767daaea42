// Rows and fields of layouts.
#include "tools/common/layout_text.h"

namespace lathe::tools {

Result<LayoutChoice> choice_of(const store::KeyedWinner& record, store::Store& store) {
  LayoutChoice choice;
  choice.weight = record.key.problem.substr(runtime::kLayoutFamily.size() + 1);
  choice.panel = runtime::panel_of(record.winner.schedule);
  LATHE_TRY(choice.candidates, runtime::layout_standings(record, store));
  choice.why = record.winner.why;
  return choice;
}

nlohmann::json layout_json(const LayoutChoice& choice) {
  nlohmann::json candidates = nlohmann::json::array();
  for (const runtime::LayoutStanding& standing : choice.candidates) {
    nlohmann::json entry = {{"panel", standing.panel}, {"dropped", standing.dropped}};
    if (standing.relative > 0) entry["relative"] = standing.relative;
    candidates.push_back(std::move(entry));
  }
  return {{"weight", choice.weight},
          {"panel", choice.panel},
          {"candidates", std::move(candidates)},
          {"why", choice.why}};
}

std::string standings_text(const std::vector<runtime::LayoutStanding>& candidates) {
  std::string text;
  for (const runtime::LayoutStanding& standing : candidates) {
    text += text.empty() ? "" : ", ";
    text += standing.relative > 0
                ? fmt::format("panel={} {:.3f}", standing.panel, standing.relative)
                : fmt::format("panel={} -", standing.panel);
    if (standing.dropped) text += " (dropped)";
  }
  return text;
}

std::vector<std::vector<std::string>> layout_rows(const std::vector<LayoutChoice>& choices) {
  std::vector<std::vector<std::string>> rows = {
      {"weight", "panel", "sums over the default's", "why"}};
  for (const LayoutChoice& choice : choices) {
    rows.push_back({choice.weight, std::to_string(choice.panel), standings_text(choice.candidates),
                    choice.why});
  }
  return rows;
}

}  // namespace lathe::tools
