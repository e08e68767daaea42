// Whether a package's record is of use on this machine, and why not.
#pragma once

#include <string>
#include <vector>

#include "runtime/library/target_selection.h"
#include "store/records.h"
#include "support/hardware.h"

namespace lathe::runtime::packages {

enum class Use {
  exact,       ///< timed on this host: fetched as if it had been tuned here
  other_host,  ///< fetched where nothing of this host is recorded
  none,
};

struct Usability {
  Use use = Use::none;
  std::string why;  ///< of `none`: "needs avx512f, which this CPU (…) does not have"
};

/// What this machine makes of records. Thread-safe once made.
class UsabilityHere {
 public:
  /// `backends`: the code generators of the program that will fetch.
  explicit UsabilityHere(const Backends& backends,
                         const support::Hardware& hardware = support::host());

  /// `host`: the record's own.
  Usability of(const store::KeyedWinner& record, const store::Host& host) const;

 private:
  const support::Hardware& hardware_;
  std::string host_id_;
  std::vector<SelectedTarget> targets_;
};

}  // namespace lathe::runtime::packages
