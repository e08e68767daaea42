// Runs a plan: serial loops here, parallel loops on the pool, calls through the programs' slots.
#include "runtime/launch/launch.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "ir/plan/iteration_space.h"
#include "runtime/cpu/float_environment.h"
#include "support/large_memory.h"

namespace lathe::runtime {
namespace {

namespace plan = ir::plan;

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
      : kernel_(kernel), call_(call), pool_(pool), workers_(pool.threads()) {}

  Status run() {
    Variables variables;
    std::copy_n(call_.variables.begin(), kernel_.plan.inputs, variables.begin());
    LATHE_CHECK(reserve_scratch(environment(variables)));
    body(kernel_.plan.body, variables, 0, /*parallel_allowed=*/true);
    return {};
  }

 private:
  using Variables = std::array<int64_t, BoundCall::kMaxVariables>;

  // One arena: shared scratch first, then each worker's own.
  Status reserve_scratch(const plan::Environment& inputs) {
    if (kernel_.plan.scratch.empty()) return {};
    int64_t shared = 0, own = 0;
    for (const plan::Scratch& scratch : kernel_.plan.scratch) {
      int64_t& sum = scratch.per_worker ? own : shared;
      scratch_offsets_.push_back(sum);
      sum += aligned(inputs.value(scratch.bytes));
    }
    thread_local Arena arena;
    worker_bytes_ = own;
    workers_ = plan::workers_with_room(kernel_.plan, shared, own, pool_.threads());
    shared_ = arena.reserve(shared + own * workers_);
    if (shared_ == nullptr) {
      return fail(ErrorCode::resource_exhausted, "{}: no {} bytes of working memory",
                  kernel_.problem.line(), shared + own * workers_);
    }
    own_ = shared_ + shared;
    return {};
  }

  plan::Environment environment(Variables& variables) const {
    return {variables.data(), call_.pointers.data()};
  }

  void body(const plan::Body& steps, Variables& variables, int worker, bool parallel_allowed) {
    const plan::Environment here = environment(variables);
    for (const plan::Step& step : steps) {
      if (const auto* call = std::get_if<plan::Call>(&step.value)) {
        invoke(*call, here, worker);
      } else if (const auto* let = std::get_if<plan::Let>(&step.value)) {
        variables[static_cast<size_t>(let->variable)] = here.value(let->value);
      } else {
        const auto& loop = std::get<plan::Loop>(step.value);
        if (loop.parallel && parallel_allowed && workers_ > 1) {
          parallel(loop, variables);
        } else {
          const int64_t end = here.value(loop.end);
          const int64_t block = std::max<int64_t>(1, here.value(loop.block));
          for (int64_t i = here.value(loop.begin); i < end; i += block) {
            variables[static_cast<size_t>(loop.variable)] = i;
            body(loop.body, variables, worker, parallel_allowed && !loop.parallel);
          }
        }
      }
    }
  }

  void parallel(const plan::Loop& outermost, Variables& variables) {
    const plan::IterationSpace space(outermost, environment(variables));
    const auto iteration = [&](int64_t index, int worker) {
      Variables own;
      std::copy_n(variables.begin(), kernel_.plan.variables.size(), own.begin());
      space.enter(index, environment(own));
      body(space.body(), own, worker, false);
    };
    if (workers_ == pool_.threads()) return pool_.parallel_for(space.size(), iteration);
    // As many as have room, each taking what is next.
    std::atomic<int64_t> next = 0;
    pool_.parallel_for(workers_, [&](int64_t worker, int) {
      for (int64_t index = next++; index < space.size(); index = next++)
        iteration(index, static_cast<int>(worker));
    });
  }

  void invoke(const plan::Call& call, const plan::Environment& here, int worker) {
    std::array<uint64_t, BoundCall::kMaxSlots> slots;
    size_t slot = 0;
    for (const auto& [name, place] : call.buffers) {
      std::byte* base = place.kind == plan::Place::Kind::operand
                            ? call_.pointers[static_cast<size_t>(place.index)]
                            : scratch(place.index, worker);
      slots[slot++] = reinterpret_cast<uint64_t>(base + here.value(place.offset));
    }
    for (const auto& [name, value] : call.parameters)
      slots[slot++] = static_cast<uint64_t>(here.value(value));
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
  int workers_;  ///< as many as the pool has threads, or as have room
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
