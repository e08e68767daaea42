// Sums over passes.
#include "tools/qwen3vl_tune/pass_summary.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "compiler/family.h"
#include "tools/common/arguments.h"
#include "tools/common/output.h"

namespace lathe::tools {
namespace {

constexpr size_t kMostGains = 5;
constexpr double kWorthTelling = 1.02;

int64_t tokens_of(const std::string& pass) {
  int64_t tokens = 0;
  const auto [end, error] = std::from_chars(pass.data(), pass.data() + pass.size(), tokens);
  return error == std::errc{} && std::string_view(end).starts_with(" token") ? tokens : 0;
}

std::string parts_text(const PassSummary& pass) {
  std::string text;
  double rest = 1;
  for (size_t i = 0; i < std::min<size_t>(pass.parts.size(), 3); ++i) {
    text += fmt::format("{} {:.0f} %, ", pass.parts[i].kind, pass.parts[i].share * 100);
    rest -= pass.parts[i].share;
  }
  return rest > 0.005 ? text + fmt::format("others {:.0f} %", rest * 100)
                      : text.substr(0, text.size() - std::min<size_t>(text.size(), 2));
}

std::string bound_text(const PassSummary& pass) {
  if (pass.memory_share >= 0.5) return fmt::format("memory ({:.0f} %)", pass.memory_share * 100);
  return fmt::format("compute ({:.0f} %)", (1 - pass.memory_share) * 100);
}

// Empty of what is a part of a pass alone: attention over a further context.
std::string rate_text(const PassSummary& pass) {
  if (pass.tokens == 0 && pass.pass != "image") return {};
  const double rate = pass.per_second();
  return fmt::format("{:.{}f} {}/s", rate,
                     rate < 10    ? 2
                     : rate < 100 ? 1
                                  : 0,
                     pass.tokens > 0 ? "tokens" : "images");
}

std::string passes_text(const std::vector<PassSummary>& passes) {
  std::vector<std::vector<std::string>> rows = {
      {"one pass", "defaults", "now", "gain", "these kernels allow", "bound by", "made of"}};
  size_t missing = 0;
  for (const PassSummary& pass : passes) {
    missing += pass.missing;
    if (pass.tuned_ns <= 0) continue;
    rows.push_back({pass.pass, format_ns(pass.default_ns), format_ns(pass.tuned_ns),
                    fmt::format("{:.2f}x", pass.default_ns / pass.tuned_ns), rate_text(pass),
                    bound_text(pass), parts_text(pass)});
  }
  if (rows.size() == 1) return {};
  std::string text = "\n" + fit_table(rows, output_columns(), {6, 5}) +
                     "All launches of a pass, attention over the longest context";
  text +=
      missing > 0 ? fmt::format("; without {} kernels that have no time yet.\n", missing) : ".\n";
  return text;
}

std::string gains_text(const std::vector<tuner::TaskResult>& tasks) {
  std::vector<const tuner::TaskResult*> gained;
  for (const tuner::TaskResult& task : tasks)
    if (task.winner && task.winner->speedup >= kWorthTelling) gained.push_back(&task);
  if (gained.empty()) return {};
  std::stable_sort(gained.begin(), gained.end(), [](const auto* a, const auto* b) {
    return a->winner->speedup > b->winner->speedup;
  });
  std::string text = "Gained most:";
  for (size_t i = 0; i < std::min(gained.size(), kMostGains); ++i) {
    const tuner::Task& task = gained[i]->task;
    text += fmt::format(
        "{} {} {:.2f}x", i == 0 ? "" : ",",
        task.pass.empty() ? task.problem.line() : fmt::format("{} ({})", task.where, task.pass),
        gained[i]->winner->speedup);
  }
  return text + ".\n";
}

std::string roof_note(const std::vector<tuner::TaskResult>& tasks) {
  const bool above = std::any_of(tasks.begin(), tasks.end(), [](const tuner::TaskResult& task) {
    return task.winner && task.winner->roofline_fraction > 1.005;
  });
  if (!above) return {};
  return "Above 100 % of a roof: the kernel's data stayed in a faster cache than the roof was\n"
         "measured over, it multiplies integers, whose peak is higher, or the machine was\n"
         "slower in the moment in which the roof was measured.\n";
}

}  // namespace

std::vector<PassSummary> summarise(const std::vector<tuner::TaskResult>& tasks) {
  std::vector<PassSummary> passes;
  std::map<std::string, size_t> places;
  std::vector<std::map<std::string, double>> kinds;
  for (const tuner::TaskResult& result : tasks) {
    for (const auto& [name, launches] : result.task.launches_in) {
      const auto [place, is_new] = places.emplace(name, passes.size());
      if (is_new) {
        passes.push_back({name, tokens_of(name), 0, 0, 0, {}});
        kinds.emplace_back();
      }
      PassSummary& pass = passes[place->second];
      ++pass.kernels;
      if (!result.winner) {
        ++pass.missing;
        continue;
      }
      const auto count = static_cast<double>(launches);
      const double ns = count * result.winner->tuned_ns;
      pass.default_ns += count * result.winner->default_ns;
      pass.tuned_ns += ns;
      if (result.winner->bound == "memory") pass.memory_share += ns;
      kinds[place->second][result.task.problem.family().name] += ns;
    }
  }
  for (size_t i = 0; i < passes.size(); ++i) {
    PassSummary& pass = passes[i];
    if (pass.tuned_ns <= 0) continue;
    pass.memory_share /= pass.tuned_ns;
    for (const auto& [kind, ns] : kinds[i]) pass.parts.push_back({kind, ns / pass.tuned_ns});
    std::stable_sort(pass.parts.begin(), pass.parts.end(),
                     [](const PassPart& a, const PassPart& b) { return a.share > b.share; });
  }
  return passes;
}

std::string summary_text(const std::vector<tuner::TaskResult>& tasks) {
  return passes_text(summarise(tasks)) + gains_text(tasks) + roof_note(tasks);
}

nlohmann::json summary_json(const std::vector<PassSummary>& passes) {
  nlohmann::json json = nlohmann::json::array();
  for (const PassSummary& pass : passes) {
    nlohmann::json parts = nlohmann::json::object();
    for (const PassPart& part : pass.parts) parts[part.kind] = part.share;
    json.push_back({{"pass", pass.pass},
                    {"default_ns", pass.default_ns},
                    {"tuned_ns", pass.tuned_ns},
                    {"per_second", pass.tuned_ns > 0 ? pass.per_second() : 0},
                    {"memory_share", pass.memory_share},
                    {"shares", std::move(parts)},
                    {"kernels", pass.kernels},
                    {"missing", pass.missing}});
  }
  return json;
}

}  // namespace lathe::tools
