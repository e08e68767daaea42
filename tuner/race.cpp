// Rounds of batches; see statistics.h for why they are decided as they are.
#include "tuner/race.h"

#include <algorithm>
#include <chrono>

#include "support/hardware.h"
#include "support/interrupt.h"
#include "tuner/inputs.h"
#include "tuner/statistics.h"

namespace lathe::tuner {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kSeed = 1;
constexpr int64_t kCacheMultiple = 4;
constexpr int64_t kLeastColdBytes = int64_t{64} << 20;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A racer's calls, bound once: the checks of a launch are not part of what schedules differ in.
struct Lane {
  std::vector<runtime::BoundCall> calls;  ///< one a buffer set
  int64_t repeats = 1;
};

// `next`: the buffer set whose turn it is. All racers share it: one that began where another had
// just been would find part of its operands in a cache.
Status run(const Racer& racer, const Lane& lane, int64_t count, size_t& next,
           runtime::ThreadPool& pool, const StandIn& stand_in) {
  if (stand_in) return stand_in(racer, count);
  for (int64_t i = 0; i < count; ++i) {
    LATHE_CHECK(runtime::run_call(*racer.kernel, lane.calls[next], pool));
    next = (next + 1) % lane.calls.size();
  }
  return {};
}

}  // namespace

Result<RaceBuffers> RaceBuffers::create(const runtime::CompiledKernel& kernel,
                                        const compiler::Sizes& at, bool cold) {
  RaceBuffers buffers;
  buffers.at_ = at;
  LATHE_CHECK(check_memory(kernel.problem, at));
  LATHE_TRY(std::vector<ir::Tensor> inputs, make_inputs(kernel, at, InputKind::normal, kSeed));
  LATHE_TRY(std::vector<ir::Tensor> outputs, make_outputs(kernel, at));
  const std::vector<bool> is_table = tables_of(kernel);
  const int64_t available = support::available_memory() / 4;
  const int64_t touched = std::max<int64_t>(bytes_touched(kernel, inputs, outputs), 1);
  int64_t in_tables = 0;
  for (size_t i = 0; i < inputs.size(); ++i) in_tables += is_table[i] ? inputs[i].bytes() : 0;
  size_t sets = 1;
  int64_t wanted = 0;
  if (cold) {
    wanted = std::min(std::max(kCacheMultiple * support::host().l3_bytes, kLeastColdBytes),
                      available - in_tables);
    // One set that is twice as large as all need to be is cold each time it begins anew.
    const int64_t least = touched >= 2 * wanted ? 1 : 2;
    sets = static_cast<size_t>(std::clamp<int64_t>(wanted / touched + 1, least, 4096));
  }
  // Further copies repeat the first one's values: what counts is that they lie elsewhere, and
  // drawing random numbers for hundreds of MiB would take longer than the race. Only indices are
  // drawn anew, as all sets may share a table.
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_table[i]) continue;
    const int64_t bytes = std::max<int64_t>(inputs[i].bytes(), 1);
    const auto copies =
        static_cast<size_t>(std::clamp<int64_t>(wanted / bytes, 1, static_cast<int64_t>(sets)));
    auto& table = buffers.tables_.emplace_back();
    table.push_back(std::move(inputs[i]));
    table.resize(copies, table.front());
  }
  for (size_t set = 0; set < sets; ++set) {
    if (set > 0) redraw_indices(kernel, at, kSeed + set, inputs);
    std::vector<ir::Tensor> tensors;
    std::vector<TensorView> views;
    size_t table = 0;
    const auto add = [&](ir::Tensor& tensor) {
      views.emplace_back(tensor.data(), static_cast<DataType>(tensor.type()), tensor.shape().data(),
                         tensor.rank());
    };
    tensors.reserve(inputs.size() + outputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (is_table[i]) {
        auto& copies = buffers.tables_[table++];
        add(copies[set % copies.size()]);
      } else {
        add(tensors.emplace_back(inputs[i]));
      }
    }
    for (const ir::Tensor& output : outputs) add(tensors.emplace_back(output));
    buffers.views_.push_back(std::move(views));
    buffers.tensors_.push_back(std::move(tensors));
  }
  return buffers;
}

