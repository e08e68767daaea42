// CPUID leaves read and decoded (Intel SDM vol. 2A "CPUID", AMD APM vol. 3 appendix E).
#include "support/cpuid.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define LATHE_X86 1
#else
#define LATHE_X86 0
#endif

#include <cstring>

namespace lathe::support {
namespace {

constexpr bool bit(std::uint32_t word, unsigned index) { return (word >> index & 1) != 0; }

constexpr std::uint64_t kSavedAvx = 0x6;      // XCR0: SSE and upper halves of YMM
constexpr std::uint64_t kSavedAvx512 = 0xe6;  // and opmasks, upper ZMM, ZMM16-31

constexpr IsaMask kAvxFamily =
    Isa::avx | Isa::f16c | IsaMask(Isa::fma) | Isa::avx2 | Isa::avx_vnni | Isa::avx_vnni_int8;
constexpr IsaMask kAvx512Family = Isa::avx512f | Isa::avx512bw | IsaMask(Isa::avx512dq) |
                                  Isa::avx512vl | Isa::avx512cd | Isa::avx512_vbmi |
                                  Isa::avx512_vnni | Isa::avx512_bf16 | Isa::avx512_fp16;

#if LATHE_X86
struct Registers {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  Registers r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

std::uint64_t xgetbv0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  // The instruction by name needs no -mxsave; the caller has seen OSXSAVE.
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

void append_word(std::string& text, std::uint32_t word) {
  char bytes[4];
  std::memcpy(bytes, &word, 4);
  text.append(bytes, 4);
}

std::string read_brand() {
  std::string brand;
  for (std::uint32_t leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    const Registers r = cpuid(leaf);
    for (const std::uint32_t word : {r.eax, r.ebx, r.ecx, r.edx}) append_word(brand, word);
  }
  brand.resize(std::strlen(brand.c_str()));
  const std::size_t first = brand.find_first_not_of(' ');
  const std::size_t last = brand.find_last_not_of(' ');
  return first == std::string::npos ? "" : brand.substr(first, last - first + 1);
}
#endif

std::string intel_microarchitecture(CpuSignature s) {
  if (s.family != 6) return "unknown";
  switch (s.model) {
    case 0x0f:
    case 0x16: return "conroe";
    case 0x17:
    case 0x1d: return "penryn";
    case 0x1a:
    case 0x1e:
    case 0x1f:
    case 0x2e: return "nehalem";
    case 0x25:
    case 0x2c:
    case 0x2f: return "westmere";
    case 0x2a:
    case 0x2d: return "sandybridge";
    case 0x3a:
    case 0x3e: return "ivybridge";
    case 0x3c:
    case 0x3f:
    case 0x45:
    case 0x46: return "haswell";
    case 0x3d:
    case 0x47:
    case 0x4f:
    case 0x56: return "broadwell";
    case 0x4e:
    case 0x5e: return "skylake";
    case 0x8e:
    case 0x9e: return "kabylake";
    case 0xa5:
    case 0xa6: return "cometlake";
    case 0x55:
      return s.stepping >= 10 ? "cooperlake" : s.stepping >= 5 ? "cascadelake" : "skylake-avx512";
    case 0x66: return "cannonlake";
    case 0x6a:
    case 0x6c: return "icelake-server";
    case 0x7d:
    case 0x7e: return "icelake-client";
    case 0x8c:
    case 0x8d: return "tigerlake";
    case 0xa7: return "rocketlake";
    case 0x97:
    case 0x9a: return "alderlake";
    case 0xb7:
    case 0xba:
    case 0xbf: return "raptorlake";
    case 0xaa:
    case 0xac: return "meteorlake";
    case 0xbd: return "lunarlake";
    case 0xc5:
    case 0xc6: return "arrowlake";
    case 0x8f: return "sapphirerapids";
    case 0xcf: return "emeraldrapids";
    case 0xad:
    case 0xae: return "graniterapids";
    case 0xaf: return "sierraforest";
    case 0xbe: return "gracemont";
    case 0x37:
    case 0x4a:
    case 0x4d:
    case 0x5a:
    case 0x5d: return "silvermont";
    case 0x4c: return "airmont";
    case 0x5c:
    case 0x5f: return "goldmont";
    case 0x7a: return "goldmont-plus";
    case 0x86:
    case 0x96:
    case 0x9c: return "tremont";
    default: return "unknown";
  }
}

std::string amd_microarchitecture(CpuSignature s) {
  const int m = s.model;
  switch (s.family) {
    case 0x10: return "k10";
    case 0x14: return "bobcat";
    case 0x15:
      return m < 0x10   ? "bulldozer"
             : m < 0x30 ? "piledriver"
             : m < 0x60 ? "steamroller"
                        : "excavator";
    case 0x16: return m < 0x30 ? "jaguar" : "puma";
    case 0x17: return m >= 0x30 ? "zen2" : m == 0x08 || m == 0x18 ? "zen+" : "zen";
    case 0x19: {
      const bool zen4 = (m >= 0x10 && m <= 0x1f) || (m >= 0x60 && m <= 0xaf);
      return zen4 ? "zen4" : "zen3";
    }
    case 0x1a: return "zen5";
    default: return "unknown";
  }
}

}  // namespace

CpuidLeaves read_cpuid() {
  CpuidLeaves leaves;
#if LATHE_X86
  const Registers zero = cpuid(0);
  for (const std::uint32_t word : {zero.ebx, zero.edx, zero.ecx}) append_word(leaves.vendor, word);
  if (zero.eax >= 1) {
    const Registers r = cpuid(1);
    leaves.leaf1_eax = r.eax;
    leaves.leaf1_ecx = r.ecx;
    leaves.leaf1_edx = r.edx;
    if (bit(r.ecx, 27)) leaves.xcr0 = xgetbv0();
  }
  if (zero.eax >= 7) {
    const Registers r = cpuid(7, 0);
    leaves.leaf7_ebx = r.ebx;
    leaves.leaf7_ecx = r.ecx;
    leaves.leaf7_edx = r.edx;
    if (r.eax >= 1) {
      const Registers one = cpuid(7, 1);
      leaves.leaf7_1_eax = one.eax;
      leaves.leaf7_1_edx = one.edx;
    }
  }
  const std::uint32_t extended = cpuid(0x80000000).eax;
  if (extended >= 0x80000001) leaves.extended1_ecx = cpuid(0x80000001).ecx;
  if (extended >= 0x80000004) leaves.brand = read_brand();
#endif
  return leaves;
}

CpuSignature decode_signature(std::uint32_t eax) {
  CpuSignature s;
  const int base_family = static_cast<int>(eax >> 8 & 0xf);
  s.family = base_family;
  s.model = static_cast<int>(eax >> 4 & 0xf);
  s.stepping = static_cast<int>(eax & 0xf);
  if (base_family == 0xf) s.family += static_cast<int>(eax >> 20 & 0xff);
  if (base_family == 0xf || base_family == 6) s.model += static_cast<int>(eax >> 16 & 0xf) << 4;
  return s;
}

IsaMask claimed_isa(const CpuidLeaves& l) {
  IsaMask mask;
  const auto add = [&](bool present, Isa isa) {
    if (present) mask |= isa;
  };
  add(bit(l.leaf1_ecx, 0), Isa::sse3);
  add(bit(l.leaf1_ecx, 9), Isa::ssse3);
  add(bit(l.leaf1_ecx, 12), Isa::fma);
  add(bit(l.leaf1_ecx, 19), Isa::sse4_1);
  add(bit(l.leaf1_ecx, 20), Isa::sse4_2);
  add(bit(l.leaf1_ecx, 23), Isa::popcnt);
  add(bit(l.leaf1_ecx, 28), Isa::avx);
  add(bit(l.leaf1_ecx, 29), Isa::f16c);
  add(bit(l.leaf7_ebx, 3), Isa::bmi1);
  add(bit(l.leaf7_ebx, 5), Isa::avx2);
  add(bit(l.leaf7_ebx, 8), Isa::bmi2);
  add(bit(l.leaf7_ebx, 16), Isa::avx512f);
  add(bit(l.leaf7_ebx, 17), Isa::avx512dq);
  add(bit(l.leaf7_ebx, 28), Isa::avx512cd);
  add(bit(l.leaf7_ebx, 30), Isa::avx512bw);
  add(bit(l.leaf7_ebx, 31), Isa::avx512vl);
  add(bit(l.leaf7_ecx, 1), Isa::avx512_vbmi);
  add(bit(l.leaf7_ecx, 11), Isa::avx512_vnni);
  add(bit(l.leaf7_edx, 23), Isa::avx512_fp16);
  add(bit(l.leaf7_1_eax, 4), Isa::avx_vnni);
  add(bit(l.leaf7_1_eax, 5), Isa::avx512_bf16);
  add(bit(l.leaf7_1_edx, 4), Isa::avx_vnni_int8);
  add(bit(l.extended1_ecx, 5), Isa::lzcnt);
  return mask;
}

IsaMask usable_isa(const CpuidLeaves& leaves) {
  IsaMask mask = claimed_isa(leaves);
  if ((leaves.xcr0 & kSavedAvx) != kSavedAvx || !mask.contains(Isa::avx)) {
    mask = mask.without(kAvxFamily);
  }
  if ((leaves.xcr0 & kSavedAvx512) != kSavedAvx512 || !mask.contains(Isa::avx512f) ||
      !mask.contains(Isa::avx2 | Isa::fma)) {
    mask = mask.without(kAvx512Family);
  }
  return mask;
}

std::string x86_microarchitecture(const std::string& vendor, CpuSignature signature) {
  if (vendor == "GenuineIntel") return intel_microarchitecture(signature);
  if (vendor == "AuthenticAMD") return amd_microarchitecture(signature);
  if (vendor == "HygonGenuine") return "dhyana";
  return "unknown";
}

}  // namespace lathe::support
