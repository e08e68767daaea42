// A plan's table of variables, and its steps.
#include "ir/plan/plan.h"

#include <algorithm>
#include <cassert>

namespace lathe::ir::plan {

Loop::Loop(int variable, Expr begin, Expr end, Expr block, bool parallel)
    : Loop(variable, std::move(begin), std::move(end), std::move(block), parallel, {}) {}

Loop::Loop(int variable, Expr begin, Expr end, Expr block, bool parallel, Body body)
    : variable(variable),
      begin(std::move(begin)),
      end(std::move(end)),
      block(std::move(block)),
      parallel(parallel),
      body(std::move(body)) {}

bool Loop::operator==(const Loop&) const = default;

void append(Body& body, Loop loop) { body.push_back({std::move(loop)}); }
void append(Body& body, Let let) { body.push_back({std::move(let)}); }
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

Place Plan::add_operand(Operand operand) {
  operands.push_back(std::move(operand));
  return {Place::Kind::operand, static_cast<int>(operands.size()) - 1};
}

Place Plan::add_scratch(Scratch entry) {
  scratch.push_back(std::move(entry));
  return {Place::Kind::scratch, static_cast<int>(scratch.size()) - 1};
}

int Plan::add_program(program::Program program) {
  programs.push_back(std::move(program));
  return static_cast<int>(programs.size()) - 1;
}

Place Plan::operand(std::string_view name) const {
  const auto found = std::find_if(operands.begin(), operands.end(),
                                  [&](const Operand& operand) { return operand.name == name; });
  return {Place::Kind::operand,
          found == operands.end() ? -1 : static_cast<int>(found - operands.begin())};
}

int workers_with_room(const Plan& plan, int64_t shared, int64_t own, int workers) {
  if (plan.most_scratch == 0 || own <= 0) return workers;
  const int64_t fit = (plan.most_scratch - shared) / own;
  return static_cast<int>(std::clamp<int64_t>(fit, 1, workers));
}

Expr Plan::element(std::string_view operand, const Expr& offset) const {
  const int index = this->operand(operand).index;
  const bool is_known = index >= 0;
  return Expr::element(index, is_known ? size_of(operands[static_cast<size_t>(index)].type) : 8,
                       offset);
}

namespace {

template <typename Entries>
auto find_named(Entries& entries, std::string_view name) {
  return std::find_if(entries.begin(), entries.end(),
                      [&](const auto& entry) { return entry.name == name; });
}

}  // namespace

Bindings& Bindings::at(std::string buffer, Place place) {
  const auto known = find_named(buffers_, buffer);
  if (known != buffers_.end()) {
    known->place = std::move(place);
  } else {
    buffers_.push_back({std::move(buffer), std::move(place)});
  }
  return *this;
}

Bindings& Bindings::set(std::string parameter, Expr value) {
  const auto known = find_named(parameters_, parameter);
  if (known != parameters_.end()) {
    known->value = std::move(value);
  } else {
    parameters_.push_back({std::move(parameter), std::move(value)});
  }
  return *this;
}

const Place* Bindings::place(std::string_view buffer) const {
  const auto known = find_named(buffers_, buffer);
  return known == buffers_.end() ? nullptr : &known->place;
}

const Expr* Bindings::value(std::string_view parameter) const {
  const auto known = find_named(parameters_, parameter);
  return known == parameters_.end() ? nullptr : &known->value;
}

Call bind(const Plan& plan, int program, const Bindings& bindings) {
  Call call{program};
  const program::Program& callee = plan.programs[static_cast<size_t>(program)];
  for (const program::Buffer& buffer : callee.buffers)
    if (const Place* place = bindings.place(buffer.name))
      call.buffers.push_back({buffer.name, *place});
  for (const program::Parameter& parameter : callee.parameters)
    if (const Expr* value = bindings.value(parameter.name))
      call.parameters.push_back({parameter.name, *value});
  return call;
}

}  // namespace lathe::ir::plan
