// Tasks by the names of their operands.
#include "tuner/shared_tasks.h"

#include <algorithm>
#include <set>

namespace lathe::tuner {
namespace {

std::string sizes_of(const SharedTasks& one, const std::vector<Task>& tasks) {
  std::vector<std::string> parts;
  for (const std::string& name : one.candidates.operand->sizes) {
    std::set<int64_t> sizes;
    for (const size_t task : one.tasks) {
      const auto size = tasks[task].at.find(name);
      if (size != tasks[task].at.end()) sizes.insert(size->second);
    }
    if (!sizes.empty()) parts.push_back(fmt::format("{}={}", name, fmt::join(sizes, ",")));
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

}  // namespace

std::vector<SharedTasks> shared_tasks(const std::vector<Task>& tasks, const ir::Target& target) {
  std::vector<SharedTasks> all;
  for (size_t task = 0; task < tasks.size(); ++task) {
    auto candidates = compiler::shared_by(tasks[task].problem, target);
    if (!candidates) continue;
    const std::string name = candidates->name();
    auto same = std::find_if(all.begin(), all.end(), [&](const SharedTasks& other) {
      return other.candidates.name() == name;
    });
    if (same == all.end()) same = all.insert(all.end(), SharedTasks{std::move(*candidates)});
    same->tasks.push_back(task);
  }
  for (SharedTasks& one : all) one.at = sizes_of(one, tasks);
  return all;
}

}  // namespace lathe::tuner
