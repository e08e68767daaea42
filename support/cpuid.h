// What the x86 CPUID instruction and XCR0 say, read once and decoded without privileges.
#pragma once

#include <cstdint>
#include <string>

#include "support/isa.h"

namespace lathe::support {

/// The registers of the leaves that Lathe reads; all zero where a leaf does not exist.
struct CpuidLeaves {
  std::string vendor;  ///< "GenuineIntel", "AuthenticAMD"; empty where there is no CPUID
  std::string brand;   ///< the marketing name, trimmed
  std::uint32_t leaf1_eax = 0, leaf1_ecx = 0, leaf1_edx = 0;
  std::uint32_t leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;
  std::uint32_t leaf7_1_eax = 0, leaf7_1_edx = 0;
  std::uint32_t extended1_ecx = 0;
  std::uint64_t xcr0 = 0;  ///< registers that the operating system saves; 0 without OSXSAVE
};

/// This CPU's leaves; an empty record on other architectures.
CpuidLeaves read_cpuid();

struct CpuSignature {
  int family = 0, model = 0, stepping = 0;
  friend bool operator==(const CpuSignature&, const CpuSignature&) = default;
};

/// Family, model and stepping with the extended fields folded in (Intel SDM vol. 2A, CPUID leaf 1).
CpuSignature decode_signature(std::uint32_t leaf1_eax);

/// Extensions that the CPU claims, whether or not the operating system saves their registers.
IsaMask claimed_isa(const CpuidLeaves& leaves);

/// Extensions that may be executed: claimed, their registers saved (XCR0), and what they stand on
/// present too (AVX2 without AVX, as some hypervisors offer, is not AVX2).
IsaMask usable_isa(const CpuidLeaves& leaves);

/// Name of the micro-architecture ("skylake", "zen4"), "unknown" for one not in the table.
std::string x86_microarchitecture(const std::string& vendor, CpuSignature signature);

}  // namespace lathe::support
