// JSON fields; docs/json.md lists them. Fields are added, never renamed.
#include "tools/common/kernel_json.h"

#include "compiler/family.h"
#include "support/text.h"
#include "tools/common/arguments.h"

namespace lathe::tools {

using Json = nlohmann::json;

Json host_json(const support::Hardware& hardware) {
  return {{"name", hardware.name},
          {"vendor", hardware.vendor},
          {"microarchitecture", hardware.microarchitecture},
          {"isa", support::to_string(hardware.isa)},
          {"identity", support::identity(hardware)},
          {"l1d_bytes", hardware.l1d_bytes},
          {"l2_bytes", hardware.l2_bytes},
          {"l3_bytes", hardware.l3_bytes},
          {"physical_cores", hardware.physical_cores},
          {"available_cores", hardware.available_cores},
          {"available_cpus", hardware.available_cpus},
          {"smt", hardware.smt},
          {"memory_bytes", hardware.total_memory_bytes},
          {"hypervisor", hardware.hypervisor}};
}

Json problem_json(const compiler::Problem& problem, const compiler::Sizes& at) {
  Json dims = Json::object(), types = Json::object();
  for (const compiler::ParameterSpec& parameter : problem.family().parameters) {
    if (std::holds_alternative<int64_t>(parameter.default_value))
      dims[parameter.name] = problem.integer(parameter.name);
  }
  for (const auto& [name, size] : at) dims[name] = size;
  if (auto graph = problem.family().reference(problem)) {
    for (const auto* list : {&graph->inputs, &graph->outputs})
      for (ir::graph::ValueId id : *list)
        types[graph->value(id).name] = ir::name(graph->type(id).element);
  }
  return {{"problem", problem.line()},
          {"family", problem.family().name},
          {"dims", dims},
          {"types", types},
          {"epilogue", problem.has("epilogue") ? problem.text("epilogue") : ""}};
}

Json kernel_json(const compiler::Problem& problem, const compiler::Sizes& at, const store::Key& key,
                 const store::Winner& winner, const std::string& match) {
  Json json = problem_json(problem, at);
  json.update({{"at", compiler::print(at)},
               {"target", key.target},
               {"threads", key.threads},
               {"cache", key.cache},
               {"schedule", winner.schedule},
               {"default_ns", winner.default_ns},
               {"tuned_ns", winner.tuned_ns},
               {"speedup", winner.speedup},
               {"gflops", winner.gflops},
               {"gbytes_per_s", winner.gbytes_per_s},
               {"roof_gflops", winner.roof_gflops},
               {"roof_gbytes_per_s", winner.roof_gbytes_per_s},
               {"roofline_fraction", winner.roofline_fraction},
               {"bound", winner.bound},
               {"trials", winner.trials},
               {"verified", winner.verified},
               {"match", match},
               {"confidence", winner.confidence},
               {"runner_up", winner.runner_up},
               {"runner_up_ns", winner.runner_up_ns},
               {"why", winner.why}});
  return json;
}

std::string explain_text(const store::Key& key, const store::Winner& winner) {
  const auto safe = [](const std::string& field) { return support::printable(field); };
  std::string text = fmt::format("{}\n  at {}, target {}, {} thread{}, {} caches\n",
                                 safe(key.problem), safe(key.at), safe(key.target), key.threads,
                                 key.threads == 1 ? "" : "s", safe(key.cache));
  text += fmt::format("  schedule   {}\n", safe(winner.schedule));
  text += fmt::format("  time       {} (default {}, {:.2f}x)\n", format_ns(winner.tuned_ns),
                      format_ns(winner.default_ns), winner.speedup);
  text += fmt::format(
      "  roofline   {:.0f} % of the {} roof: {:.1f} of {:.1f} GB/s, {:.1f} of {:.1f} GFLOP/s\n",
      winner.roofline_fraction * 100, safe(winner.bound), winner.gbytes_per_s,
      winner.roof_gbytes_per_s, winner.gflops, winner.roof_gflops);
  if (!winner.runner_up.empty()) {
    text += fmt::format("  runner-up  {}: {} ({:+.1f} %), sure to {:.3f}\n", safe(winner.runner_up),
                        format_ns(winner.runner_up_ns),
                        (winner.runner_up_ns / winner.tuned_ns - 1) * 100, winner.confidence);
  }
  text +=
      fmt::format("  why        {}\n  trials     {}\n  checked    {}\n", safe(winner.why),
                  winner.trials, winner.verified.empty() ? "not checked" : safe(winner.verified));
  return text;
}

}  // namespace lathe::tools
