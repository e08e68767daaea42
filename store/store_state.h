// What an open Store holds; shared by the files that implement it.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "store/connection.h"
#include "store/store.h"

namespace lathe::store {

struct Store::State {
  std::unique_ptr<Connection> connection;

  /// Hosts recorded through this object, for when the file is set aside and starts anew.
  std::mutex hosts_mutex;
  std::vector<Host> hosts;

  std::vector<Host> recorded_hosts() {
    const std::lock_guard lock(hosts_mutex);
    return hosts;
  }
};

}  // namespace lathe::store
