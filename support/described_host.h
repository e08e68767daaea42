// A machine that a test describes, in place of the one it runs on. Only tests include this
// (scripts/layers.py): no user's variable or option leads here.
#pragma once

#include "support/hardware.h"

namespace lathe::support {

/// While it lives, host(), host_identity(), available_memory() and default thread counts speak of
/// the machine described. executable_isa() keeps to what this CPU has as well, so that code for a
/// described extension is refused rather than run. One at a time; opened and closed while no other
/// thread asks.
class DescribedHost {
 public:
  explicit DescribedHost(Hardware hardware);
  ~DescribedHost();
  DescribedHost(const DescribedHost&) = delete;
  DescribedHost& operator=(const DescribedHost&) = delete;

 private:
  Hardware hardware_;
};

}  // namespace lathe::support