Result<std::vector<TensorView>> RaceBuffers::views(size_t set,
                                                   const runtime::CompiledKernel& kernel) const {
  LATHE_TRY(const auto shapes, operand_shapes(kernel.operands, at_));
  const std::vector<TensorView>& own = views_[set];
  if (shapes.size() != own.size()) {
    return fail(ErrorCode::internal, "{}: {} operands, the buffers have {}", kernel.problem.line(),
                shapes.size(), own.size());
  }
  const auto bytes = [](const TensorView& view) {
    int64_t elements = 1;
    for (int i = 0; i < view.rank; ++i) elements *= view.shape[i];
    return ir::bytes_of(static_cast<ir::Type>(view.type), elements);
  };
  std::vector<TensorView> views;
  for (size_t i = 0; i < shapes.size(); ++i) {
    views.emplace_back(own[i].data, own[i].type, shapes[i].data(),
                       static_cast<int>(shapes[i].size()));
    const bool fits = static_cast<ir::Type>(own[i].type) == kernel.operands[i].type &&
                      bytes(views.back()) <= bytes(own[i]);
    if (!fits) {
      return fail(ErrorCode::internal, "{}: its operand {} does not fit into the buffers' {} bytes",
                  kernel.problem.line(), kernel.operands[i].name, bytes(own[i]));
    }
  }
  return views;
}

Status race(std::vector<Racer>& racers, const RaceBuffers& buffers, runtime::ThreadPool& pool,
            const RaceOptions& options, const std::function<void(size_t)>& dropped) {
  std::vector<Lane> lanes(racers.size());
  size_t next = 0;
  const auto begin = Clock::now();
  for (size_t i = 0; i < racers.size(); ++i) {
    for (size_t set = 0; set < buffers.sets(); ++set) {
      LATHE_TRY(const auto views, buffers.views(set, *racers[i].kernel));
      LATHE_TRY(runtime::BoundCall call,
                runtime::bind_call(*racers[i].kernel, views, pool.threads()));
      lanes[i].calls.push_back(call);
    }
    // Repeats are doubled until a batch is long enough; this is the warm-up, too.
    for (double time = 0;; lanes[i].repeats *= 2) {
      const auto start = Clock::now();
      LATHE_CHECK(run(racers[i], lanes[i], lanes[i].repeats, next, pool, options.stand_in));
      time = since(start);
      if (time >= options.batch_seconds) break;
    }
  }
  size_t running = 0;
  for (const Racer& racer : racers) running += racer.dropped ? 0 : 1;
  for (int round = 0; round < options.max_rounds; ++round) {
    const bool late = round >= options.min_rounds && since(begin) > options.seconds;
    if (round > 0 && (late || support::interrupted())) break;
    for (size_t k = 0; k < racers.size(); ++k) {
      const size_t i = (k + static_cast<size_t>(round)) % racers.size();
      if (racers[i].dropped) continue;
      const auto start = Clock::now();
      LATHE_CHECK(run(racers[i], lanes[i], lanes[i].repeats, next, pool, options.stand_in));
      racers[i].batches_ns.push_back(since(start) * 1e9 / static_cast<double>(lanes[i].repeats));
    }
    if (round + 1 < options.rounds_before_dropping) continue;
    size_t leader = racers.size();
    double best = 0;
    for (size_t i = 0; i < racers.size(); ++i) {
      if (racers[i].dropped) continue;
      const double time = median(racers[i].batches_ns);
      if (leader == racers.size() || time < best) leader = i, best = time;
    }
    for (size_t i = 0; i < racers.size(); ++i) {
      if (racers[i].dropped || racers[i].keep || i == leader) continue;
      if (!clearly_slower(racers[i].batches_ns, racers[leader].batches_ns)) continue;
      racers[i].dropped = true;
      --running;
      dropped(i);
    }
    if (running <= 1 && racers.size() > 1 && options.stop_when_decided) break;
  }
  return {};
}

}  // namespace lathe::tuner
