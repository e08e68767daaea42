// Runs a plan: serial loops here, parallel loops on the pool, calls through the programs' slots.
#include "runtime/launch.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "runtime/float_environment.h"
#include "support/large_memory.h"

namespace lathe::runtime {
namespace {

namespace plan = ir::plan;

// Of a program: each operand and its strides, scratch, and what blocks of rows, columns and k need.
constexpr int kMaxSlots = 4 * BoundCall::kMaxOperands;
constexpr int kMaxNest = 4;

// Working memory of one thread, kept between launches.
class Arena {
 public:
  std::byte* reserve(int64_t bytes) {
    if (bytes > size_) {
      memory_ = support::large_bytes(static_cast<size_t>(bytes));
      size_ = memory_ ? bytes : 0;
    }
    return memory_.get();
  }

 private:
  support::LargeBytes memory_;
  int64_t size_ = 0;
};

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

class Runner {
 public:
  Runner(const CompiledKernel& kernel, const BoundCall& call, ThreadPool& pool)
      : kernel_(kernel), call_(call), pool_(pool) {}

  Status run() {
    LATHE_CHECK(reserve_scratch());
    Variables variables;
    std::copy_n(call_.variables.begin(), kernel_.plan.inputs, variables.begin());
    body(kernel_.plan.body, variables, 0, /*parallel_allowed=*/true);
    return {};
  }

 private:
  using Variables = std::array<int64_t, BoundCall::kMaxVariables>;

  // One arena: shared scratch first, then each worker's own.
  Status reserve_scratch() {
    if (kernel_.plan.scratch.empty()) return {};
    int64_t shared = 0, own = 0;
    for (const plan::Scratch& scratch : kernel_.plan.scratch) {
      int64_t& sum = scratch.per_worker ? own : shared;
      scratch_offsets_.push_back(sum);
      sum += aligned(scratch.bytes.evaluate(call_.variables.data()));
    }
    thread_local Arena arena;
    worker_bytes_ = own;
    shared_ = arena.reserve(shared + own * pool_.threads());
    if (shared_ == nullptr) {
      return fail(ErrorCode::resource_exhausted, "{}: no {} bytes of working memory",
                  kernel_.problem.line(), shared + own * pool_.threads());
    }
    own_ = shared_ + shared;
    return {};
  }

  void body(const plan::Body& steps, Variables& variables, int worker, bool parallel_allowed) {
    for (const plan::Step& step : steps) {
      if (const auto* call = std::get_if<plan::Call>(&step.value)) {
        invoke(*call, variables, worker);
      } else {
        const auto& loop = std::get<plan::Loop>(step.value);
        if (loop.parallel && parallel_allowed && pool_.threads() > 1) {
          parallel(loop, variables);
        } else {
          const int64_t extent = loop.extent.evaluate(variables.data());
          const int64_t block = std::max<int64_t>(1, loop.block.evaluate(variables.data()));
          for (int64_t i = 0; i < extent; i += block) {
            variables[static_cast<size_t>(loop.variable)] = i;
            body(loop.body, variables, worker, parallel_allowed && !loop.parallel);
          }
        }
      }
    }
  }

  // Directly nested parallel loops whose extents do not depend on each other become one index
  // space.
  void parallel(const plan::Loop& outermost, const Variables& variables) {
    struct Level {
      const plan::Loop* loop;
      int64_t block, trips;
    };
    std::array<Level, kMaxNest> levels{};
    int depth = 0;
    int64_t total = 1;
    for (const plan::Loop* loop = &outermost; loop != nullptr && depth < kMaxNest;) {
      const int64_t extent = loop->extent.evaluate(variables.data());
      const int64_t block = std::max<int64_t>(1, loop->block.evaluate(variables.data()));
      levels[static_cast<size_t>(depth++)] = {loop, block, (extent + block - 1) / block};
      total *= (extent + block - 1) / block;
      const plan::Loop* inner = nullptr;
      if (loop->body.size() == 1) {
        inner = std::get_if<plan::Loop>(&loop->body.front().value);
        if (inner != nullptr && !inner->parallel) inner = nullptr;
      }
      loop = inner;
    }
    pool_.parallel_for(total, [&](int64_t index, int worker) {
      Variables own;
      std::copy_n(variables.begin(), kernel_.plan.variables.size(), own.begin());
      for (int d = depth - 1; d >= 0; --d) {
        const Level& level = levels[static_cast<size_t>(d)];
        own[static_cast<size_t>(level.loop->variable)] = index % level.trips * level.block;
        index /= level.trips;
      }
      body(levels[static_cast<size_t>(depth - 1)].loop->body, own, worker, false);
    });
  }

  void invoke(const plan::Call& call, const Variables& variables, int worker) {
    std::array<uint64_t, kMaxSlots> slots;
    size_t slot = 0;
    for (const plan::Argument& argument : call.buffers) {
      std::byte* base = argument.kind == plan::Argument::Kind::operand
                            ? call_.pointers[static_cast<size_t>(argument.index)]
                            : scratch(argument.index, worker);
      slots[slot++] = reinterpret_cast<uint64_t>(base + argument.offset.evaluate(variables.data()));
    }
    for (const plan::Expr& parameter : call.parameters)
      slots[slot++] = static_cast<uint64_t>(parameter.evaluate(variables.data()));
    kernel_.functions[static_cast<size_t>(call.program)](slots.data());
  }

  std::byte* scratch(int index, int worker) const {
    const auto i = static_cast<size_t>(index);
    std::byte* base = kernel_.plan.scratch[i].per_worker ? own_ + worker * worker_bytes_ : shared_;
    return base + scratch_offsets_[i];
  }

  const CompiledKernel& kernel_;
  const BoundCall& call_;
  ThreadPool& pool_;
  std::vector<int64_t> scratch_offsets_;
  std::byte* shared_ = nullptr;
  std::byte* own_ = nullptr;
  int64_t worker_bytes_ = 0;
};

}  // namespace

Status run_call(const CompiledKernel& kernel, const BoundCall& call, ThreadPool& pool) {
  if (call.empty) return {};
  const DefaultFloatEnvironment environment;
  return Runner(kernel, call, pool).run();
}

Status launch(const CompiledKernel& kernel, std::span<const TensorView> operands,
              ThreadPool& pool) {
  if (kernel.execution == Execution::interpreted)
    return launch_interpreted(kernel, operands, pool.threads());
  BoundCall call;
  LATHE_CHECK(bind_call(kernel, operands, pool.threads(), call));
  return run_call(kernel, call, pool);
}

}  // namespace lathe::runtime
