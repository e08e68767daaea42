// Runs LLVM's machine-code analyser over a loop, twice as long the second time: the difference is
// its steady state.
#include "codegen/llvm/mca.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <llvm/MC/MCSchedule.h>
#include <llvm/MCA/Context.h>
#include <llvm/MCA/CustomBehaviour.h>
#include <llvm/MCA/HWEventListener.h>
#include <llvm/MCA/InstrBuilder.h>
#include <llvm/MCA/Pipeline.h>
#include <llvm/MCA/SourceMgr.h>

#include "codegen/llvm/machine.h"
#include "codegen/llvm/mc_tools.h"

namespace lathe::codegen::llvm {
namespace {

namespace ll = ::llvm;

// Adds up what issued instructions occupy.
class Pressure final : public ll::mca::HWEventListener {
 public:
  using ll::mca::HWEventListener::onEvent;
  void onEvent(const ll::mca::HWInstructionEvent& event) override {
    if (event.Type == ll::mca::HWInstructionEvent::Dispatched)
      uops += static_cast<const ll::mca::HWInstructionDispatchedEvent&>(event).MicroOpcodes;
    if (event.Type != ll::mca::HWInstructionEvent::Issued) return;
    const auto& issued = static_cast<const ll::mca::HWInstructionIssuedEvent&>(event);
    for (const auto& [resource, cycles] : issued.UsedResources)
      busy[resource.first] +=
          static_cast<double>(cycles.getNumerator()) / static_cast<double>(cycles.getDenominator());
  }
  std::map<uint64_t, double> busy;  ///< by the resource's number in the model
  double uops = 0;
};

struct Run {
  double cycles = 0, uops = 0;
  std::map<uint64_t, double> busy;
};

Result<Run> simulate(McTools& tools, const std::vector<Decoded>& loop, unsigned iterations) {
  const ll::MCSchedModel& model = tools.subtarget->getSchedModel();
  ll::mca::InstrumentManager instruments(*tools.subtarget, *tools.instructions);
  ll::mca::InstrBuilder builder(*tools.subtarget, *tools.instructions, *tools.registers,
                                tools.analysis.get(), instruments, /*CallLatency=*/100);
  std::vector<std::unique_ptr<ll::mca::Instruction>> lowered;
  for (const Decoded& decoded : loop) {
    auto instruction = builder.createInstruction(decoded.inst, {});
    if (!instruction)
      return fail(ErrorCode::unsupported, "the model of {} does not know an instruction: {}",
                  tools.subtarget->getCPU().str(), ll::toString(instruction.takeError()));
    lowered.push_back(std::move(*instruction));
  }
  ll::mca::CircularSourceMgr source(lowered, iterations);
  ll::mca::CustomBehaviour behaviour(*tools.subtarget, source, *tools.instructions);
  ll::mca::Context context(*tools.registers, *tools.subtarget);
  const ll::mca::PipelineOptions options(0, 0, model.IssueWidth, 0, 0, 0, /*NoAlias=*/true);
  auto pipeline = model.isOutOfOrder() ? context.createDefaultPipeline(options, source, behaviour)
                                       : context.createInOrderPipeline(options, source, behaviour);
  Pressure pressure;
  pipeline->addEventListener(&pressure);
  auto cycles = pipeline->run();
  if (!cycles)
    return fail(ErrorCode::internal, "the simulation stopped: {}",
                ll::toString(cycles.takeError()));
  return Run{static_cast<double>(*cycles), pressure.uops, std::move(pressure.busy)};
}

}  // namespace

Result<McaReport> throughput(std::span<const std::byte> loop, std::string_view cpu,
                             std::string_view triple) {
  if (loop.empty())
    return fail(ErrorCode::invalid_argument, "found no code, expected one iteration of a loop");
  LATHE_TRY(std::unique_ptr<McTools> tools, make_mc_tools(triple, cpu));
  const ll::MCSchedModel& model = tools->subtarget->getSchedModel();
  if (!model.hasInstrSchedModel())
    return fail(ErrorCode::unsupported,
                "LLVM has no scheduling model of CPU '{}'; try skylake, znver3 or cortex-a57", cpu);
  LATHE_TRY(const std::vector<Decoded> decoded, decode_raw(*tools, loop));

  constexpr unsigned kIterations = 100;
  LATHE_TRY(const Run warm, simulate(*tools, decoded, kIterations));
  LATHE_TRY(const Run full, simulate(*tools, decoded, 2 * kIterations));

  McaReport report;
  report.cycles_per_iteration = (full.cycles - warm.cycles) / kIterations;
  report.uops_per_iteration = (full.uops - warm.uops) / kIterations;
  report.dispatch_width = static_cast<int>(model.IssueWidth);

  for (unsigned kind = 1; kind < model.getNumProcResourceKinds(); ++kind) {
    const ll::MCProcResourceDesc& resource = *model.getProcResource(kind);
    const auto used = full.busy.find(kind);
    if (used == full.busy.end() || resource.SubUnitsIdxBegin != nullptr) continue;
    const auto before = warm.busy.find(kind);
    const double cycles = used->second - (before == warm.busy.end() ? 0 : before->second);
    report.ports.push_back({resource.Name, cycles / kIterations / resource.NumUnits});
  }
  std::sort(report.ports.begin(), report.ports.end(),
            [](const McaPort& a, const McaPort& b) { return a.cycles > b.cycles; });
  return report;
}

}  // namespace lathe::codegen::llvm
