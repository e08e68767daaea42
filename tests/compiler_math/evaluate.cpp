// Pads the inputs to whole vectors, calls, and cuts the results back.
#include "tests/compiler_math/evaluate.h"

#include <array>
#include <stdexcept>

#include "codegen/x86/x86_backend.h"
#include "ir/program/interpreter.h"
#include "ir/program/verifier.h"
#include "runtime/cpu/executable_memory.h"
#include "support/hardware.h"

namespace lathe::tests {
namespace {

using compiler::math::Function;
using ir::program::Program;

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

codegen::KernelImage compiled(const Program& program) {
  static const auto backend = codegen::x86::make_backend();
  return value_of(backend->compile(program));
}

size_t pad(std::vector<float>& x, const Program& program) {
  const auto lanes = static_cast<size_t>(program.target.lanes);
  x.resize((x.size() + lanes - 1) / lanes * lanes, 0.0F);
  return x.size() / lanes;
}

}  // namespace

std::vector<std::string> native_targets() {
  std::vector<std::string> targets;
  const Function& any = compiler::math::functions().front();
  for (const char* name : {"scalar", "sse", "avx2", "avx512"}) {
    const auto image = compiled(compiler::math::unary_program(any, target_named(name)));
    if (image.required_isa.without(support::host().isa).empty()) targets.emplace_back(name);
  }
  return targets;
}

std::vector<float> evaluate_natively(const Program& program, std::vector<float> x) {
  if (const Status status = ir::program::verify(program); !status)
    throw std::runtime_error(status.error().message);
  const size_t size = x.size(), vectors = pad(x, program);
  const codegen::KernelImage image = compiled(program);
  const auto memory = value_of(runtime::ExecutableMemory::map(image.code));
  std::vector<float> y(x.size());
  const uint64_t slots[] = {reinterpret_cast<uint64_t>(x.data()),
                            reinterpret_cast<uint64_t>(y.data()), vectors};
  memory.entry<ir::program::KernelFunction>(image.entry)(slots);
  y.resize(size);
  return y;
}

std::vector<float> evaluate_by_interpreter(const Program& program, std::vector<float> x) {
  const size_t size = x.size();
  const std::array parameters = {static_cast<int64_t>(pad(x, program))};
  std::vector<float> y(x.size());
  const auto bytes = static_cast<int64_t>(x.size() * sizeof(float));
  const std::array buffers = {
      ir::program::BufferView{reinterpret_cast<std::byte*>(x.data()), bytes, 0},
      ir::program::BufferView{reinterpret_cast<std::byte*>(y.data()), bytes, 0}};
  value_of(ir::program::interpret(program, buffers, parameters));
  y.resize(size);
  return y;
}

const Function& function_named(std::string_view name) {
  for (const Function& function : compiler::math::functions())
    if (function.name == name) return function;
  throw std::runtime_error("no function is named " + std::string(name));
}

ir::Target target_named(std::string_view name) { return value_of(ir::parse_target(name)); }

}  // namespace lathe::tests
