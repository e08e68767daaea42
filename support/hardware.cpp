// Putting the machine's facts together: cpuid for what may run, cpuinfo and sysfs for the rest.
#include "support/hardware.h"

#include <cpuinfo.h>
#include <fmt/format.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string_view>
#include <vector>

#include "support/cpuid.h"
#include "support/described_host.h"
#include "support/topology.h"

namespace lathe::support {
namespace {

constexpr std::string_view kArchitecture =
#if defined(__x86_64__)
    "x86_64";
#elif defined(__aarch64__)
    "aarch64";
#else
    "unknown";
#endif

#if defined(__aarch64__)
IsaMask arm_isa() {
  const unsigned long caps = getauxval(AT_HWCAP);
  const unsigned long caps2 = getauxval(AT_HWCAP2);
  IsaMask mask;
  const auto add = [&](bool present, Isa isa) {
    if (present) mask |= isa;
  };
  add((caps & HWCAP_ASIMD) != 0, Isa::neon);
  add((caps & HWCAP_ASIMDHP) != 0, Isa::arm_fp16);
  add((caps & HWCAP_ASIMDDP) != 0, Isa::arm_dotprod);
  add((caps & HWCAP_SVE) != 0, Isa::arm_sve);
  add((caps2 & HWCAP2_I8MM) != 0, Isa::arm_i8mm);
  add((caps2 & HWCAP2_BF16) != 0, Isa::arm_bf16);
  return mask;
}
#endif

/// cpuinfo's name for the micro-architectures that the CPUID table does not know (Arm's among
/// them).
std::string cpuinfo_microarchitecture() {
  const cpuinfo_uarch_info* uarch = cpuinfo_get_uarch(0);
  switch (uarch == nullptr ? cpuinfo_uarch_unknown : uarch->uarch) {
    case cpuinfo_uarch_cortex_a53: return "cortex-a53";
    case cpuinfo_uarch_cortex_a55: return "cortex-a55";
    case cpuinfo_uarch_cortex_a57: return "cortex-a57";
    case cpuinfo_uarch_cortex_a72: return "cortex-a72";
    case cpuinfo_uarch_cortex_a73: return "cortex-a73";
    case cpuinfo_uarch_cortex_a75: return "cortex-a75";
    case cpuinfo_uarch_cortex_a76: return "cortex-a76";
    case cpuinfo_uarch_cortex_a77: return "cortex-a77";
    case cpuinfo_uarch_cortex_a78: return "cortex-a78";
    case cpuinfo_uarch_cortex_x1: return "cortex-x1";
    case cpuinfo_uarch_neoverse_n1: return "neoverse-n1";
    case cpuinfo_uarch_neoverse_v1: return "neoverse-v1";
    case cpuinfo_uarch_neoverse_n2: return "neoverse-n2";
    case cpuinfo_uarch_firestorm: return "firestorm";
    case cpuinfo_uarch_icestorm: return "icestorm";
    case cpuinfo_uarch_zen: return "zen";
    case cpuinfo_uarch_zen2: return "zen2";
    case cpuinfo_uarch_zen3: return "zen3";
    case cpuinfo_uarch_haswell: return "haswell";
    case cpuinfo_uarch_broadwell: return "broadwell";
    case cpuinfo_uarch_sky_lake: return "skylake";
    case cpuinfo_uarch_sunny_cove: return "icelake-client";
    default: return "unknown";
  }
}

void take_cpuid_facts(Hardware& h) {
  const CpuidLeaves leaves = read_cpuid();
  if (leaves.vendor.empty()) return;
  const CpuSignature signature = decode_signature(leaves.leaf1_eax);
  h.vendor = leaves.vendor;
  h.name = leaves.brand;
  h.family = signature.family;
  h.model = signature.model;
  h.stepping = signature.stepping;
  h.isa = usable_isa(leaves);
  h.isa_unsaved = claimed_isa(leaves).without(h.isa);
  h.microarchitecture = x86_microarchitecture(leaves.vendor, signature);
  h.hypervisor = (leaves.leaf1_ecx >> 31 & 1) != 0;
}

void take_cache(std::int64_t& bytes, const cpuinfo_cache* cache, int& shared_by, int& line_bytes) {
  if (cache == nullptr || cache->size == 0) return;
  bytes = cache->size;
  shared_by = std::max(1, static_cast<int>(cache->processor_count));
  if (cache->line_size != 0) line_bytes = static_cast<int>(cache->line_size);
}

void take_cpuinfo_facts(Hardware& h) {
  if (!cpuinfo_initialize()) return;
  int one_core = 1;
  take_cache(h.l3_bytes, cpuinfo_get_l3_cache(0), h.l3_shared_by, h.line_bytes);
  take_cache(h.l2_bytes, cpuinfo_get_l2_cache(0), h.l2_shared_by, h.line_bytes);
  take_cache(h.l1d_bytes, cpuinfo_get_l1d_cache(0), one_core, h.line_bytes);
  if (cpuinfo_get_cores_count() > 0) {
    h.physical_cores = static_cast<int>(cpuinfo_get_cores_count());
    h.logical_cpus = static_cast<int>(cpuinfo_get_processors_count());
  }
  if (h.microarchitecture.empty() || h.microarchitecture == "unknown") {
    h.microarchitecture = cpuinfo_microarchitecture();
  }
  const cpuinfo_package* package = cpuinfo_get_package(0);
  if (h.name.empty() && package != nullptr) h.name = package->name;
}

/// Fills what cpuinfo left at zero. sysfs describes the machine underneath an emulator, which is
/// what decides speed there too.
void take_sysfs_facts(Hardware& h, const std::vector<int>& cpus) {
  for (const CacheFacts& cache : read_caches("", cpus.front())) {
    if (!cache.holds_data || cache.bytes == 0) continue;
    if (cache.level == 1 && h.l1d_bytes == 0) h.l1d_bytes = cache.bytes;
    if (cache.level == 2 && h.l2_bytes == 0) {
      h.l2_bytes = cache.bytes;
      h.l2_shared_by = cache.shared_by;
    }
    if (cache.level == 3 && h.l3_bytes == 0) {
      h.l3_bytes = cache.bytes;
      h.l3_shared_by = cache.shared_by;
    }
    if (cache.level == 1 && cache.line_bytes != 0) h.line_bytes = cache.line_bytes;
  }
}

void take_cpu_counts(Hardware& h, const std::vector<int>& cpus) {
  h.available_cpus = static_cast<int>(cpus.size());
  if (h.logical_cpus < h.available_cpus) {  // cpuinfo told nothing, or less than affinity shows
    h.logical_cpus = h.available_cpus;
    h.physical_cores = std::max(1, count_cores("", cpus));
  }
  h.smt = h.logical_cpus > h.physical_cores;
  const int cores = count_cores("", cpus);
  h.available_cores = cores > 0 ? cores : std::min(h.available_cpus, h.physical_cores);
  if (const auto quota = read_cpu_quota("")) {
    const int granted = std::max(1, static_cast<int>(std::ceil(*quota)));
    h.available_cpus = std::min(h.available_cpus, granted);
    h.available_cores = std::min(h.available_cores, granted);
  }
}

const Hardware& detected_host() {
  static const Hardware detected = detect_hardware();
  return detected;
}

std::atomic<const Hardware*> described_host = nullptr;

std::string mebibytes(std::int64_t bytes) {
  if (bytes <= 0) return "unknown";
  if (bytes % (1 << 20) == 0) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", bytes >> 10);
}

}  // namespace

Hardware detect_hardware() {
  Hardware h;
  h.architecture = kArchitecture;
  take_cpuid_facts(h);
#if defined(__aarch64__)
  h.vendor = "Arm";
  h.isa = arm_isa();
#endif
  take_cpuinfo_facts(h);
  const std::vector<int> cpus = allowed_cpus();
  take_sysfs_facts(h, cpus);
  take_cpu_counts(h, cpus);
  const MemoryFacts memory = read_memory("");
  h.total_memory_bytes = memory.total;
  h.available_memory_bytes = memory.available;
  if (h.vendor.empty()) h.vendor = "unknown";
  if (h.name.empty()) h.name = "unknown CPU";
  if (h.microarchitecture.empty()) h.microarchitecture = "unknown";
  return h;
}

DescribedHost::DescribedHost(Hardware hardware) : hardware_(std::move(hardware)) {
  described_host.store(&hardware_, std::memory_order_release);
}

DescribedHost::~DescribedHost() { described_host.store(nullptr, std::memory_order_release); }

const Hardware& host() {
  const Hardware* described = described_host.load(std::memory_order_acquire);
  return described != nullptr ? *described : detected_host();
}

IsaMask executable_isa() { return host().isa & detected_host().isa; }

std::int64_t available_memory() {
  const Hardware* described = described_host.load(std::memory_order_acquire);
  return described != nullptr ? described->available_memory_bytes : read_memory("").available;
}

std::string describe(const Hardware& h) {
  std::string text = fmt::format("{}\n", h.name);
  text += fmt::format("  {} {}, {} family {} model {} stepping {}{}\n", h.architecture,
                      h.microarchitecture, h.vendor, h.family, h.model, h.stepping,
                      h.hypervisor ? ", in a virtual machine" : "");
  text += fmt::format("  extensions  {}\n", to_string(h.isa));
  if (!h.isa_unsaved.empty()) {
    text += fmt::format("  unusable    {} (the operating system does not save their registers)\n",
                        to_string(h.isa_unsaved));
  }
  text += fmt::format("  caches      L1d {}, L2 {} (shared by {}), L3 {}{}, lines of {} bytes\n",
                      mebibytes(h.l1d_bytes), mebibytes(h.l2_bytes), h.l2_shared_by,
                      h.l3_bytes > 0 ? mebibytes(h.l3_bytes) : "none",
                      h.l3_bytes > 0 ? fmt::format(" (shared by {})", h.l3_shared_by) : "",
                      h.line_bytes);
  text += fmt::format(
      "  CPUs        {} cores, {} logical{}; {} cores, {} logical for this process\n",
      h.physical_cores, h.logical_cpus, h.smt ? " (SMT)" : "", h.available_cores, h.available_cpus);
  text += fmt::format("  memory      {} in all, {} available", mebibytes(h.total_memory_bytes),
                      mebibytes(h.available_memory_bytes));
  return text;
}

std::string identity(const Hardware& h) {
  return fmt::format("{} {} {}-{}-{} isa={:x} l1d={} l2={} l3={} line={}", h.architecture, h.vendor,
                     h.family, h.model, h.stepping, h.isa.bits, h.l1d_bytes, h.l2_bytes, h.l3_bytes,
                     h.line_bytes);
}

std::string host_identity() { return identity(host()); }

}  // namespace lathe::support
