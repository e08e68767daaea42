// Rows and fields of layouts.
#include "tools/common/layout_text.h"

#include <charconv>

#include "support/text.h"

namespace lathe::tools {
namespace {

// Layouts that are numbers are numbers in JSON, too.
nlohmann::json value_of(const std::string& layout) {
  int64_t number = 0;
  const char* end = layout.data() + layout.size();
  const auto read = std::from_chars(layout.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end) return number;
  return support::printable(layout);
}

}  // namespace

std::string LayoutChoice::name() const {
  return fmt::format("{} {}", operand->kind, support::printable(identity));
}

std::string LayoutChoice::layout_text() const {
  return fmt::format("{}={}", operand->parameter, support::printable(layout));
}

const compiler::SharedOperand* operand_of(const store::KeyedWinner& record) {
  return compiler::find_shared_operand(record.key.family);
}

Result<LayoutChoice> choice_of(const store::KeyedWinner& record, store::Store& store) {
  LayoutChoice choice;
  choice.operand = operand_of(record);
  const std::string prefix = choice.operand->kind + " ";
  choice.identity = record.key.problem;
  if (choice.identity.starts_with(prefix)) choice.identity.erase(0, prefix.size());
  choice.layout = runtime::layout_in(*choice.operand, record.winner.schedule);
  LATHE_TRY(choice.candidates, runtime::layout_standings(*choice.operand, record, store));
  choice.why = record.winner.why;
  return choice;
}

nlohmann::json layout_json(const LayoutChoice& choice) {
  const std::string& parameter = choice.operand->parameter;
  nlohmann::json candidates = nlohmann::json::array();
  for (const runtime::LayoutStanding& standing : choice.candidates) {
    nlohmann::json entry = {{parameter, value_of(standing.layout)}, {"dropped", standing.dropped}};
    if (standing.relative > 0) entry["relative"] = standing.relative;
    candidates.push_back(std::move(entry));
  }
  return {{choice.operand->kind, choice.identity},
          {parameter, value_of(choice.layout)},
          {"candidates", std::move(candidates)},
          {"why", choice.why}};
}

std::string field_of(const compiler::SharedOperand& operand) { return operand.kind + "s"; }

nlohmann::json empty_layouts() {
  nlohmann::json layouts = nlohmann::json::object();
  for (const compiler::SharedOperand* operand : compiler::shared_operands())
    layouts[field_of(*operand)] = nlohmann::json::array();
  return layouts;
}

std::string standings_text(const LayoutChoice& choice) {
  std::string text;
  for (const runtime::LayoutStanding& standing : choice.candidates) {
    text += fmt::format("{}{}={} ", text.empty() ? "" : ", ", choice.operand->parameter,
                        support::printable(standing.layout));
    text += standing.relative > 0 ? fmt::format("{:.3f}", standing.relative) : std::string("-");
    if (standing.dropped) text += " (dropped)";
  }
  return text;
}

std::string layout_gains_text(const std::vector<LayoutChoice>& choices) {
  constexpr double kWorthTelling = 1.02;
  std::string text;
  for (const LayoutChoice& choice : choices) {
    for (const runtime::LayoutStanding& standing : choice.candidates) {
      if (standing.layout != choice.layout || standing.relative <= 0) continue;
      const double gain = 1 / standing.relative;
      if (gain < kWorthTelling) continue;
      text += fmt::format("{} {} by {} {:.2f}x", text.empty() ? "Gained by layouts:" : ",",
                          choice.name(), choice.layout_text(), gain);
    }
  }
  return text.empty() ? text : text + ".\n";
}

std::vector<std::vector<std::string>> layout_rows(const std::vector<LayoutChoice>& choices) {
  std::vector<std::vector<std::string>> rows = {
      {"operand", "layout", "sums over the default's", "why"}};
  for (const LayoutChoice& choice : choices)
    rows.push_back({choice.name(), choice.layout_text(), standings_text(choice), choice.why});
  return rows;
}

}  // namespace lathe::tools
