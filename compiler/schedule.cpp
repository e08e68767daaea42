// Looking up and setting knobs.
#include "compiler/schedule.h"

#include <algorithm>
#include <cassert>

namespace lathe::compiler {
namespace {

template <typename Knobs>
auto find(Knobs& knobs, std::string_view name) {
  return std::find_if(knobs.begin(), knobs.end(),
                      [&](const auto& knob) { return knob.first == name; });
}

}  // namespace

int64_t Schedule::operator[](std::string_view knob) const {
  const auto found = find(knobs_, knob);
  assert(found != knobs_.end() && "no such knob");
  return found->second;
}

bool Schedule::has(std::string_view knob) const { return find(knobs_, knob) != knobs_.end(); }

void Schedule::set(std::string_view knob, int64_t value) {
  const auto found = find(knobs_, knob);
  if (found != knobs_.end()) {
    found->second = value;
  } else {
    knobs_.emplace_back(knob, value);
  }
}

}  // namespace lathe::compiler
