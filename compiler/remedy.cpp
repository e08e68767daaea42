// Tries what differs in one knob, then in two or three.
#include "compiler/remedy.h"

#include <vector>

namespace lathe::compiler {
namespace {

class Search {
 public:
  Search(const SearchSpace& space, const std::function<bool(const Schedule&)>& accepts,
         const std::set<std::string, std::less<>>& wanted, size_t tries)
      : knobs_(space.knobs()), accepts_(accepts), wanted_(wanted), tries_(tries) {}

  std::string remedy(const Schedule& schedule) {
    const bool others = single(schedule);
    if (!others) {
      std::vector<std::string> settings;
      for (int count : {2, 3}) {
        if (!several(schedule, 0, count, settings)) continue;
        found_.push_back(fmt::format("{}", fmt::join(settings, " and ")));
        break;
      }
    }
    return found_.empty() ? "" : fmt::format("set {}", fmt::join(found_, ", or "));
  }

 private:
  bool is_accepted(const Schedule& schedule) {
    if (tries_ == 0) return false;
    --tries_;
    return accepts_(schedule);
  }

  // One knob at a time; whether a knob is among them that is not wanted as it is.
  bool single(Schedule schedule) {
    bool others = false;
    for (const Knob& knob : knobs_) {
      const int64_t before = schedule[knob.name];
      std::vector<std::string> names;
      for (const int64_t value : knob.values) {
        schedule.set(knob.name, value);
        if (value != before && is_accepted(schedule)) names.push_back(value_name(knob, value));
      }
      schedule.set(knob.name, before);
      if (names.empty()) continue;
      found_.push_back(fmt::format("{}={}", knob.name, fmt::join(names, " or ")));
      others = others || wanted_.count(knob.name) == 0;
    }
    return others;
  }

  // The first `count` knobs from place `from` on that are accepted together, as settings.
  bool several(Schedule schedule, size_t from, int count, std::vector<std::string>& settings) {
    if (count == 0) return is_accepted(schedule);
    for (size_t i = from; i < knobs_.size() && tries_ > 0; ++i) {
      const Knob& knob = knobs_[i];
      if (wanted_.count(knob.name) != 0) continue;
      const int64_t before = schedule[knob.name];
      for (const int64_t value : knob.values) {
        if (value == before) continue;
        schedule.set(knob.name, value);
        settings.push_back(fmt::format("{}={}", knob.name, value_name(knob, value)));
        if (several(schedule, i + 1, count - 1, settings)) return true;
        settings.pop_back();
      }
      schedule.set(knob.name, before);
    }
    return false;
  }

  const std::vector<Knob>& knobs_;
  const std::function<bool(const Schedule&)>& accepts_;
  const std::set<std::string, std::less<>>& wanted_;
  size_t tries_;
  std::vector<std::string> found_;
};

}  // namespace

std::string value_name(const Knob& knob, int64_t value) {
  const bool named = value >= 0 && static_cast<size_t>(value) < knob.choices.size();
  return named ? knob.choices[static_cast<size_t>(value)] : std::to_string(value);
}

std::string remedy(const SearchSpace& space, const Schedule& schedule,
                   const std::function<bool(const Schedule&)>& accepts,
                   const std::set<std::string, std::less<>>& wanted, size_t tries) {
  return Search(space, accepts, wanted, tries).remedy(schedule);
}

}  // namespace lathe::compiler
