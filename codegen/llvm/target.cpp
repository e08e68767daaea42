// Finds machines by name in LLVM's tables and states their lanes, registers and extensions.
#include "codegen/llvm/target.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

#include "codegen/llvm/machine.h"

namespace ll = ::llvm;

namespace lathe::codegen::llvm {
namespace {

using support::Isa;
using support::IsaMask;

struct Feature {
  std::string_view name;  ///< LLVM's
  Isa isa;
};

constexpr std::array kX86Features = {
    Feature{"sse3", Isa::sse3},         Feature{"ssse3", Isa::ssse3},
    Feature{"sse4.1", Isa::sse4_1},     Feature{"sse4.2", Isa::sse4_2},
    Feature{"popcnt", Isa::popcnt},     Feature{"avx", Isa::avx},
    Feature{"f16c", Isa::f16c},         Feature{"fma", Isa::fma},
    Feature{"avx2", Isa::avx2},         Feature{"bmi", Isa::bmi1},
    Feature{"bmi2", Isa::bmi2},         Feature{"lzcnt", Isa::lzcnt},
    Feature{"avxvnni", Isa::avx_vnni},  Feature{"avx512f", Isa::avx512f},
    Feature{"avx512bw", Isa::avx512bw}, Feature{"avx512dq", Isa::avx512dq},
    Feature{"avx512vl", Isa::avx512vl}, Feature{"avx512vnni", Isa::avx512_vnni},
};

constexpr std::array kAarch64Features = {
    Feature{"neon", Isa::neon},           Feature{"fullfp16", Isa::arm_fp16},
    Feature{"dotprod", Isa::arm_dotprod}, Feature{"i8mm", Isa::arm_i8mm},
    Feature{"bf16", Isa::arm_bf16},       Feature{"sve", Isa::arm_sve},
};

// Extensions that code generation might reach for without being asked, and that either have no bit
// in IsaMask or would only make an image run on fewer machines.
constexpr std::array kX86Disabled = {"3dnow",        "3dnowa",
                                     "avx10.1-256",  "avx10.1-512",
                                     "avx512bf16",   "avx512bitalg",
                                     "avx512cd",     "avx512fp16",
                                     "avx512ifma",   "avx512vbmi",
                                     "avx512vbmi2",  "avx512vpopcntdq",
                                     "avxifma",      "avx512vp2intersect",
                                     "avxneconvert", "avxvnniint16",
                                     "avxvnniint8",  "egpr",
                                     "fma4",         "gfni",
                                     "movbe",        "ndd",
                                     "nf",           "push2pop2",
                                     "ppx",          "sse4a",
                                     "tbm",          "xop",
                                     "zu",           "ccmp"};

std::span<const Feature> features_of(Architecture architecture) {
  switch (architecture) {
    case Architecture::x86_64: return kX86Features;
    case Architecture::aarch64: return kAarch64Features;
    case Architecture::other: return {};
  }
  return {};
}

const ll::Target* lookup(const std::string& triple) {
  initialize_llvm();
  std::string ignored;
  return ll::TargetRegistry::lookupTarget(triple, ignored);
}

std::unique_ptr<ll::MCSubtargetInfo> subtarget(const std::string& triple, std::string_view cpu,
                                               std::string_view features) {
  const ll::Target* target = lookup(triple);
  if (target == nullptr) return nullptr;
  return std::unique_ptr<ll::MCSubtargetInfo>(
      target->createMCSubtargetInfo(triple, ll::StringRef(cpu), ll::StringRef(features)));
}

bool has_feature(const ll::MCSubtargetInfo& info, std::string_view feature) {
  // checkFeatures complains on stderr about names it does not know; ours are looked up first.
  for (const auto& known : info.getAllProcessorFeatures())
    if (feature == known.Key) return info.checkFeatures("+" + std::string(feature));
  return false;
}

IsaMask isa_of(const ll::MCSubtargetInfo& info, Architecture architecture) {
  IsaMask mask;
  for (const Feature& feature : features_of(architecture))
    if (has_feature(info, feature.name)) mask |= feature.isa;
  return mask;
}

std::vector<std::string> cpu_names(const ll::MCSubtargetInfo& info) {
  std::vector<std::string> names;
  for (const auto& cpu : info.getAllProcessorDescriptions()) names.emplace_back(cpu.Key);
  return names;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// "did you mean …" where something is near, else every name: what to do must be in the message.
std::string suggestions(std::string_view wanted, const std::vector<std::string>& names) {
  std::vector<std::string> near;
  for (const std::string& name : names) {
    const unsigned distance = ll::StringRef(wanted).edit_distance(name, true, 3);
    if (distance <= 2 || (wanted.size() >= 3 && name.starts_with(wanted))) near.push_back(name);
  }
  if (!near.empty()) return "did you mean " + join(near) + "?";
  return "known are " + join(names);
}

std::string host_triple() {
  return ll::Triple(ll::sys::getProcessTriple()).getArchName().str() + "-linux-gnu";
}

Status check_features(std::string_view features, const ll::MCSubtargetInfo& info,
                      std::string_view text) {
  std::vector<std::string> names;
  for (const auto& known : info.getAllProcessorFeatures()) names.emplace_back(known.Key);
  while (!features.empty()) {
    const std::string_view item = features.substr(0, features.find(','));
    features.remove_prefix(std::min(features.size(), item.size() + 1));
    const std::string_view name = item.substr(std::min<size_t>(1, item.size()));
    if ((!item.starts_with('+') && !item.starts_with('-')) ||
        std::find(names.begin(), names.end(), name) == names.end()) {
      return fail(ErrorCode::not_found,
                  "machine '{}': found feature '{}', expected '+name' or '-name'; {}", text, item,
                  suggestions(name, names));
    }
  }
  return {};
}

Result<Machine> make_machine(std::string triple, std::string cpu, std::string features,
                             std::string_view text) {
  const ll::Triple parsed(triple);
  if (parsed.getArch() == ll::Triple::UnknownArch)
    return fail(ErrorCode::not_found,
                "machine '{}': unknown architecture '{}'; expected a triple such as "
                "x86_64-linux-gnu or aarch64-linux-gnu",
                text, parsed.getArchName().str());
  if (!parsed.isArch64Bit() || !parsed.isLittleEndian() || parsed.isAMDGPU() || parsed.isNVPTX() ||
      parsed.isWasm() || parsed.isSPIRV())
    return fail(ErrorCode::unsupported,
                "machine '{}': found architecture '{}', expected a 64-bit little-endian CPU, "
                "e.g. x86_64-linux-gnu or aarch64-linux-gnu",
                text, parsed.getArchName().str());
  Machine machine;
  machine.triple = std::move(triple);
  if (parsed.getArch() == ll::Triple::x86_64) machine.architecture = Architecture::x86_64;
  if (parsed.getArch() == ll::Triple::aarch64) machine.architecture = Architecture::aarch64;
  machine.cpu = std::move(cpu);
  if (machine.cpu.empty())
    machine.cpu = machine.architecture == Architecture::x86_64 ? "x86-64" : "generic";

  auto info = subtarget(machine.triple, "", "");
  if (info == nullptr)
    return fail(ErrorCode::not_found,
                "machine '{}': this build of LLVM has no architecture '{}'; try x86_64-linux-gnu "
                "or aarch64-linux-gnu",
                text, parsed.getArchName().str());
  if (!info->isCPUStringValid(machine.cpu))
    return fail(ErrorCode::not_found, "machine '{}': unknown CPU '{}' of {}; {}", text, machine.cpu,
                machine.triple, suggestions(machine.cpu, cpu_names(*info)));
  LATHE_CHECK(check_features(features, *info, text));
  machine.features = std::move(features);

  if (machine.architecture == Architecture::x86_64) {
    info = subtarget(machine.triple, machine.cpu, machine.features);
    for (const char* feature : kX86Disabled)
      if (has_feature(*info, feature))
        machine.disabled += (machine.disabled.empty() ? "-" : ",-") + std::string(feature);
  }
  info = subtarget(machine.triple, machine.cpu, machine.all_features());
  machine.isa = isa_of(*info, machine.architecture);
  return machine;
}

// The CPU's name says more than its extensions (latencies), but a hypervisor, an emulator or the
// operating system may hide some: the difference goes into the features.
Result<Machine> host_machine() {
  const std::string triple = host_triple();
  std::string cpu = ll::sys::getHostCPUName().str();
  const auto bare = subtarget(triple, "", "");
  if (bare == nullptr || !bare->isCPUStringValid(cpu)) cpu.clear();
  LATHE_TRY(Machine named, make_machine(triple, cpu, "", "host"));
  const IsaMask usable = support::host().isa;
  std::string features;
  for (const Feature& feature : features_of(named.architecture)) {
    if (usable.contains(feature.isa) == named.has(feature.isa)) continue;
    features += features.empty() ? "" : ",";
    features += usable.contains(feature.isa) ? '+' : '-';
    features += feature.name;
  }
  return make_machine(triple, named.cpu, features, "host");
}

ir::Target to_target(const Machine& machine) {
  ir::Target target;
  target.name = "llvm";
  target.isa = ir::Isa::generic;
  target.cpu = machine.text();
  switch (machine.architecture) {
    case Architecture::x86_64: {
      const bool avx512 =
          machine.has(Isa::avx512f | Isa::avx512bw | Isa::avx512dq | IsaMask(Isa::avx512vl));
      target.lanes = avx512 ? 16 : machine.has(Isa::avx2) ? 8 : 4;
      target.vector_registers = avx512 ? 32 : 16;
      target.mask_registers = avx512 ? 7 : 0;
      target.general_registers = 14;
      target.fused = machine.has(Isa::fma);
      target.f16c = machine.has(Isa::f16c);
      target.vnni = machine.has(Isa::avx_vnni) || (avx512 && machine.has(Isa::avx512_vnni));
      break;
    }
    case Architecture::aarch64:
      target.lanes = 4;
      target.vector_registers = 32;
      target.general_registers = 28;
      target.fused = true;
      target.f16c = true;
      break;
    case Architecture::other:
      target.lanes = 1;
      target.vector_registers = 32;
      target.general_registers = 14;
      break;
  }
  return target;
}

}  // namespace

void initialize_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    ll::InitializeAllTargetInfos();
    ll::InitializeAllTargets();
    ll::InitializeAllTargetMCs();
    ll::InitializeAllAsmPrinters();
    ll::InitializeAllDisassemblers();
    ll::InitializeAllTargetMCAs();
  });
}

