// The machine's facts: what code may run here, how large its caches are, how many cores we have.
#pragma once

#include <cstdint>
#include <string>

#include "support/isa.h"

namespace lathe::support {

/// Detected once per process. Sizes in bytes; 0 or "unknown" where nothing could be found out.
struct Hardware {
  std::string architecture;       ///< "x86_64", "aarch64"
  std::string vendor;             ///< "GenuineIntel"
  std::string name;               ///< "Intel(R) Core(TM) i5-10210U CPU @ 1.60GHz"
  std::string microarchitecture;  ///< "skylake", "zen4"
  int family = 0;
  int model = 0;
  int stepping = 0;

  IsaMask isa;          ///< may be executed here: CPU and operating system agree
  IsaMask isa_unsaved;  ///< the CPU has it, but the operating system does not save its registers

  std::int64_t l1d_bytes = 0;  ///< per core
  std::int64_t l2_bytes = 0;   ///< of the instance that one core uses
  std::int64_t l3_bytes = 0;   ///< of the instance that one core uses; 0 where there is none
  int l2_shared_by = 1;        ///< logical CPUs that share one L2
  int l3_shared_by = 1;        ///< logical CPUs that share one L3
  int line_bytes = 64;

  int physical_cores = 1;   ///< of the machine
  int logical_cpus = 1;     ///< of the machine
  int available_cpus = 1;   ///< that affinity and control-group quota leave to this process
  int available_cores = 1;  ///< physical cores among them
  bool smt = false;         ///< more than one logical CPU per core

  std::int64_t total_memory_bytes = 0;      ///< within the limits of control groups and process
  std::int64_t available_memory_bytes = 0;  ///< when it was detected; see available_memory()
  bool hypervisor = false;                  ///< a virtual machine: clocks and caches may mislead
};

/// This machine, detected on the first call and kept. Thread-safe.
const Hardware& host();

/// The extensions whose code may be run here: what every load of code is held against. The same as
/// host().isa but where a test describes another machine.
IsaMask executable_isa();

/// Detects anew (host() is the one to use; this is for tests and `doctor`).
Hardware detect_hardware();

/// Bytes that can be allocated now without swapping, within the limits of control groups and of the
/// process (RLIMIT_AS, RLIMIT_DATA). Read afresh.
std::int64_t available_memory();

/// Several lines for a person: name, micro-architecture, extensions, caches, cores, memory.
std::string describe(const Hardware& hardware);

/// One line that is the same after every boot of the same machine and differs wherever a tuned
/// schedule may: architecture, vendor, family-model-stepping, usable ISA bits (hex), cache sizes.
/// Thread counts are not in it: a record's key has them.
std::string identity(const Hardware& hardware);

/// identity(host()).
std::string host_identity();

}  // namespace lathe::support
