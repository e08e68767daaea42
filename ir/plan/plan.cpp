// A plan's table of variables, and its steps.
#include "ir/plan/plan.h"

#include <algorithm>
#include <cassert>

namespace lathe::ir::plan {

void append(Body& body, Loop loop) { body.push_back({std::move(loop)}); }
void append(Body& body, Call call) { body.push_back({std::move(call)}); }

int Plan::find(const std::string& name) const {
  const auto found = std::find(variables.begin(), variables.end(), name);
  return found == variables.end() ? -1 : static_cast<int>(found - variables.begin());
}

int Plan::input(const std::string& name) {
  if (const int index = find(name); index >= 0) return index;
  assert(inputs == static_cast<int>(variables.size()) && "inputs come before loop variables");
  variables.push_back(name);
  return inputs++;
}

int Plan::loop_variable(const std::string& name) {
  if (const int index = find(name); index >= 0) return index;
  variables.push_back(name);
  return static_cast<int>(variables.size()) - 1;
}

}  // namespace lathe::ir::plan