std::string Machine::all_features() const {
  return features.empty() || disabled.empty() ? features + disabled : features + "," + disabled;
}

std::string Machine::text() const {
  return triple + ":" + cpu + (features.empty() ? "" : ":" + features);
}

Result<Machine> find_machine(std::string_view text) {
  initialize_llvm();
  if (text.empty() || text == "host" || text == "native") {
    static const Result<Machine> host = host_machine();
    return host;
  }
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    std::string_view cpu = text.substr(colon + 1), features;
    if (const size_t second = cpu.find(':'); second != std::string_view::npos) {
      features = cpu.substr(second + 1);
      cpu = cpu.substr(0, second);
    }
    return make_machine(std::string(text.substr(0, colon)), std::string(cpu), std::string(features),
                        text);
  }

  std::vector<std::string> names;
  for (const std::string& triple :
       {host_triple(), std::string("x86_64-linux-gnu"), std::string("aarch64-linux-gnu")}) {
    const auto info = subtarget(triple, "", "");
    if (info == nullptr) continue;
    if (info->isCPUStringValid(ll::StringRef(text)))
      return make_machine(triple, std::string(text), "", text);
    if (triple == host_triple() && !names.empty()) continue;
    for (std::string& name : cpu_names(*info))
      if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(std::move(name));
  }
  if (ll::Triple(ll::StringRef(text)).getArch() != ll::Triple::UnknownArch)
    return make_machine(std::string(text), "", "", text);
  return fail(ErrorCode::not_found,
              "found machine '{}', expected a CPU, a triple or triple:cpu such as "
              "aarch64-linux-gnu:cortex-a76; {}",
              text, suggestions(text, names));
}

Result<Machine> machine_of(const ir::Target& target) {
  if (target.isa != ir::Isa::generic)
    return fail(ErrorCode::unsupported,
                "backend llvm emits for targets named 'llvm'; found target '{}': use the x86 "
                "backend, or build the program for a target of codegen::llvm::target_for",
                target.name);
  return find_machine(target.cpu);
}

ir::Target host_target() {
  // Every host that this builds on is one LLVM knows; a target without vectors is right for others.
  static const ir::Target target = [] {
    const auto machine = find_machine("host");
    return to_target(machine ? *machine : Machine{});
  }();
  return target;
}

Result<ir::Target> target_for(std::string_view cpu_or_triple) {
  LATHE_TRY(const Machine machine, find_machine(cpu_or_triple));
  return to_target(machine);
}

}  // namespace lathe::codegen::llvm
